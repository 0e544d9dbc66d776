#include "dmsc/linkstate/lsa_pack.hpp"

namespace dmsc::linkstate {
namespace {
constexpr std::size_t kMinMatch = 3, kShortMatch = 18, kLongMatch = kShortMatch + 255;

// Items behind a byte of flags.
class ItemWriter {
 public:
  explicit ItemWriter(Bytes& out) : out_(out) {}
  void literal(std::uint8_t byte) {
    next(false);
    out_.push_back(byte);
  }
  void match(std::size_t position, std::size_t length) {
    next(true);
    std::size_t shown = std::min(length, kShortMatch) - kMinMatch;
    out_.push_back(static_cast<std::uint8_t>(position >> 4));
    out_.push_back(static_cast<std::uint8_t>(position << 4 | shown));
    if (length >= kShortMatch) out_.push_back(static_cast<std::uint8_t>(length - kShortMatch));
  }

 private:
  void next(bool is_match) {
    if (items_ % 8 == 0) {
      flags_at_ = out_.size();
      out_.push_back(0);
    }
    if (is_match) out_[flags_at_] |= static_cast<std::uint8_t>(1U << items_ % 8);
    ++items_;
  }
  Bytes& out_;
  std::size_t items_ = 0, flags_at_ = 0;
};

}  // namespace

LsaPacker::LsaPacker(ByteView dictionary)
    : dictionary_(to_bytes(dictionary.first(std::min(dictionary.size(), kMaxDictionary)))) {
  for (std::size_t i = 0; i + kMinMatch <= dictionary_.size(); ++i) {
    heads_[hash(dictionary_.data() + i)] = static_cast<std::uint16_t>(i + 1);
  }
}

Bytes LsaPacker::pack(ByteView text) const {
  if (text.size() > kMaxText) return {};
  Bytes window = dictionary_;
  window.insert(window.end(), text.begin(), text.end());
  Heads heads = heads_;
  Bytes out;
  out.reserve(text.size());
  ItemWriter items(out);
  for (std::size_t at = dictionary_.size(); at < window.size();) {
    std::size_t length = 0, from = 0;
    if (at + kMinMatch <= window.size()) {
      std::uint16_t& head = heads[hash(window.data() + at)];
      if (head != 0) {
        from = head - 1U;
        std::size_t most = std::min(kLongMatch, window.size() - at);
        while (length < most && window[from + length] == window[at + length]) ++length;
      }
      head = static_cast<std::uint16_t>(at + 1);
    }
    if (length < kMinMatch) {
      items.literal(window[at++]);
    } else {
      items.match(from, length);
      at += length;
    }
    if (out.size() >= text.size()) return {};
  }
  out.shrink_to_fit();
  return out;
}

void LsaPacker::unpack(ByteView packed, std::size_t size, Bytes& out) const {
  std::size_t base = out.size(), end = base + size;
  out.reserve(end);
  ByteReader in(packed);
  std::uint8_t flags = 0;
  for (unsigned item = 0; out.size() < end && in.ok(); ++item) {
    if (item % 8 == 0) flags = in.u8();
    if ((flags >> item % 8 & 1) == 0) {
      out.push_back(in.u8());
      continue;
    }
    std::uint16_t word = in.u16();
    std::size_t from = word >> 4, length = (word & 15) + kMinMatch;
    if (length == kShortMatch) length += in.u8();
    for (; length != 0 && out.size() < end; --length, ++from) {
      bool told = from < dictionary_.size();
      out.push_back(told ? dictionary_[from] : out[base + from - dictionary_.size()]);
    }
  }
}

}  // namespace dmsc::linkstate
