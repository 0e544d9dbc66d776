// Signalling 1 as a state machine (draft 4.1, 4.2-1, 5-1; DESIGN section 7; docs/protocol.md,
// "Announcements"): what pods announce, under which lease, whether the SPA granted it and whether it
// is well; out of that, what this gateway originates on the pods' behalf. Sans-I/O: instants and events
// come in; questions to the SPA, checks to run and status messages come out. Control thread.
//
//              ┌────────── retry, renewal, revocation ───────────┐
//   announce ─► pending ── SPA: yes ──► unhealthy ── rise ──► granted ─ lease broken + grace,
//              │   └───── SPA: no ──► refused   ◄── fall ──┘     │     withdrawn by the pod ─► gone
//              └ wrong ─► invalid       (a new announcement of the same prefix starts over)
//
// Only `granted` ones are originated: nothing is flooded before the grant (R15).
//
// A gateway that starts again takes what it originated before as *held* (restore()): the same instances
// under the same ids, with capacity 0, until their pods say it again or the grace is over (U18).
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmsc/core/time.hpp"
#include "dmsc/wire/lsa.hpp"
#include "dmsc/wire/signed_objects.hpp"

namespace dmsc::sgd {

enum class CheckKind : std::uint8_t { none, self, tcp, http, command };
const char* to_string(CheckKind kind);

struct CheckSpec {
  CheckKind kind = CheckKind::none;
  std::string target;                 // http: path; command: what to run
  Duration interval = seconds(1), timeout = milliseconds(500);
  unsigned rise = 1, fall = 2;
  friend bool operator==(const CheckSpec&, const CheckSpec&) = default;
};

struct PortMapping {
  std::uint16_t service = 0, endpoint = 0;
  std::string protocol;               // "tcp", "udp"
  std::string name = {};              // RFC 6335, lower case; empty: none
  friend bool operator==(const PortMapping&, const PortMapping&) = default;
};

struct AnnouncedService {
  Name prefix;
  bool covering = false, join_pool = false, messages = true;
  std::uint16_t capacity = 100;
  std::string endpoint;               // "address:port", empty = messages only
  std::vector<PortMapping> ports;
  CheckSpec check;
  std::map<std::string, std::string> metadata;
  friend bool operator==(const AnnouncedService&, const AnnouncedService&) = default;
};

// What is wrong with the mappings of one announcement: too many of them, too many names, a name twice.
Status check_ports(const std::vector<PortMapping>& ports);
// "http 80:8080/tcp, 53/udp"; empty without ports.
std::string to_text(const std::vector<PortMapping>& ports);
// What the Prefix LSA tells of it: its mapped ports, else the port of its endpoint, by both protocols.
std::vector<wire::ServicePort> told_ports(const AnnouncedService& service, std::uint16_t capacity);
// The same name, port and protocol more than once becomes one with their capacities added.
std::vector<wire::ServicePort> united(const std::vector<wire::ServicePort>& ports);

enum class AnnouncementState : std::uint8_t { pending, granted, refused, unhealthy, withdrawn, invalid };
const char* to_string(AnnouncementState state);

// One originated instance: what the data paths of the gateway must know.
struct LocalInstance {
  InstanceId id;
  std::string lease, identity;
  Name pool;                          // empty = joined none
  bool healthy = true;
  AnnouncedService service;
};

// What a restart must know of an originated instance (U18).
struct SavedAnnouncement {
  std::string lease, identity;
  bool permanent = false;             // a drop-in
  AnnouncedService service;
  InstanceId instance;
  Bytes grant;
  friend bool operator==(const SavedAnnouncement&, const SavedAnnouncement&) = default;
};

class Announcements {
 public:
  struct Config {
    NodeId self;
    Duration grace = seconds(3);      // a broken lease keeps its prefixes so long
    Duration retry = seconds(1);      // after an SPA could not be asked
    std::size_t max_per_lease = 4096;
    std::function<InstanceId()> new_instance;  // never one that was used before a restart
    std::function<std::uint16_t(const std::string& identity)> interface_of;  // draft 4.2-3
  };
  explicit Announcements(Config config);
  ~Announcements();

  // ---- leases ---------------------------------------------------------------------------------
  // A stream has opened. Resumes `resume` if that lease exists, belongs to the identity and its stream
  // is broken or superseded by this one; else makes `fresh`. Returns the lease in force.
  std::string open(Time now, const std::string& identity, const std::string& resume,
                   const std::string& fresh);
  void broken(Time now, const std::string& lease);
  // A lease that no stream keeps: drop-ins. Ends with close().
  void open_permanent(Time now, const std::string& identity, const std::string& lease);
  void close(Time now, const std::string& lease);  // withdraws at once
  const std::string* identity_of(const std::string& lease) const;

  // ---- over a restart -----------------------------------------------------------------------------
  std::vector<SavedAnnouncement> saved() const;  // all that are originated
  // Before anything else is called. Leases are taken as broken now; what no pod says again within the
  // grace is withdrawn. Returns how many were taken: not those whose grant is no more.
  std::size_t restore(Time now, DomainTime domain, const std::vector<SavedAnnouncement>& saved);

  // ---- announcements ----------------------------------------------------------------------------
  void announce(Time now, const std::string& lease, AnnouncedService service);
  void withdraw(Time now, const std::string& lease, const std::string& prefix);
  // The announcement itself is wrong: tells the pod.
  void invalid(const std::string& lease, const std::string& prefix, const std::string& why);

  // ---- answers ------------------------------------------------------------------------------------
  struct Answer {
    Bytes grant;                      // empty = refused
    std::string refusal_code, refusal;
  };
  // Result error = no SPA could be asked: the announcement waits with that reason.
  void answered(Time now, DomainTime domain, std::uint64_t ticket, Result<Answer> answer);
  // Counts only for a check of an announcement under `lease`.
  void checked(Time now, const std::string& lease, std::uint64_t ticket, bool healthy,
               const std::string& detail);
  // Grants for which `is_revoked` holds are given up and asked for again.
  void revoke(Time now, const std::function<bool(const wire::ObjectHeader&)>& is_revoked);
  void set_grace(Duration grace) { config_.grace = grace; }
  void set_draining(bool draining);   // instances are originated with capacity 0
  void tick(Time now, DomainTime domain);
  std::optional<Time> deadline() const;

  // ---- outputs ------------------------------------------------------------------------------------
  struct Question {
    std::uint64_t ticket = 0;
    std::string identity;
    Name prefix;
    bool covering = false, join_pool = false;
  };
  struct CheckRun {
    std::uint64_t ticket = 0;
    std::string lease, identity;      // who answers a self or command check
    Name prefix;
    std::string endpoint;             // what a tcp or http check connects to
    CheckSpec check;
  };
  struct Status {
    std::string lease, prefix;
    AnnouncementState state = AnnouncementState::pending;
    std::string reason;
    InstanceId instance;
  };
  std::vector<Question> take_questions();
  std::vector<CheckRun> take_checks();
  std::vector<Status> take_statuses();
  bool take_changed();                // entries(), grants() or instances() differ since the last call

  std::vector<wire::PrefixEntry> entries() const;
  std::vector<Bytes> grants() const;
  std::vector<LocalInstance> instances() const;  // granted or unhealthy ones
  // Names this identity may use as source: its granted prefixes, in order of grant.
  std::vector<std::pair<Name, InstanceId>> granted_names(const std::string& identity) const;

  struct View {
    std::string lease, identity, prefix, pool, endpoint, ports, check, health, reason;
    AnnouncementState state = AnnouncementState::pending;
    InstanceId instance;
    std::uint16_t capacity = 0;
    bool connected = false, covering = false;
    Duration in_state{};
    std::uint64_t valid_until = 0, checks_ok = 0, checks_failed = 0;
  };
  std::vector<View> views(Time now) const;
  std::size_t lease_count() const;

 private:
  struct Item;
  struct Lease;
  struct KnownGrant {
    wire::Grant grant;
    Bytes raw;
  };
  Item* find(const std::string& lease, const std::string& prefix);
  void set_state(Time now, Item& item, AnnouncementState state, std::string reason);
  void ask(Time now, Item& item);
  void take_grant(Time now, DomainTime domain, Item& item, const Bytes& raw);
  const KnownGrant* known_grant(const Item& item, DomainTime domain) const;
  std::string grant_problem(const Item& item, const wire::Grant& grant) const;
  void adopt(Time now, DomainTime domain, Item& item, const KnownGrant& grant);
  void service_item(Time now, DomainTime domain, Item& item);
  void start_checks(Time now, Item& item);
  void service_check(Time now, Item& item);
  bool restore(Time now, DomainTime domain, const SavedAnnouncement& saved);
  void said_again(Time now, Item& item);
  void drop_held(Time now);
  void remove(Time now, Lease& lease, const std::string& prefix, const std::string& reason);
  void drop_lease(Time now, const std::string& lease, const std::string& reason);

  Config config_;
  std::map<std::string, Lease> leases_;
  std::map<std::uint64_t, Item*> questions_open_, checks_open_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, KnownGrant> known_grants_;  // issuer, serial
  std::uint64_t next_ticket_ = 1;
  bool changed_ = false, draining_ = false;
  std::vector<Question> questions_;
  std::vector<CheckRun> checks_;
  std::vector<Status> statuses_;
};

}  // namespace dmsc::sgd
