// spactl's own verbs: they edit the registry, on the admin socket of the writer (a replica refuses
// and names the writer). Each is one call of RegistryAdmin; `audit verify` is an inspect topic.
#include <dmsc/v1/registry.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <fstream>
#include <iostream>
#include <sstream>

#include "commands.hpp"
#include "dmsc/runtime/grpc_status.hpp"

namespace dmsc::ctl {
namespace {

using Stub = v1::RegistryAdmin::Stub;

void refused(Context& context, const grpc::Status& status) {
  context.fail(runtime::from_grpc(status));
  if (context.exit_code == kUsage || context.exit_code == kNegative) context.exit_code = kRefused;
}

void print_done(Context& context, const v1::RegistryDone& reply) {
  if (context.json) {
    std::cout << Json{{"schema", 1},
                      {"daemon", "spad"},
                      {"detail", reply.detail()},
                      {"position", reply.position()}}
              << "\n";
  } else {
    std::cout << printable(reply.detail()) << "\n";
  }
}

// The token alone goes to stdout, so that it can be piped; what it is for goes to stderr.
void print_token(Context& context, const v1::JoinToken& reply) {
  if (context.json) {
    std::cout << Json{{"schema", 1},
                      {"daemon", "spad"},
                      {"name", reply.name()},
                      {"node_id", reply.node_id()},
                      {"token", reply.token()},
                      {"expires", reply.expires()}}
              << "\n";
    return;
  }
  std::cerr << "join token of " << printable(reply.name()) << ", shown only now:\n";
  std::cout << printable(reply.token()) << "\n";
}

// One unary call; `print` gets the reply.
template <class Request, class Reply>
void call(Context& context,
          grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
          const Request& request, void (*print)(Context&, const Reply&)) {
  auto channel = context.admin_channel();
  if (!channel) return;
  auto stub = v1::RegistryAdmin::NewStub(channel);
  grpc::ClientContext call_context;
  call_context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  Reply reply;
  grpc::Status status = ((*stub).*method)(&call_context, request, &reply);
  if (!status.ok()) return refused(context, status);
  print(context, reply);
}

void add_node_commands(CLI::App& app, Context& context) {
  CLI::App* node = app.add_subcommand("node", "Members of the domain")->require_subcommand(1);
  auto spec = std::make_shared<v1::NodeSpec>();
  CLI::App* add = node->add_subcommand("add", "A new member; prints its join token");
  add->add_option_function<std::string>(
         "NAME", [spec](const std::string& v) { spec->set_name(v); }, "1 to 63 of a-z, 0-9 and -")
      ->required();
  add->add_option_function<std::string>(
         "--role", [spec](const std::string& v) { spec->set_role(v); },
         "sg, sr, spa, scsc, pod or operator")
      ->required();
  add->add_option_function<std::string>(
      "--address", [spec](const std::string& v) { spec->set_address(v); },
      "host:port that others dial (spa, scsc)");
  add->add_option_function<std::string>(
      "--nearest-spa", [spec](const std::string& v) { spec->set_nearest_spa(v); },
      "the SPA this node asks first");
  add->callback([&context, spec] { call(context, &Stub::AddNode, *spec, print_token); });

  auto name = std::make_shared<v1::NodeName>();
  CLI::App* remove = node->add_subcommand("remove", "Revokes its key and grants everywhere");
  remove->add_option_function<std::string>(
            "NAME", [name](const std::string& v) { name->set_name(v); }, "a member")
      ->required();
  remove->callback([&context, name] { call(context, &Stub::RemoveNode, *name, print_done); });

  CLI::App* token = app.add_subcommand("token", "Join tokens")->require_subcommand(1);
  auto holder = std::make_shared<v1::NodeName>();
  CLI::App* fresh = token->add_subcommand("new", "Another token; older unused ones become void");
  fresh->add_option_function<std::string>(
           "NAME", [holder](const std::string& v) { holder->set_name(v); }, "a member")
      ->required();
  fresh->callback([&context, holder] { call(context, &Stub::NewToken, *holder, print_token); });
}

void add_prefix_commands(CLI::App& app, Context& context) {
  CLI::App* prefix = app.add_subcommand("prefix", "Who may announce what")->require_subcommand(1);
  auto rule = std::make_shared<v1::PrefixRule>();
  CLI::App* set = prefix->add_subcommand("set", "Adds or replaces a rule");
  set->add_option_function<std::string>(
         "SUBTREE", [rule](const std::string& v) { rule->set_subtree(v); }, "such as shop/cart")
      ->required();
  set->add_option_function<std::string>(
      "--owner", [rule](const std::string& v) { rule->set_identity(v); },
      "pod:NAME, unit:NAME or uid:N, perhaps with @GATEWAY; none: only marks a pool");
  set->add_option_function<std::uint32_t>(
      "--depth", [rule](const std::uint32_t& v) { rule->set_depth(v); },
      "components allowed below SUBTREE, default 0");
  set->add_flag_callback(
      "--covering", [rule] { rule->set_covering(true); }, "covering prefixes are allowed");
  set->add_flag_callback(
      "--pool", [rule] { rule->set_pool(true); }, "SUBTREE is a pool its children may join");
  set->callback([&context, rule] { call(context, &Stub::SetPrefix, *rule, print_done); });

  auto gone = std::make_shared<v1::PrefixRuleName>();
  CLI::App* remove = prefix->add_subcommand("remove", "Removes rules and revokes their grants");
  remove->add_option_function<std::string>(
            "SUBTREE", [gone](const std::string& v) { gone->set_subtree(v); }, "of the rules")
      ->required();
  remove->add_option_function<std::string>(
      "--owner", [gone](const std::string& v) { gone->set_identity(v); },
      "only the rule of this identity");
  remove->callback([&context, gone] { call(context, &Stub::RemovePrefix, *gone, print_done); });
}

Result<v1::RevokeRequest> parse_grant(const std::string& text) {
  std::uint32_t issuer = 0;
  std::uint64_t serial = 0;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, issuer);
  bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  auto second = std::from_chars(slash ? first.ptr + 1 : end, end, serial);
  if (!slash || second.ec != std::errc() || second.ptr != end) {
    return make_error(Errc::invalid, "'", text, "' is no grant: ISSUER/SERIAL, as in 1/42");
  }
  v1::RevokeRequest request;
  request.set_issuer(issuer);
  request.set_serial(serial);
  return request;
}

void add_revoke(CLI::App& app, Context& context) {
  struct Wanted {
    std::string grant, reason;
  };
  auto wanted = std::make_shared<Wanted>();
  CLI::App* revoke = app.add_subcommand("revoke", "Revokes one grant, everywhere");
  revoke->add_option("GRANT", wanted->grant, "ISSUER/SERIAL, as 'show grants' has it")->required();
  revoke->add_option("--reason", wanted->reason, "kept in the registry");
  revoke->callback([&context, wanted] {
    Result<v1::RevokeRequest> request = parse_grant(wanted->grant);
    if (!request) return context.fail(request.error());
    request->set_reason(wanted->reason);
    call(context, &Stub::Revoke, *request, print_done);
  });
}

void add_link_key(CLI::App& app, Context& context) {
  CLI::App* keys = app.add_subcommand("link-key", "The key of all links")->require_subcommand(1);
  auto step = std::make_shared<v1::RotateRequest>();
  CLI::App* rotate = keys->add_subcommand("rotate", "One step of a rotation, ten seconds apart");
  rotate
      ->add_option_function<std::string>(
          "STEP", [step](const std::string& v) { step->set_step(v); },
          "add (accepted), activate (sent), retire (the old one)")
      ->required()
      ->check(CLI::IsMember({"add", "activate", "retire"}));
  rotate->callback([&context, step] { call(context, &Stub::RotateLinkKey, *step, print_done); });
}

void add_load(CLI::App& app, Context& context) {
  auto file = std::make_shared<std::string>();
  CLI::App* load = app.add_subcommand("load", "Loads a registry file, all or nothing");
  load->add_option("FILE", *file, "YAML; - is standard input")->required();
  load->callback([&context, file] {
    std::stringstream text;
    std::ifstream in;
    if (*file == "-") {
      text << std::cin.rdbuf();
    } else {
      in.open(*file);
      if (!in) return context.fail(make_error(Errc::invalid, *file, ": cannot be read"));
      text << in.rdbuf();
    }
    v1::LoadRequest request;
    request.set_yaml(text.str());
    call(context, &Stub::Load, request, print_done);
  });
}

void add_audit(CLI::App& app, Context& context) {
  auto what = std::make_shared<std::string>("50");
  CLI::App* audit = app.add_subcommand("audit", "The newest decisions, or checks the whole chain");
  audit->add_option("WHAT", *what, "how many records, or verify")->capture_default_str();
  audit->callback([&context, what] {
    auto client = context.inspect();
    if (!client) return;
    auto reply = client->show("audit", {*what});
    if (!reply) return context.fail(reply.error());
    context.print(*reply);
  });
}

}  // namespace

void add_spa(CLI::App& app, Context& context) {
  add_node_commands(app, context);
  add_prefix_commands(app, context);
  add_revoke(app, context);
  add_link_key(app, context);
  add_load(app, context);
  add_audit(app, context);
}

}  // namespace dmsc::ctl
