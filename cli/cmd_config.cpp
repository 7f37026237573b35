#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/lifecycle.h"
#include "runtime/apply.h"
#include "runtime/create.h"
#include "runtime/effects.h"

namespace vz::cli {

namespace {

// Options that older scripts know by a letter.
constexpr std::pair<std::string_view, char> kLetters[] = {
    {"numiptent", 'e'},   {"numproc", 'p'},  {"numflock", 'f'},  {"numpty", 't'},  {"numsiginfo", 'i'},
    {"lockedpages", 'l'}, {"kmemsize", 'k'}, {"tcprcvbuf", 'b'}, {"numfile", 'n'}, {"dcachesize", 'x'}};

char letter_of(std::string_view option) {
  const auto at =
      std::find_if(std::begin(kLetters), std::end(kLetters), [&](const auto& l) { return l.first == option; });
  return at == std::end(kLetters) ? '\0' : at->second;
}

// Every row of the parameter table that has an option, and these.
std::vector<Option> with_parameters(std::initializer_list<Option> more) {
  std::vector<Option> out(more);
  for (const config::Param& p : config::table())
    if (!p.option.empty()) out.push_back({p.option, true, letter_of(p.option)});
  return out;
}

// What may follow --ifname.
constexpr Option kInterfaceOptions[] = {
    {"mac", true}, {"host_ifname", true}, {"host_mac", true}, {"bridge", true}, {"mac_filter", true}};

Result<std::vector<config::Change>> changes_of(const Parsed& parsed) {
  std::vector<config::Change> out;
  for (const Parsed::Item& i : parsed.items) {
    if (const config::Param* p = config::find_option(i.name)) out.push_back({p, i.value});
    if (std::none_of(std::begin(kInterfaceOptions), std::end(kInterfaceOptions),
                     [&](const Option& o) { return o.name == i.name; }))
      continue;
    if (out.empty() || out.back().param->option != "ifname" || i.value.find_first_of(",;") != std::string::npos)
      return fail(Code::usage, "--{0} says what of an interface to change: --ifname NAME --{0} VALUE", i.name);
    out.back().value += fmt::format(",{}={}", i.name, i.value);
  }
  if (parsed.has("nodemask") && !parsed.has("cpumask")) return fail(Code::usage, "--nodemask goes with --cpumask");
  if (parsed.value("cpumask") == "auto" && !parsed.has("nodemask"))
    return fail(Code::usage, "--cpumask auto takes the CPUs of --nodemask, which is missing");
  return out;
}

Result<int> run_create(Context& ctx) {
  const auto options = with_parameters({{"config", true}, {"ve_layout", true}, {"velayout", true}});
  TRY_AS(Parsed parsed, parse_only_options(ctx.args, options));
  for (Parsed::Item& i : parsed.items)
    if (i.name == "ve_layout" || i.name == "velayout") i.name = "layout";
  TRY_AS(const auto changes, changes_of(parsed));
  runtime::CreateOptions create;
  create.sample = parsed.value("config");
  create.ostemplate = parsed.value("ostemplate");
  create.apply = [&](config::File& file) -> Result<void> {
    config::CtSpec spec;
    config::load(file, ctx.id, spec);
    TRY(runtime::change_file(file, spec, changes));
    return {};
  };
  auto ct = runtime::create(ctx.host, ctx.id, create);
  if (!ct) {
    log::error("{}", ct.error().text);
    return Error{ct.error().code, 0, "Creation of container private area failed"};
  }
  runtime::tell_without_effect(*ct, changes);
  return 0;
}

// What a sample says of limits and the like. What makes a CT this one it keeps, and lists (addresses, interfaces) too.
Result<std::vector<config::Change>> changes_of_sample(const runtime::Host& host, const std::string& name) {
  constexpr std::string_view kOwn[] = {"NAME",    "DESCRIPTION", "HOSTNAME", "OSTEMPLATE", "OSTEMPLATE_DIGEST",
                                       "VE_ROOT", "VE_PRIVATE",  "VE_LAYOUT"};
  auto sample = runtime::read_sample(host, name);
  if (!sample) return std::move(sample).error().with_code(Code::applyconfig_failed);
  std::vector<config::Change> out;
  for (const auto& [key, value] : sample->entries()) {
    const config::Param* p = config::find_key(key);
    const bool own = std::find(std::begin(kOwn), std::end(kOwn), key) != std::end(kOwn);
    if (p && !p->repeatable && !own) out.push_back({p, value});
  }
  return out;
}

Result<int> reset_ub(Context& ctx, const Parsed& parsed) {
  if (parsed.items.size() > 1) return fail(Code::usage, "Error: --reset_ub cannot be used with any other option");
  TRY_AS(const runtime::Container ct, container(ctx));
  TRY(runtime::reset_limits(ctx.host, ct));
  return 0;
}

Result<runtime::SetOptions> set_options(const Parsed& parsed) {
  constexpr std::pair<std::string_view, runtime::RestartOnly> kModes[] = {{"restart", runtime::RestartOnly::restart},
                                                                          {"ignore", runtime::RestartOnly::refuse}};
  runtime::SetOptions out{.save = parsed.has("save")};
  if (parsed.has("force") && !out.save) return fail(Code::usage, "Error: unable to use --force option without --save");
  const auto word = parsed.value("setmode");
  if (!word) return out;
  const auto mode = std::find_if(std::begin(kModes), std::end(kModes), [&](const auto& m) { return m.first == *word; });
  if (mode == std::end(kModes))
    return fail(Code::usage, "Bad value for --setmode: {} (restart or ignore)", printable(*word));
  out.restart_only = mode->second;
  if (out.restart_only == runtime::RestartOnly::restart && !out.save)
    return fail(Code::usage, "Error: unable to use --setmode restart option without --save");
  return out;
}

Result<int> run_set(Context& ctx) {
  auto options = with_parameters({{"save"}, {"force"}, {"setmode", true}, {"applyconfig", true}, {"reset_ub"}});
  options.insert(options.end(), std::begin(kInterfaceOptions), std::end(kInterfaceOptions));
  TRY_AS(Parsed parsed, parse_only_options(ctx.args, options));
  if (parsed.has("reset_ub")) return reset_ub(ctx, parsed);
  TRY_AS(const runtime::SetOptions how, set_options(parsed));
  std::vector<config::Change> changes;
  if (const auto sample = parsed.value("applyconfig")) {
    TRY_AS(changes, changes_of_sample(ctx.host, *sample));
  }
  TRY_AS(const auto typed, changes_of(parsed));
  changes.insert(changes.end(), typed.begin(), typed.end());
  if (changes.empty()) return fail(Code::usage, "Nothing to set (see vzctl set --help)");
  auto ct = container(ctx);
  if (!ct && ct.error().code == Code::no_ct_config && parsed.has("save")) {
    log::error("WARNING: {} not found", ctx.host.paths.conf(ctx.id));
    ct = runtime::make_container(ctx.host, ctx.id, config::File{});
  }
  if (!ct) return std::move(ct).error();
  TRY_AS(const bool restart_due, runtime::set(ctx.host, *ct, changes, how));
  runtime::tell_without_effect(*ct, typed);  // not what a sample says
  if (!restart_due) return 0;
  TRY_AS(const runtime::Container changed, container(ctx));
  TRY(restart(ctx, changed), "saved, but not restarted");
  return 0;
}

}  // namespace

constinit const Command kCreate = {.name = "create",
                                   .args = "[--ostemplate NAME] [--PARAMETER...]",
                                   .summary = "make it from an OS template (no CTID: the next free one)",
                                   .options = "\n  --config NAME                        begin with this sample\n",
                                   .lock_status = "creating",
                                   .needs_config = false,
                                   .takes_parameters = true,
                                   .run = run_create};
constinit const Command kSet = {.name = "set",
                                .args = "--PARAMETER VALUE... [--save]",
                                .summary = "change it, live where possible",
                                .options =
                                    "\n  --save                               keep it, in CTID.conf\n"
                                    "  --applyconfig NAME                   all that this sample says\n"
                                    "  --setmode restart|ignore             restart it where needed, or refuse\n"
                                    "  --reset_ub                           (alone) limits as they are stored\n",
                                .lock_status = "setting",
                                .needs_config = false,
                                .takes_parameters = true,
                                .run = run_set};

}  // namespace vz::cli
