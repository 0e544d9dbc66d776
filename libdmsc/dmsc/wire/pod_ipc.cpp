#include "dmsc/wire/pod_ipc.hpp"

#include <algorithm>

namespace dmsc::wire {
namespace {

constexpr std::size_t kFrameHeader = 12;
constexpr std::size_t kFirstHeader = kFrameHeader + 4 + 2;
constexpr std::size_t kMaxText = 60000;
const Bytes kNoPayload;

// What encoding needs of a message: its type, id, payload and fields.
struct Parts {
  PodFrameType type = PodFrameType::hello;
  std::uint64_t id = 0;
  const Bytes* payload = &kNoPayload;
  ByteWriter fields;
  bool too_long = false;

  void text8(const std::string& text) {
    too_long = too_long || text.size() > 255;
    if (!too_long) fields.text8(text);
  }
  void text16(const std::string& text) {
    too_long = too_long || text.size() > kMaxText;
    if (!too_long) fields.bytes16(as_bytes(text));
  }
  void hops(const std::vector<PodHop>& path) {
    too_long = too_long || path.size() > 64;
    if (too_long) return;
    fields.u8(path.size());
    for (const PodHop& hop : path) {
      fields.u32(hop.node.value);
      text8(hop.name);
    }
  }
};

struct Splitter {
  Parts& out;
  void operator()(const PodHello& m) {
    out.type = PodFrameType::hello;
    out.text8(m.client);
  }
  void operator()(const PodWelcome& m) {
    out.type = PodFrameType::welcome;
    out.fields.u32(m.node.value);
    out.text8(m.gateway);
    out.text8(m.domain);
    out.text8(m.identity);
  }
  void operator()(const PodBind& m) {
    begin(PodFrameType::bind, m.id);
    out.text8(m.lease);
    out.text8(m.prefix);
  }
  void operator()(const PodBound& m) {
    begin(PodFrameType::bound, m.id);
    out.fields.u16(m.code);
    out.text16(m.text);
  }
  void operator()(const PodUnbind& m) {
    begin(PodFrameType::unbind, m.id);
    out.text8(m.prefix);
  }
  void operator()(const PodCall& m) {
    begin(PodFrameType::call, m.id, &m.payload);
    out.fields.u32(m.deadline_ms).u8(m.flags);
    out.text8(m.destination);
    out.text8(m.source);
  }
  void operator()(const PodReply& m) {
    begin(PodFrameType::reply, m.id, &m.payload);
    out.fields.u32(m.egress.node.value).u16(m.instance.value);
    out.text8(m.egress.name);
    out.hops(m.path);
    out.hops(m.return_path);
  }
  void operator()(const PodFailure& m) {
    begin(PodFrameType::failure, m.id);
    out.fields.u16(static_cast<std::uint16_t>(m.code)).u32(m.reporter.value);
    out.text16(m.text);
  }
  void operator()(const PodRequest& m) {
    begin(PodFrameType::request, m.id, &m.payload);
    out.fields.u32(m.deadline_ms).u8(m.flags).u32(m.ingress.value);
    out.text8(m.prefix);
    out.text8(m.destination);
    out.text8(m.source);
  }
  void operator()(const PodResponse& m) { begin(PodFrameType::response, m.id, &m.payload); }
  void operator()(const PodRefusal& m) {
    begin(PodFrameType::refusal, m.id);
    out.text16(m.text);
  }
  void operator()(const PodCancel& m) { begin(PodFrameType::cancel, m.id); }

 private:
  void begin(PodFrameType type, std::uint64_t id, const Bytes* payload = &kNoPayload) {
    out.type = type;
    out.id = id;
    out.payload = payload;
  }
};

const char* type_name(PodFrameType type) {
  static constexpr const char* kNames[] = {"?",     "hello",   "welcome", "bind",     "bound",
                                           "unbind", "call",   "reply",   "failure",  "request",
                                           "response", "refusal", "cancel"};
  auto index = static_cast<std::size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "?";
}

bool carries_payload(PodFrameType type) {
  return type == PodFrameType::call || type == PodFrameType::reply ||
         type == PodFrameType::request || type == PodFrameType::response;
}

std::string text16(ByteReader& reader) { return std::string(as_text(reader.bytes16())); }
std::string text8(ByteReader& reader) { return std::string(reader.text8()); }

std::vector<PodHop> read_hops(ByteReader& reader) {
  std::vector<PodHop> path;
  for (std::size_t n = reader.u8(); n > 0 && reader.ok(); --n) {
    NodeId node{reader.u32()};
    path.push_back({node, text8(reader)});
  }
  return path;
}

PodIpcMessage read_call(ByteReader& r, std::uint64_t id, Bytes payload) {
  PodCall m{id, r.u32(), r.u8(), {}, {}, std::move(payload)};
  m.destination = text8(r);
  m.source = text8(r);
  return m;
}

PodIpcMessage read_reply(ByteReader& r, std::uint64_t id, Bytes payload) {
  PodReply m{id, {NodeId{r.u32()}, {}}, InstanceId{r.u16()}, {}, {}, std::move(payload)};
  m.egress.name = text8(r);
  m.path = read_hops(r);
  m.return_path = read_hops(r);
  return m;
}

PodIpcMessage read_request(ByteReader& r, std::uint64_t id, Bytes payload) {
  PodRequest m{id, r.u32(), r.u8(), NodeId{r.u32()}, {}, {}, {}, std::move(payload)};
  m.prefix = text8(r);
  m.destination = text8(r);
  m.source = text8(r);
  return m;
}

PodIpcMessage read_small(PodFrameType type, ByteReader& r, std::uint64_t id) {
  switch (type) {
    case PodFrameType::welcome: {
      PodWelcome m{NodeId{r.u32()}, {}, {}, {}};
      m.gateway = text8(r);
      m.domain = text8(r);
      m.identity = text8(r);
      return m;
    }
    case PodFrameType::bind: {
      PodBind m{id, text8(r), {}};
      m.prefix = text8(r);
      return m;
    }
    case PodFrameType::bound: {
      PodBound m{id, r.u16(), {}};
      m.text = text16(r);
      return m;
    }
    case PodFrameType::unbind: return PodUnbind{id, text8(r)};
    case PodFrameType::failure: {
      PodFailure m{id, static_cast<ErrorCode>(r.u16()), NodeId{r.u32()}, {}};
      m.text = text16(r);
      return m;
    }
    case PodFrameType::refusal: return PodRefusal{id, text16(r)};
    case PodFrameType::cancel: return PodCancel{id};
    default: return PodHello{text8(r)};
  }
}

// Rules on values, beyond the layout.
const char* value_error(const PodIpcMessage& message) {
  if (const auto* call = std::get_if<PodCall>(&message)) {
    if (call->deadline_ms == 0) return "deadline of 0 ms";
    if ((call->flags & ~kCallFlags) != 0) return "unknown call flags";
    if (call->destination.empty()) return "empty destination";
  }
  return nullptr;
}

Error frame_error(PodFrameType type, std::string_view what) {
  return make_error(Errc::invalid, "pod frame '", type_name(type), "': ", what);
}

}  // namespace

Result<std::vector<Bytes>> encode_pod_message(const PodIpcMessage& message) {
  Parts parts;
  std::visit(Splitter{parts}, message);
  if (parts.too_long) return make_error(Errc::limit, "pod frame: text too long for its field");
  if (parts.payload->size() > kMaxMessageBytes) {
    return make_error(Errc::limit, "message of ", std::to_string(parts.payload->size()),
                      " bytes, at most ", std::to_string(kMaxMessageBytes));
  }
  if (kFirstHeader + parts.fields.size() > kPodFrameMax) {
    return make_error(Errc::limit, "pod frame: fields too long");
  }
  std::vector<Bytes> frames;
  ByteView left(*parts.payload);
  do {
    const bool first = frames.empty();
    std::size_t room = kPodFrameMax - (first ? kFirstHeader + parts.fields.size() : kFrameHeader);
    ByteView part = left.first(std::min(room, left.size()));
    left = left.subspan(part.size());
    ByteWriter writer;
    writer.u8(kPodIpcVersion).u8(static_cast<std::uint8_t>(parts.type));
    writer.u16((left.empty() ? 0 : kPodFrameMore) | (first ? 0 : kPodFrameContinued));
    writer.u64(parts.id);
    if (first) writer.u32(parts.payload->size()).bytes16(parts.fields.view());
    writer.bytes(part);
    frames.push_back(writer.take());
  } while (!left.empty());
  return frames;
}

Result<std::optional<PodIpcMessage>> PodFrameReader::feed(ByteView frame) {
  ByteReader reader(frame);
  std::uint8_t version = reader.u8();
  auto type = static_cast<PodFrameType>(reader.u8());
  std::uint16_t flags = reader.u16();
  std::uint64_t id = reader.u64();
  if (!reader.ok()) return make_error(Errc::truncated, "pod frame: shorter than its header");
  if (version != kPodIpcVersion) {
    return make_error(Errc::unsupported, "pod frame: version ", std::to_string(version));
  }
  if (type < PodFrameType::hello || type > PodFrameType::cancel) {
    return make_error(Errc::unsupported, "pod frame: type ",
                      std::to_string(static_cast<int>(type)));
  }
  if ((flags & ~(kPodFrameMore | kPodFrameContinued)) != 0 || frame.size() > kPodFrameMax) {
    return frame_error(type, "unknown flags or over 64 KiB");
  }
  if ((flags & kPodFrameContinued) != 0) {
    if (!partial_ || partial_->type != type || partial_->id != id) {
      return frame_error(type, "continues no message");
    }
  } else {
    if (partial_) return frame_error(type, "starts inside another message");
    Partial fresh{type, id, reader.u32(), {}, {}};
    fresh.fields = to_bytes(reader.bytes16());
    if (!reader.ok()) return frame_error(type, "fields run past the frame");
    if (fresh.total > (carries_payload(type) ? kMaxMessageBytes : 0)) {
      return frame_error(type, "payload too long");
    }
    if (type <= PodFrameType::welcome && id != 0) return frame_error(type, "id is not 0");
    partial_ = std::move(fresh);
  }
  ByteView part = reader.rest();
  if (part.size() > partial_->total - partial_->payload.size()) {
    return frame_error(type, "more payload than announced");
  }
  partial_->payload.insert(partial_->payload.end(), part.begin(), part.end());
  return finish_if_complete((flags & kPodFrameMore) != 0);
}

Result<std::optional<PodIpcMessage>> PodFrameReader::finish_if_complete(bool more) {
  if (more) {
    if (partial_->payload.size() == partial_->total) {
      return frame_error(partial_->type, "more frames announced after the whole payload");
    }
    return std::optional<PodIpcMessage>();
  }
  Partial done = std::move(*partial_);
  partial_.reset();
  if (done.payload.size() != done.total) return frame_error(done.type, "payload incomplete");
  ByteReader fields(done.fields);
  PodIpcMessage message;
  switch (done.type) {
    case PodFrameType::call: message = read_call(fields, done.id, std::move(done.payload)); break;
    case PodFrameType::reply: message = read_reply(fields, done.id, std::move(done.payload)); break;
    case PodFrameType::request:
      message = read_request(fields, done.id, std::move(done.payload));
      break;
    case PodFrameType::response: message = PodResponse{done.id, std::move(done.payload)}; break;
    default: message = read_small(done.type, fields, done.id); break;
  }
  if (!fields.done()) return frame_error(done.type, "fields too short or with bytes left over");
  if (const char* what = value_error(message)) return frame_error(done.type, what);
  return std::optional<PodIpcMessage>(std::move(message));
}

}  // namespace dmsc::wire
