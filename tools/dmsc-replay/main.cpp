// dmsc-replay: runs a node's record of inputs ("record:" in srd.yaml or sgd.yaml) through the very
// link-state engine again, and says whether it reaches the same database. The record holds no keys, and
// none are needed. Exit status: 0 the same, 1 it went another way, 2 the record cannot be read.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "print.hpp"

namespace {

using namespace dmsc;

struct Options {
  std::string file;
  bool events = false, all = false;
  double from = 0, until = 0;
};

// A record mapped into memory: it may be larger than memory.
class Mapped {
 public:
  explicit Mapped(const std::string& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd < 0 || ::fstat(fd, &st) != 0) {
      error = std::strerror(errno);
    } else if (st.st_size > 0) {
      size_ = static_cast<std::size_t>(st.st_size);
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (data_ == MAP_FAILED) error = std::strerror(errno);
    }
    if (fd >= 0) ::close(fd);
  }
  ~Mapped() {
    if (data_ != nullptr && data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ByteView view() const { return {static_cast<const std::uint8_t*>(data_), data_ == nullptr ? 0 : size_}; }
  std::string error;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

double seconds_since(Time start, Time at) { return std::chrono::duration<double>(at - start).count(); }

void print_step(const Options& o, double at, const linkstate::Replay::Step& step) {
  if (!o.events || at < o.from) return;
  if (o.all || !replay::is_routine(step.input)) {
    std::printf("%14.6f  < %s\n", at, replay::describe(step.input).c_str());
  }
  for (const linkstate::Output& output : step.outputs) {
    if (o.all || !replay::is_routine(output)) {
      std::printf("%14.6f  > %s\n", at, replay::describe(output).c_str());
    }
  }
}

int run(const Options& o) {
  Mapped file(o.file);
  if (!file.error.empty()) {
    std::fprintf(stderr, "dmsc-replay: %s: %s\n", o.file.c_str(), file.error.c_str());
    return 2;
  }
  auto opened = linkstate::Replay::open(file.view());
  if (!opened) {
    std::fprintf(stderr, "dmsc-replay: %s: %s\n", o.file.c_str(), opened.error().message.c_str());
    return 2;
  }
  linkstate::Replay& play = *opened;
  const linkstate::InputReader& reader = play.reader();
  std::uint64_t diverged = 0, marks = 0;
  double at = 0;
  for (;;) {
    auto step = play.step();
    if (!step) {
      std::fprintf(stderr, "dmsc-replay: %s: %s\n", o.file.c_str(), step.error().message.c_str());
      return 2;
    }
    if (!*step) break;
    at = seconds_since(reader.started(), (*step)->input.now);
    if (o.until > 0 && at > o.until) break;
    print_step(o, at, **step);
    if ((*step)->input.type == linkstate::InputType::mark) ++marks;
    if ((*step)->diverged.empty()) continue;
    if (diverged++ < 10) {
      std::printf("%14.6f  DIFFERS at byte %zu: %s: %s\n", at, reader.position(),
                  replay::describe((*step)->input).c_str(), (*step)->diverged.c_str());
    }
  }
  U128 digest = play.engine().digest();
  std::printf("node %s (%u): %llu inputs in %.3f s%s\n", reader.config().name.c_str(), reader.config().self.value,
              static_cast<unsigned long long>(reader.inputs()), at, reader.truncated() ? ", cut short" : "");
  std::printf("digest %016llx%016llx of %zu LSAs; %llu digests compared, %llu differences\n",
              static_cast<unsigned long long>(digest.hi), static_cast<unsigned long long>(digest.lo),
              play.engine().lsa_count(), static_cast<unsigned long long>(marks),
              static_cast<unsigned long long>(diverged));
  return diverged == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Runs a node's record of inputs through the link-state engine again.", "dmsc-replay");
  app.set_version_flag("--version", std::string("dmsc-replay ") + DMSC_VERSION);
  app.add_option("FILE", o.file, "the record, as srd or sgd wrote it")->required();
  app.add_flag("--events", o.events, "print what happened, one line each");
  app.add_flag("--all", o.all, "with --events: timers, keepalives, hellos and packets sent, too");
  app.add_option("--from", o.from, "print from this second of the record on");
  app.add_option("--until", o.until, "end at this second of the record");
  CLI11_PARSE(app, argc, argv);
  crypto::init();
  return run(o);
}
