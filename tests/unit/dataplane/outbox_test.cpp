#include "dmsc/dataplane/outbox.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "dmsc/dataplane/receive_batch.hpp"
#include "dmsc/dataplane/udp_socket.hpp"
#include "dmsc/wire/service_header.hpp"

using namespace dmsc;
using namespace dmsc::dataplane;

namespace {

struct Receiver {
  explicit Receiver(bool trains) {
    UdpOptions options;
    options.trains = trains;
    fd = std::move(open_udp(SocketAddress::parse("127.0.0.1", 0).value(), options)).value();
    address = local_address(fd.get()).value();
  }
  // Everything that waits, datagram by datagram; `messages` counts what the kernel gave.
  std::vector<std::string> take() {
    std::vector<std::string> out;
    for (batch.reuse(); unsigned n = batch.receive(fd.get(), true).count; batch.reuse()) {
      messages += n;
      for (unsigned i = 0; i < n; ++i) {
        auto message = batch.message(i);
        std::size_t segment = batch.segment(i);
        for (std::size_t at = 0; at < message.size(); at += segment) {
          auto datagram = message.subspan(at, std::min(segment, message.size() - at));
          out.emplace_back(datagram.begin(), datagram.end());
        }
      }
    }
    return out;
  }
  UniqueFd fd;
  SocketAddress address;
  ReceiveBatch batch;
  unsigned messages = 0;
};

struct Sender {
  Sender() {
    fd = std::move(open_udp(SocketAddress::parse("127.0.0.1", 0).value(), {})).value();
  }
  void push(const Receiver& to, std::string text) {
    outbox.push(fd.get(), to.address, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, true,
                link);
  }
  WorkerCounters counters;
  LinkCounters link;
  Outbox outbox{counters};
  UniqueFd fd;
};

std::string numbered(int i, std::size_t size) {
  std::string text = std::to_string(i) + ":";
  return text + std::string(size - text.size(), static_cast<char>('a' + i % 26));
}

std::vector<std::string> numbered_list(int count, std::size_t size) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back(numbered(i, size));
  return out;
}

}  // namespace

TEST_CASE("D14 trains: datagrams of one size for one address leave as trains of at most 64, in order") {
  Sender sender;
  Receiver receiver(false);
  auto wanted = numbered_list(100, 200);
  for (const auto& text : wanted) sender.push(receiver, text);
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(sender.counters.trains_out.get() == 2);
  CHECK(sender.counters.packets_out.get() == 100);
  CHECK(sender.counters.bytes_out.get() == 100 * 200);
  CHECK(sender.link.packets_out.get() == 100);
}

TEST_CASE("D14 trains: only the last datagram of a train is shorter, and order holds over sizes") {
  Sender sender;
  Receiver receiver(false);
  std::vector<std::string> wanted;
  for (std::size_t size : {300, 300, 100, 300, 400, 400, 20, 20}) {
    wanted.push_back(numbered(static_cast<int>(wanted.size()), size));
    sender.push(receiver, wanted.back());
  }
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(sender.counters.trains_out.get() == 2);  // 300 300 100 | 300 | 400 400 20 | 20
}

TEST_CASE("D14 trains: interleaved addresses each get their own train") {
  Sender sender;
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (int i = 0; i < 16; ++i) receivers.push_back(std::make_unique<Receiver>(false));
  for (int round = 0; round < 4; ++round) {
    for (auto& receiver : receivers) sender.push(*receiver, numbered(round, 64));
  }
  sender.outbox.flush();
  for (auto& receiver : receivers) CHECK(receiver->take() == numbered_list(4, 64));
  CHECK(sender.counters.trains_out.get() == 16);
}

TEST_CASE("D14 trains: more addresses than trains, and more bytes than the outbox holds, lose nothing") {
  Sender sender;
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (int i = 0; i < 70; ++i) receivers.push_back(std::make_unique<Receiver>(false));
  for (int round = 0; round < 3; ++round) {
    for (auto& receiver : receivers) sender.push(*receiver, numbered(round, 5000));
  }
  sender.outbox.flush();
  for (auto& receiver : receivers) CHECK(receiver->take() == numbered_list(3, 5000));
}

TEST_CASE("D14 trains: with UDP_GRO a train arrives as one message") {
  Sender sender;
  Receiver receiver(true);
  auto wanted = numbered_list(40, 1200);
  wanted.push_back(numbered(40, 77));
  for (const auto& text : wanted) sender.push(receiver, text);
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(receiver.messages == 1);
}

TEST_CASE("D14 trains: switched off, every datagram leaves and arrives by itself") {
  Sender sender;
  Receiver receiver(true);
  sender.outbox.join(false);
  CHECK(receive_trains(receiver.fd.get(), false));
  auto wanted = numbered_list(30, 500);
  for (const auto& text : wanted) sender.push(receiver, text);
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(receiver.messages == 30);
  CHECK(sender.counters.trains_out.get() == 0);
}

TEST_CASE("D14 trains: one that the kernel refuses is sent datagram by datagram") {
  Sender sender;
  int one = 1;  // without checksums the kernel cuts nothing up
  REQUIRE(setsockopt(sender.fd.get(), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) == 0);
  Receiver receiver(false);
  auto wanted = numbered_list(10, 300);
  wanted.push_back(numbered(10, 40));
  for (const auto& text : wanted) sender.push(receiver, text);
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(sender.counters.trains_refused.get() == 1);
  CHECK(sender.counters.packets_out.get() == 11);
}

TEST_CASE("D14 trains: what the socket does not take is dropped under one reason, by the datagram") {
  Sender sender;
  SocketAddress nowhere = SocketAddress::parse("240.0.0.1", 9).value();
  std::string text(100, 'x');
  for (int i = 0; i < 5; ++i) {
    sender.outbox.push(sender.fd.get(), nowhere,
                       {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, true, sender.link);
  }
  sender.outbox.flush();
  CHECK(sender.counters.drops[static_cast<std::size_t>(forwarding::DropReason::link_down)].get() == 5);
  CHECK(sender.counters.packets_out.get() == 0);
}

TEST_CASE("D14 trains: small datagrams, long ones and trains arrive whole in any order") {
  Sender sender;
  Receiver receiver(true);
  std::vector<std::string> wanted;
  int number = 0;
  // Each line is one message or more; what is longer than the buffers lying close together follows small ones
  // and precedes them.
  for (std::size_t size : {60, 60, 1200, 3000, 60, 8000, 2048, 2049, 100}) {
    for (int i = 0; i < (size == 1200 ? 40 : 1); ++i) {
      wanted.push_back(numbered(number++, size));
      sender.push(receiver, wanted.back());
    }
    sender.outbox.flush();
  }
  CHECK(receiver.take() == wanted);
  for (const auto& text : wanted) sender.push(receiver, text);
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
}

TEST_CASE("D14 trains: small datagrams scattered in the receive buffers leave in order, hop tags in place") {
  Sender sender;
  Receiver receiver(false), other(false);
  const crypto::Key16 key{1, 2, 3};
  std::vector<std::string> wanted, wanted_other;
  std::vector<Bytes> buffers;  // the receive buffers: nothing lies behind another, but for pairs
  buffers.reserve(200);
  for (int i = 0; i < 150; ++i) {
    wire::ServicePacketSpec spec;
    spec.egress = NodeId{4};
    spec.destination = "B/4";
    spec.exchange = static_cast<std::uint32_t>(i);
    Bytes payload(i < 60 ? 60 : i < 90 ? 250 : 900, static_cast<std::uint8_t>(i));
    buffers.push_back(wire::build_service_packet(spec, payload).value());
    Bytes& raw = buffers.back();
    Bytes tagged = raw;
    auto packet = wire::ServicePacket::parse(tagged).value();
    forwarding::seal_hop(packet, key, 1, 0, static_cast<std::uint64_t>(i));
    bool here = i % 5 != 0;
    (here ? wanted : wanted_other).emplace_back(tagged.begin(), tagged.end());
    if (i % 3 == 0 && i < 60) {  // two that lie one behind the other, as in a train
      raw.insert(raw.end(), raw.begin(), raw.end());
      (here ? wanted : wanted_other).emplace_back(tagged.begin(), tagged.end());
    }
    std::size_t size = tagged.size();
    for (std::size_t at = 0; at < raw.size(); at += size) {
      std::span<std::uint8_t> one(raw.data() + at, size);
      wire::ServicePacket::parse(one).value().set_hop_block(1, 0, static_cast<std::uint64_t>(i), 0);
      sender.outbox.push(sender.fd.get(), (here ? receiver : other).address, one, false, sender.link, &key);
    }
  }
  sender.outbox.flush();
  CHECK(receiver.take() == wanted);
  CHECK(other.take() == wanted_other);
  CHECK(sender.counters.trains_refused.get() == 0);
}

TEST_CASE("D3 receive: datagrams of one source are known as such, others are not") {
  Sender one, other;
  Receiver receiver(false);
  for (Sender* from : {&one, &one, &other}) {
    from->push(receiver, "x");
    from->outbox.flush();
  }
  REQUIRE(receiver.batch.receive(receiver.fd.get(), true).count == 3);
  CHECK(receiver.batch.same_source(0, 1));
  CHECK_FALSE(receiver.batch.same_source(1, 2));
}

TEST_CASE("D14 receive: large messages are taken eight at a time, small ones as many as there are buffers") {
  Sender one;
  Receiver receiver(false);
  ReceiveBatch& batch = receiver.batch;
  auto push = [&](unsigned n, std::size_t size) {
    for (unsigned i = 0; i < n; ++i) {
      one.push(receiver, std::string(size, static_cast<char>('a' + i % 26)));
      one.outbox.flush();
    }
  };
  push(1, 5000);
  CHECK(batch.receive(receiver.fd.get(), true).count == 1);  // from now on there may be trains
  CHECK(batch.room() == 7);
  push(20, 5000);
  CHECK(batch.receive(receiver.fd.get(), true).count == 7);
  CHECK(batch.spent());
  for (unsigned i = 1; i < 8; ++i) {
    REQUIRE(batch.message(i).size() == 5000);
    CHECK(batch.message(i)[4999] == 'a' + (i - 1));
  }
  batch.reuse();
  CHECK(batch.receive(receiver.fd.get(), true).count == 8);
  batch.reuse();
  CHECK(batch.receive(receiver.fd.get(), true).count == 5);
  batch.reuse();
  push(1, 100);
  CHECK(batch.receive(receiver.fd.get(), true).count == 1);
  CHECK(batch.room() == 63);
}

TEST_CASE("D16 receive: what several sockets had lies in the buffers together until they are given back") {
  Sender one;
  Receiver first(false), second(false);
  for (Receiver* to : {&first, &second}) {
    for (unsigned i = 0; i < 40; ++i) {
      one.push(*to, (to == &first ? "first " : "second ") + std::to_string(i));
      one.outbox.flush();
    }
  }
  ReceiveBatch& batch = first.batch;
  auto text = [&](unsigned i) { return std::string(as_text(batch.message(i))); };
  auto got = batch.receive(first.fd.get(), false);
  CHECK((got.first == 0 && got.count == 40 && !got.full && got.drained));
  got = batch.receive(second.fd.get(), true);
  CHECK((got.first == 40 && got.count == 24 && got.full && !got.drained));
  CHECK(batch.room() == 0);
  for (unsigned i = 0; i < 40; ++i) CHECK(text(i) == "first " + std::to_string(i));
  for (unsigned i = 40; i < 64; ++i) CHECK(text(i) == "second " + std::to_string(i - 40));
  batch.reuse();
  got = batch.receive(second.fd.get(), false);
  CHECK((got.first == 0 && got.count == 16 && got.drained));
  CHECK(text(15) == "second 39");
  got = batch.receive(second.fd.get(), false);
  CHECK((got.count == 0 && got.drained));
}
