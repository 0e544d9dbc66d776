// TCP and HTTP health checks that the gateway makes itself (DESIGN section 7, "Self-check"), in the
// pod's own network namespace where it has one. A few threads of its own, because entering a namespace
// is a property of a thread and connecting takes time.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dmsc/core/result.hpp"
#include "sgd/announcements.hpp"

namespace dmsc::sgd {

// Connects to `endpoint` ("address:port") within `check.timeout`; for HTTP sends a GET of the target
// and wants a status of 200-399. `netns`: path of the namespace to connect from, "" = the own. Blocks.
Status run_network_check(const std::string& endpoint, const CheckSpec& check,
                         const std::string& netns);

class NetChecker {
 public:
  explicit NetChecker(unsigned threads = 2);
  ~NetChecker();  // waits for the checks that run
  // `done` is called on a checker thread. False if too many wait: then it is not called.
  bool check(std::string endpoint, CheckSpec check, std::string netns,
             std::function<void(Status)> done);

 private:
  struct Job {
    std::string endpoint;
    CheckSpec check;
    std::string netns;
    std::function<void(Status)> done;
  };
  void run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dmsc::sgd
