// docs/protocol.md, "Digest" and "Ageing": the database against a plain model.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>

#include "dmsc/linkstate/lsdb.hpp"

using namespace dmsc;
using linkstate::Lsdb;

namespace {

// As it comes off the wire; the signature is of no concern here.
wire::LsaPtr lsa_of(std::uint32_t origin, std::uint16_t fragment, std::uint64_t sequence,
                    const Bytes& value, bool purge = false, std::uint32_t lifetime = 3600) {
  ByteWriter body, w;
  if (!purge) body.u16(9).bytes16(value);
  w.u8(0).u8(2).u16(fragment).u32(origin).u64(1).u64(sequence).u32(lifetime);
  w.u16(purge ? 0x8001 : 0x8000).bytes16(body.view());  // a flag nobody knows yet stays
  Bytes signature(wire::kLsaSignatureBytes);
  for (std::size_t i = 0; i < signature.size(); ++i) {
    signature[i] = static_cast<std::uint8_t>((origin * 31 + fragment * 7 + sequence) * (i + 3) >> 3);
  }
  w.bytes(signature);
  auto lsa = wire::decode_lsa(w.view());
  REQUIRE(lsa.ok());
  return *lsa;
}

Bytes text(std::mt19937& random, std::size_t size) {
  Bytes out;
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(random() % 5));
  return out;
}

struct Model {
  struct Held {
    wire::LsaPtr lsa;
    Time expires;
  };
  std::map<std::uint64_t, Held> held;
  Lsdb::Sum range(std::uint64_t lo, std::uint64_t hi) const {
    Lsdb::Sum out;
    for (auto it = held.lower_bound(lo); it != held.end() && it->first <= hi; ++it) {
      ++out.count;
      out.sum += linkstate::digest_item(*it->second.lsa);
    }
    return out;
  }
};

void check_equal(const Lsdb& lsdb, const Model& model) {
  REQUIRE(lsdb.size() == model.held.size());
  CHECK(lsdb.digest() == model.range(0, wire::kMaxKeyNumber).sum);
  auto expected = model.held.begin();
  std::uint32_t rank = 0;
  lsdb.visit([&](const Lsdb::Entry& entry) {
    CHECK(entry.key == expected->first);
    CHECK(entry.expires == expected->second.expires);
    Bytes raw;
    lsdb.read(entry, raw);
    CHECK(raw == expected->second.lsa->raw);
    CHECK(lsdb.load(entry)->hash == expected->second.lsa->hash);
    CHECK(lsdb.nth(rank).key == entry.key);
    CHECK(lsdb.rank(entry.key) == rank);
    ++rank;
    ++expected;
  });
}

}  // namespace

TEST_CASE("LS-D2 the database agrees with a plain model over random changes") {
  std::mt19937 random(7);
  Lsdb lsdb(99, text(random, 300));
  Model model;
  Time now = Time{} + seconds(50);
  for (int step = 0; step < 6000; ++step) {
    now += milliseconds(random() % 400);
    std::uint32_t origin = 1 + random() % 40;
    auto fragment = static_cast<std::uint16_t>(random() % 12);
    std::uint64_t key = wire::key_number({NodeId{origin}, wire::LsaType::prefix, fragment});
    unsigned what = random() % 10;
    if (what < 6) {
      auto lsa = lsa_of(origin, fragment, random(), text(random, random() % 900), random() % 8 == 0,
                        300 + random() % 3000);
      auto remaining = static_cast<std::uint32_t>(random() % 3600);
      lsdb.install(now, *lsa, remaining);
      model.held[key] = {lsa, now + seconds(std::min(remaining, lsa->lifetime))};
    } else if (what < 9) {
      lsdb.erase(key);
      model.held.erase(key);
    }
    while (auto gone = lsdb.expired(now)) {
      REQUIRE(model.held.at(*gone).expires <= now);
      lsdb.erase(*gone);
      model.held.erase(*gone);
    }
    std::optional<Time> soonest;
    for (const auto& [k, h] : model.held) {
      if (!soonest || h.expires < *soonest) soonest = h.expires;
      REQUIRE(h.expires > now);
    }
    REQUIRE(lsdb.next_expiry() == soonest);
    std::uint64_t a = random() % (45ULL << 24), b = random() % (45ULL << 24);
    REQUIRE(lsdb.range(std::min(a, b), std::max(a, b)) == model.range(std::min(a, b), std::max(a, b)));
    REQUIRE((lsdb.find(key) != nullptr) == (model.held.count(key) != 0));
    if (step % 500 == 0) check_equal(lsdb, model);
  }
  check_equal(lsdb, model);
}

TEST_CASE("LS-G4 a larger remaining lifetime counts, never beyond first seen plus signed lifetime") {
  Lsdb lsdb;
  Time now = Time{} + seconds(1000);
  auto lsa = lsa_of(3, 0, 1, {1, 2, 3}, false, 600);
  std::uint64_t key = wire::key_number(lsa->key);
  lsdb.install(now, *lsa, 100);
  lsdb.extend(now + seconds(50), key, 20);
  CHECK(lsdb.find(key)->expires == now + seconds(100));
  lsdb.extend(now + seconds(50), key, 200);
  CHECK(lsdb.find(key)->expires == now + seconds(250));
  lsdb.extend(now + seconds(50), key, 3000);
  CHECK(lsdb.find(key)->expires == now + seconds(600));
  CHECK(lsdb.next_expiry() == now + seconds(600));
}

TEST_CASE("LS-D2 a range digest and a change cost O(log n)") {
  std::mt19937 random(3);
  double per_range[2], per_change[2];
  for (int large : {0, 1}) {
    Lsdb lsdb(5);
    std::uint32_t origins = large ? 16000 : 1000;
    for (std::uint32_t o = 1; o <= origins; ++o) lsdb.install(Time{}, *lsa_of(o, 0, 1, {7}), 3600);
    std::uint64_t before = lsdb.steps();
    constexpr int kTimes = 1000;
    for (int i = 0; i < kTimes; ++i) {
      std::uint64_t lo = (random() % origins) << 24;
      lsdb.range(lo, lo + (static_cast<std::uint64_t>(random() % origins) << 24));
    }
    per_range[large] = static_cast<double>(lsdb.steps() - before) / kTimes;
    before = lsdb.steps();
    for (int i = 0; i < kTimes; ++i) {
      lsdb.install(Time{}, *lsa_of(1 + random() % origins, 0, 2 + random() % 9, {8}), 3600);
    }
    per_change[large] = static_cast<double>(lsdb.steps() - before) / kTimes;
  }
  CHECK(per_range[1] < 120);
  CHECK(per_change[1] < 60);
  CHECK(per_range[1] < 2 * per_range[0]);  // of a database 16 times as large
  CHECK(per_change[1] < 2 * per_change[0]);
}

TEST_CASE("LSAs at rest are packed, and unpacked byte for byte") {
  std::mt19937 random(11);
  linkstate::LsaPacker packer(text(random, 700));
  for (int i = 0; i < 3000; ++i) {
    Bytes in;
    while (in.size() < random() % 1200) {
      Bytes piece = text(random, 1 + random() % 40);
      if (random() % 3 == 0) piece = Bytes(1 + random() % 300, static_cast<std::uint8_t>(random()));
      if (random() % 3 == 0) {
        for (auto& b : piece) b = static_cast<std::uint8_t>(random());
      }
      in.insert(in.end(), piece.begin(), piece.end());
    }
    Bytes packed = packer.pack(in);
    if (packed.empty()) continue;
    CHECK(packed.size() < in.size());
    Bytes out{1, 2, 3};
    packer.unpack(packed, in.size(), out);
    CHECK(Bytes(out.begin() + 3, out.end()) == in);
  }
  Bytes noise;
  for (int i = 0; i < 1000; ++i) noise.push_back(static_cast<std::uint8_t>(random()));
  CHECK(packer.pack(noise).empty());
  // What is packed may end anywhere: nothing is read or written beyond.
  Bytes packed = packer.pack(Bytes(500, 7)), out;
  for (std::size_t cut = 0; cut < packed.size(); ++cut) {
    out.clear();
    packer.unpack(ByteView(packed).first(cut), 500, out);
    CHECK(out.size() <= 500);
  }
}
