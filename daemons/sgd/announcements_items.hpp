// What Announcements keeps of each announcement and lease; only for its own sources.
#pragma once
#include "sgd/announcements.hpp"

namespace dmsc::sgd {

struct Announcements::Item {
  std::string lease, identity;
  AnnouncedService service;
  AnnouncementState state = AnnouncementState::pending;
  std::string reason;
  InstanceId instance;
  Time since{};
  std::optional<Time> held_until;         // of before a restart, and nobody has said it again yet
  std::uint64_t question = 0;             // open ticket
  std::optional<Time> ask_at;             // when to ask (again)
  std::optional<wire::Grant> grant;       // in force
  // Health: one check at a time.
  std::uint64_t check_ticket = 0;
  std::optional<Time> check_at;           // next run, or when the running one is late
  bool healthy = false, ever_checked = false;
  unsigned streak = 0;                    // results in a row that speak against `healthy`
  std::uint64_t checks_ok = 0, checks_failed = 0;
  std::string check_detail;
};

struct Announcements::Lease {
  std::string identity;
  bool connected = true, permanent = false;
  Time broken_at{};
  std::map<std::string, std::unique_ptr<Item>> items;  // by prefix
};

}  // namespace dmsc::sgd
