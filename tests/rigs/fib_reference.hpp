// The FIB held against longest match as one would first write it, on random tables and names: for a
// unit test of thousands and a soak of millions of cases.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dmsc/forwarding/fib.hpp"

namespace dmsc::rigs {

class FibReference {
 public:
  explicit FibReference(std::uint64_t seed) : random_(seed) {}

  // Changes the table and looks up names until `cases` look-ups, single and batched, have been
  // compared. What differed first, in words; nothing if all agreed.
  std::optional<std::string> run(std::size_t cases) {
    std::vector<std::string> names;
    while (cases > 0) {
      for (int i = 0; i < 8; ++i) change();
      names.clear();
      for (std::size_t n = 1 + random_() % 64; n-- > 0 && cases > 0; --cases)
        names.push_back(question());
      if (auto wrong = compare(names)) return wrong;
    }
    return std::nullopt;
  }
  std::size_t prefixes() const { return model_.size(); }

 private:
  // Few letters, so that names meet; sometimes what no name may be.
  std::string name() {
    std::string out;
    for (std::size_t n = 1 + random_() % 16; n-- > 0;) {
      if (!out.empty()) out += '/';
      out += "abc"[random_() % 3];
      if (random_() % 4 == 0) out += std::string(random_() % 12, 'x');
      if (random_() % 3 == 0) break;
    }
    return out;
  }
  std::string question() {
    std::string out = name();
    switch (random_() % 20) {
      case 0:
        return out + "/";
      case 1:
        return "/" + out;
      case 2:
        return out + "//a";
      case 3:
        return out + std::string(random_() % 300, 'y');
      case 4:
        return std::string(random_() % 3, '\0');
      default:
        return out;
    }
  }
  void change() {
    std::string text = name();
    if (random_() % 3 == 0) {
      fib_.remove_prefix(text);
      model_.erase(text);
      return;
    }
    bool covering = random_() % 3 == 0;
    forwarding::InstanceEntry instance{NodeId{1 + static_cast<std::uint32_t>(random_() % 100)},
                                       InstanceId{1}, false, covering, 1};
    forwarding::InstanceGroup* group = fib_.add_group(covering, {&instance, 1});
    fib_.set_prefix(text, *group);
    fib_.drop_group(group);
    model_[text] = {covering, instance.egress};
  }

  struct Held {
    bool covering;
    NodeId egress;
  };
  // The longest held prefix that serves `name`.
  std::optional<std::pair<std::string, Held>> expected(const std::string& name) const {
    auto components = 1 + static_cast<std::size_t>(std::count(name.begin(), name.end(), '/'));
    if (name.size() > kMaxNameBytes || components > kMaxNameComponents) return std::nullopt;
    for (std::string at = name;;) {
      auto it = model_.find(at);
      if (it != model_.end() && (it->second.covering || at.size() == name.size())) return *it;
      std::size_t slash = at.rfind('/');
      if (slash == std::string::npos) return std::nullopt;
      at.resize(slash);
    }
  }
  bool is(const forwarding::Match& match, const std::string& name) const {
    auto want = expected(name);
    if (!want || !match) return !want && !match;
    return match.prefix == want->first && match->instances()[0].egress == want->second.egress;
  }
  std::optional<std::string> compare(const std::vector<std::string>& names) {
    std::vector<std::string_view> views(names.begin(), names.end());
    std::vector<forwarding::Match> found(names.size());
    fib_.match_batch(views, found);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (is(found[i], names[i]) && is(fib_.match(names[i]), names[i])) continue;
      return "'" + names[i] + "' with " + std::to_string(model_.size()) + " prefixes found '" +
             std::string(found[i].prefix) + "', alone '" +
             std::string(fib_.match(names[i]).prefix) + "'";
    }
    return std::nullopt;
  }

  std::mt19937_64 random_;
  forwarding::ImmediateReclaimer reclaimer_;
  forwarding::Fib fib_{crypto::Key16{7}, reclaimer_};
  std::map<std::string, Held> model_;
};

}  // namespace dmsc::rigs
