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

namespace {

Status prepare(const PodIpcMessage& message, Parts& parts) {
  std::visit(Splitter{parts}, message);
  if (parts.too_long) return make_error(Errc::limit, "pod frame: text too long for its field");
  if (parts.payload->size() > kMaxMessageBytes) {
    return make_error(Errc::limit, "message of ", std::to_string(parts.payload->size()),
                      " bytes, at most ", std::to_string(kMaxMessageBytes));
  }
  if (kFirstHeader + parts.fields.size() > kPodFrameMax) {
    return make_error(Errc::limit, "pod frame: fields too long");
  }
  return Ok{};
}

void put(Bytes& out, std::uint64_t value, unsigned bytes) {
  std::uint8_t field[8];
  for (unsigned i = 0; i < bytes; ++i) {
    field[i] = static_cast<std::uint8_t>(value >> 8 * (bytes - 1 - i));
  }
  out.insert(out.end(), field, field + bytes);
}

void append_frame(Bytes& out, const Parts& parts, ByteView part, std::uint16_t flags) {
  const bool first = (flags & kPodFrameContinued) == 0;
  const ByteView fields = first ? parts.fields.view() : ByteView{};
  if (out.empty()) out.reserve(kFirstHeader + fields.size() + part.size());
  put(out, kPodIpcVersion, 1);
  put(out, static_cast<std::uint64_t>(parts.type), 1);
  put(out, flags, 2);
  put(out, parts.id, 8);
  if (first) {
    put(out, parts.payload->size(), 4);
    put(out, fields.size(), 2);
  }
  out.insert(out.end(), fields.begin(), fields.end());
  out.insert(out.end(), part.begin(), part.end());
}

// Calls `emit(part, flags)` for every frame of the message.
template <class Emit>
void cut(const Parts& parts, Emit emit) {
  ByteView left(*parts.payload);
  bool first = true;
  do {
    std::size_t room = kPodFrameMax - (first ? kFirstHeader + parts.fields.size() : kFrameHeader);
    ByteView part = left.first(std::min(room, left.size()));
    left = left.subspan(part.size());
    emit(part, static_cast<std::uint16_t>((left.empty() ? 0 : kPodFrameMore) |
                                          (first ? 0 : kPodFrameContinued)));
    first = false;
  } while (!left.empty());
}

}  // namespace

Result<std::vector<Bytes>> encode_pod_message(const PodIpcMessage& message) {
  Parts parts;
  if (auto ok = prepare(message, parts); !ok) return ok.error();
  std::vector<Bytes> frames;
  cut(parts, [&](ByteView part, std::uint16_t flags) {
    append_frame(frames.emplace_back(), parts, part, flags);
  });
  return frames;
}

Status PodFrameQueue::push(const PodIpcMessage& message) {
  Parts parts;
  if (auto ok = prepare(message, parts); !ok) return ok;
  cut(parts, [&](ByteView part, std::uint16_t flags) {
    const std::size_t size = kFirstHeader + parts.fields.size() + part.size();
    const bool joins = open_ && flags == 0 && frames_.back().size() + size <= kJoinedMax;
    if (!joins) frames_.emplace_back();
    const std::size_t had = frames_.back().size();
    append_frame(frames_.back(), parts, part, flags);
    bytes_ += frames_.back().size() - had;
    open_ = flags == 0;
  });
  return Ok{};
}

void PodFrameQueue::pop() {
  bytes_ -= frames_.front().size();
  frames_.pop_front();
  if (frames_.empty()) open_ = false;
}

void PodFrameQueue::clear() {
  frames_.clear();
  bytes_ = 0;
  open_ = false;
}

void PodFrameQueue::append(PodFrameQueue&& later) {
  if (later.empty()) return;
  for (Bytes& frame : later.frames_) frames_.push_back(std::move(frame));
  bytes_ += later.bytes_;
  open_ = later.open_;
  later.clear();
}

Result<std::optional<PodIpcMessage>> PodFrameReader::feed(ByteView frame) {
  auto message = next(frame);
  if (message && !frame.empty()) {
    partial_.reset();
    return make_error(Errc::invalid, "pod frame: more payload than announced");
  }
  return message;
}

Result<std::optional<PodIpcMessage>> PodFrameReader::next(ByteView& datagram) {
  ByteReader reader(datagram);
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
  if ((flags & ~(kPodFrameMore | kPodFrameContinued)) != 0 || datagram.size() > kPodFrameMax) {
    return frame_error(type, "unknown flags or over 64 KiB");
  }
  if (auto begun = begin(type, id, flags, reader); !begun) return begun.error();
  const std::size_t room = partial_->total - partial_->payload.size();
  // Behind a whole message another one may follow; the parts of a long one travel alone.
  ByteView part = flags == 0 ? reader.bytes(std::min(room, reader.left())) : reader.rest();
  if (part.size() > room) return frame_error(type, "more payload than announced");
  partial_->payload.insert(partial_->payload.end(), part.begin(), part.end());
  datagram = datagram.subspan(reader.position());
  return finish_if_complete((flags & kPodFrameMore) != 0);
}

// The first frame of a message, or one that continues it.
Status PodFrameReader::begin(PodFrameType type, std::uint64_t id, std::uint16_t flags,
                             ByteReader& reader) {
  if ((flags & kPodFrameContinued) != 0) {
    const bool fits = partial_ && partial_->type == type && partial_->id == id;
    return fits ? Status(Ok{}) : frame_error(type, "continues no message");
  }
  if (partial_) return frame_error(type, "starts inside another message");
  Partial fresh{type, id, reader.u32(), {}, {}};
  fresh.fields = to_bytes(reader.bytes16());
  if (!reader.ok()) return frame_error(type, "fields run past the frame");
  if (fresh.total > (carries_payload(type) ? kMaxMessageBytes : 0)) {
    return frame_error(type, "payload too long");
  }
  if (type <= PodFrameType::welcome && id != 0) return frame_error(type, "id is not 0");
  partial_ = std::move(fresh);
  return Ok{};
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
