// TLVs with 16-bit type and length, as LSA bodies and hellos carry them.
#pragma once
#include "dmsc/core/bytes.hpp"
#include "dmsc/core/result.hpp"

namespace dmsc::wire {

inline constexpr std::size_t kTlvHeaderBytes = 4;

// Walks a chain of TLVs it does not own:
//   while (tlvs.next()) use(tlvs.type(), tlvs.value());   if (!tlvs.ok()) fail(tlvs.error());
class TlvReader {
 public:
  explicit TlvReader(ByteView chain) : chain_(chain) {}
  // False at the end and at the first TLV that does not fit.
  bool next() {
    if (!ok_ || at_ == chain_.size()) return false;
    ByteReader r(chain_.subspan(at_));
    type_ = r.u16();
    value_ = r.bytes16();
    ok_ = r.ok();
    if (ok_) at_ += kTlvHeaderBytes + value_.size();
    return ok_;
  }
  bool ok() const { return ok_; }
  std::uint16_t type() const { return type_; }
  ByteView value() const { return value_; }
  // What is wrong, and where; only after !ok().
  Error error() const {
    return make_error(Errc::truncated, "TLV at byte ", std::to_string(at_),
                      " reaches past the end");
  }
  // An error about the TLV just read.
  Error wrong(std::string_view what) const {
    return make_error(Errc::invalid, "TLV ", std::to_string(type_), " before byte ",
                      std::to_string(at_), ": ", what);
  }

 private:
  ByteView chain_, value_;
  std::size_t at_ = 0;
  std::uint16_t type_ = 0;
  bool ok_ = true;
};

inline void write_tlv(ByteWriter& w, std::uint16_t type, ByteView value) {
  w.u16(type).bytes16(value);
}

}  // namespace dmsc::wire
