// Runs a record through the engine: keys are not needed, what they contributed is in the record.
#include "dmsc/linkstate/input_log.hpp"
#include "dmsc/linkstate/primitives.hpp"

namespace dmsc::linkstate {
namespace {

// Takes tags and signatures from the input being replayed.
class Recorded final : public Primitives {
 public:
  explicit Recorded(const crypto::PublicKey& key) : key_(key) {}
  void begin(const Input& input) {
    input_ = &input;
    used_ = 0;
    diverged_.clear();
  }
  std::string end() {
    if (diverged_.empty() && used_ != input_->signatures.size()) {
      diverged_ = "fewer LSAs are signed than then";
    }
    return diverged_;
  }

  crypto::Hash32 tag(const crypto::HmacKey&, ByteView) override { return {}; }
  bool tag_good(const crypto::HmacKey&, ByteView) override { return !input_->bad_tag; }
  crypto::Signature sign(const crypto::SigningKey&, ByteView message) override {
    if (input_ == nullptr) return {};
    if (used_ == input_->signatures.size()) {
      diverged_ = "more LSAs are signed than then";
      return {};
    }
    const crypto::Signature& signature = input_->signatures[used_++];
    if (diverged_.empty() && !crypto::verify(key_, message, signature)) {
      diverged_ = "another LSA is signed than then";
    }
    return signature;
  }
  crypto::PublicKey public_key(const crypto::SigningKey&) override { return key_; }

 private:
  crypto::PublicKey key_;
  const Input* input_ = nullptr;
  std::size_t used_ = 0;
  std::string diverged_;
};

}  // namespace

struct Replay::Impl {
  Impl(InputReader r, Input birth, std::shared_ptr<Recorded> p)
      : reader(std::move(r)), primitives(std::move(p)), engine((primitives->begin(birth), config()),
                                                               reader.started()) {
    diverged = primitives->end();
  }
  EngineConfig config() {
    EngineConfig out = reader.config();
    out.primitives = primitives;
    return out;
  }
  Outputs apply(Input& in);

  InputReader reader;
  std::shared_ptr<Recorded> primitives;
  Engine engine;
  std::string diverged;  // at birth: told with the first step
};

Replay::Replay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replay::Replay(Replay&&) noexcept = default;
Replay::~Replay() = default;
const Engine& Replay::engine() const { return impl_->engine; }
const InputReader& Replay::reader() const { return impl_->reader; }

Result<Replay> Replay::open(ByteView record) {
  auto reader = InputReader::open(record);
  if (!reader) return reader.error();
  auto birth = reader->take_birth();
  if (!birth) return birth.error();
  auto primitives = std::make_shared<Recorded>(reader->public_key());
  return Replay(std::make_unique<Impl>(std::move(reader).value(), std::move(birth).value(),
                                       std::move(primitives)));
}

Outputs Replay::Impl::apply(Input& in) {
  switch (in.type) {
    case InputType::add_link: engine.add_link(in.now, std::move(in.config)); break;
    case InputType::remove_link: engine.remove_link(in.now, in.link); break;
    case InputType::change_link: engine.change_link(in.now, std::move(in.config)); break;
    case InputType::interface_state: engine.interface_state(in.now, in.link, in.a != 0); break;
    case InputType::receive:
    case InputType::receive_runt:
    case InputType::receive_waited:
      engine.receive(in.now, in.link, in.bytes, Duration(static_cast<std::int64_t>(in.a)));
      break;
    case InputType::tick: engine.tick(in.now); break;
    case InputType::verdict: engine.verdict(in.now, in.a, in.b != 0); break;
    case InputType::undecided: engine.undecided(in.now, in.a); break;
    case InputType::too_many_prefixes:
      engine.too_many_prefixes(in.now, NodeId{static_cast<std::uint32_t>(in.a)}, in.b);
      break;
    case InputType::retry_waiting: engine.retry_waiting(in.now); break;
    case InputType::recheck:
      engine.recheck(in.now, NodeId{static_cast<std::uint32_t>(in.a)});
      break;
    case InputType::set_keys: engine.set_keys(in.now, std::move(in.keys)); break;
    case InputType::set_certificate: engine.set_certificate(in.now, std::move(in.bytes)); break;
    case InputType::link_hint: engine.link_hint(in.now, in.link); break;
    case InputType::set_overload: engine.set_overload(in.now, in.a != 0); break;
    case InputType::set_drain: engine.set_drain(in.now, static_cast<DrainLevel>(in.a)); break;
    case InputType::set_link_drain:
      engine.set_link_drain(in.now, in.link, static_cast<DrainLevel>(in.a));
      break;
    case InputType::set_link_quality:
      engine.set_link_quality(in.now, in.link, in.a, in.b != 0);
      break;
    case InputType::set_metric_bias:
      engine.set_metric_bias(in.now, in.link, static_cast<std::uint32_t>(in.a));
      break;
    case InputType::set_prefixes: engine.set_prefixes(in.now, std::move(in.entries)); break;
    case InputType::set_grants: engine.set_grants(in.now, std::move(in.objects)); break;
    case InputType::inject:
      if (auto lsa = wire::decode_lsa(in.bytes)) engine.inject(in.now, *lsa);
      break;
    case InputType::shutdown: engine.shutdown(in.now); break;
    case InputType::poll: return engine.poll();
    case InputType::start:
    case InputType::signature:
    case InputType::bad_tag:
    case InputType::mark: break;
  }
  return {};
}

Result<std::optional<Replay::Step>> Replay::step() {
  auto input = impl_->reader.next();
  if (!input) return input.error();
  if (!*input) return std::optional<Step>();
  Step step;
  step.input = **input;
  impl_->primitives->begin(step.input);
  step.outputs = impl_->apply(**input);
  step.diverged = impl_->primitives->end();
  if (step.diverged.empty()) step.diverged = std::exchange(impl_->diverged, {});
  if (step.input.type == InputType::mark && step.diverged.empty() &&
      (impl_->engine.digest() != step.input.digest || impl_->engine.lsa_count() != step.input.a)) {
    step.diverged = "the database is another than then";
  }
  return std::optional<Step>(std::move(step));
}

}  // namespace dmsc::linkstate
