#include "cli/list_fields.h"

#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <list>

#include "base/literal.h"
#include "base/strings.h"
#include "runtime/beans.h"
#include "runtime/load_average.h"

namespace vz::cli {

const char* Listed::status_word() const {
  if (status.running) return "running";
  if (status.mounted) return "mounted";
  return status.suspended ? "suspended" : "stopped";
}

const std::optional<cgroups::Usage>& Listed::usage() const {
  if (!usage_) usage_ = running ? runtime::usage_of(ct) : std::nullopt;
  return *usage_;
}

std::optional<uint64_t> Listed::pids() const {
  if (!running) return std::nullopt;
  const auto group = runtime::group_of(ct);
  const auto now = group ? group->pids() : group.error();
  return now ? std::optional(*now) : std::nullopt;
}

namespace {

// ---- how a value of a type prints ----------------------------------------------------------------------------------

using Text = std::optional<std::string>;
using List = std::optional<std::vector<std::string>>;
using Number = std::optional<uint64_t>;
using Flag = std::optional<bool>;

std::string text_of(const Text& v) { return v && !v->empty() ? printable(*v) : "-"; }
std::string text_of(const List& v) { return v && !v->empty() ? printable(join(*v, " ")) : "-"; }
std::string text_of(const Number& v) { return v ? std::to_string(*v) : "-"; }
std::string text_of(const Flag& v) { return v ? (*v ? "yes" : "no") : "-"; }

Json json_of(const Text& v) { return v ? Json(*v) : Json(); }
Json json_of(const List& v) { return v ? Json(*v) : Json::array(); }
Json json_of(const Number& v) { return v ? Json(*v) : Json(); }
Json json_of(const Flag& v) { return v ? Json(*v) : Json(); }

template <auto Get>
constexpr Field field(std::string_view name, std::string_view header, int width, bool in_json = true) {
  return {name,
          header,
          width,
          in_json,
          [](const Listed& c) { return text_of(Get(c)); },
          [](const Listed& c) { return json_of(Get(c)); }};
}

// ---- identity -----------------------------------------------------------------------------------------------------

Number id(const Listed& c) { return c.ct.id; }
Text private_area(const Listed& c) { return c.ct.area.private_dir; }
Text root(const Listed& c) { return c.ct.area.root_dir; }
Text hostname(const Listed& c) { return c.ct.spec.hostname; }
Text name(const Listed& c) { return c.ct.spec.name; }
Text description(const Listed& c) { return c.ct.spec.description; }
Text ostemplate(const Listed& c) { return c.ct.spec.ostemplate; }
Text origin_sample(const Listed& c) { return c.ct.spec.origin_sample; }
Text smart_name(const Listed& c) { return c.ct.spec.name ? c.ct.spec.name : std::to_string(c.ct.id); }
Text status(const Listed& c) { return c.status_word(); }
Text layout(const Listed& c) { return c.ct.area.layout == config::Layout::image ? "image" : "dir"; }
Flag onboot(const Listed& c) { return c.ct.spec.onboot; }
Flag disabled(const Listed& c) { return c.ct.spec.disabled.value_or(false); }
Number bootorder(const Listed& c) { return c.ct.spec.bootorder; }
// As it is stored.
template <Literal Key>
Text stored(const Listed& c) {
  return config::find_key(Key.view())->print(c.ct.spec);
}

// ---- network ------------------------------------------------------------------------------------------------------

// Of a running CT: what is really configured in it, its bridged interfaces included. Asking is most of a list's time:
// not where there can be nothing.
List addresses(const Listed& c) {
  const bool connected = c.ct.network.routed || !c.ct.network.veths.empty();
  if (c.running && connected) {
    const auto netns = sys::open_ns(c.running->init, "net");
    auto live = netns ? net::addresses(netns->get()) : Result<std::vector<std::string>>(netns.error());
    if (live) return std::move(*live);
  }
  std::vector<std::string> out;
  if (c.ct.spec.ip_address)
    for (const auto& a : *c.ct.spec.ip_address) out.push_back(a.address);
  return out;
}
List nameserver(const Listed& c) { return c.ct.spec.nameserver; }
List searchdomain(const Listed& c) { return c.ct.spec.searchdomain; }

// ---- beancounters -------------------------------------------------------------------------------------------------

using runtime::Bean;

template <Literal Name>
Bean bean(const Listed& c) {
  static const config::BeanKind& kKind = *config::find_bean(Name.view());
  const bool used = c.running && runtime::is_counted(kKind);
  return runtime::bean_of(kKind, c.ct.spec, c.running.has_value(), used ? c.usage() : std::nullopt);
}

Number barrier(const Bean& b) { return b.limits ? Number(b.limits->barrier) : std::nullopt; }
Number limit(const Bean& b) { return b.limits ? Number(b.limits->limit) : std::nullopt; }

template <auto Get>
Json bean_json(const Listed& c) {
  const Bean b = Get(c);
  if (!b.held && !b.limits) return Json();
  return {{"held", b.held.value_or(0)},
          {"maxheld", b.maxheld.value_or(0)},
          {"barrier", barrier(b).value_or(config::kUnlimited)},
          {"limit", limit(b).value_or(config::kUnlimited)},
          {"failcnt", b.failcnt.value_or(0)}};
}

Number held(const Bean& b) { return b.held; }
Number maxheld(const Bean& b) { return b.maxheld; }
Number failcnt(const Bean& b) { return b.failcnt; }

template <auto Get, auto Part>
std::string part_text(const Listed& c) {
  return text_of(Part(Get(c)));
}
template <auto Get, auto Part>
Json part_json(const Listed& c) {
  return json_of(Part(Get(c)));
}

// Five columns: NAME, and NAME.m and so on. Their names live as long as the program.
template <auto Get>
void add_bean(std::vector<Field>& out, const char* name, const char* header,
              std::string (*text)(const Listed&) = part_text<Get, held>) {
  static std::list<std::string> names;
  const auto part = [](const std::string& made) -> std::string_view { return names.emplace_back(made); };
  out.push_back({name, header, 10, true, text, bean_json<Get>});
  const auto add = [&](const char* suffix, auto show, auto value) {
    out.push_back({part(name + std::string(".") + suffix), part(header + std::string(".") + to_upper(suffix)), 10,
                   false, show, value});
  };
  add("m", part_text<Get, maxheld>, part_json<Get, maxheld>);
  add("b", part_text<Get, barrier>, part_json<Get, barrier>);
  add("l", part_text<Get, limit>, part_json<Get, limit>);
  add("f", part_text<Get, failcnt>, part_json<Get, failcnt>);
}

// In the order of /proc/user_beancounters.
std::vector<Field> bean_fields() {
  std::vector<Field> out;
  add_bean<bean<"kmemsize">>(out, "kmemsize", "KMEMSIZE");
  add_bean<bean<"lockedpages">>(out, "lockedpages", "LOCKEDP");
  add_bean<bean<"privvmpages">>(out, "privvmpages", "PRIVVMP");
  add_bean<bean<"shmpages">>(out, "shmpages", "SHMP");
  add_bean<bean<"numproc">>(out, "numproc", "NPROC", [](const Listed& c) { return text_of(c.pids()); });
  add_bean<bean<"physpages">>(out, "physpages", "PHYSP");
  add_bean<bean<"vmguarpages">>(out, "vmguarpages", "VMGUARP");
  add_bean<bean<"oomguarpages">>(out, "oomguarpages", "OOMGUARP");
  add_bean<bean<"numtcpsock">>(out, "numtcpsock", "NTCPSOCK");
  add_bean<bean<"numflock">>(out, "numflock", "NFLOCK");
  add_bean<bean<"numpty">>(out, "numpty", "NPTY");
  add_bean<bean<"numsiginfo">>(out, "numsiginfo", "NSIGINFO");
  add_bean<bean<"tcpsndbuf">>(out, "tcpsndbuf", "TCPSNDB");
  add_bean<bean<"tcprcvbuf">>(out, "tcprcvbuf", "TCPRCVB");
  add_bean<bean<"othersockbuf">>(out, "othersockbuf", "OTHSOCKB");
  add_bean<bean<"dgramrcvbuf">>(out, "dgramrcvbuf", "DGRAMRB");
  add_bean<bean<"numothersock">>(out, "numothersock", "NOTHSOCK");
  add_bean<bean<"dcachesize">>(out, "dcachesize", "DCACHESZ");
  add_bean<bean<"numfile">>(out, "numfile", "NFILE");
  add_bean<bean<"numiptent">>(out, "numiptent", "NIPTENT");
  add_bean<bean<"swappages">>(out, "swappages", "SWAPP");
  return out;
}

// ---- disk ---------------------------------------------------------------------------------------------------------

Number space_used(const Listed& c) {
  const auto u = storage::usage(c.ct.area);
  return u ? Number(u->space_kib) : std::nullopt;
}
Number inodes_used(const Listed& c) {
  const auto u = storage::usage(c.ct.area);
  return u ? Number(u->inodes) : std::nullopt;
}
Number soft(const std::optional<config::BarrierLimit>& v) { return v ? Number(v->barrier) : std::nullopt; }
Number hard(const std::optional<config::BarrierLimit>& v) { return v ? Number(v->limit) : std::nullopt; }
Number space_soft(const Listed& c) { return soft(c.ct.spec.diskspace); }
Number space_hard(const Listed& c) { return hard(c.ct.spec.diskspace); }
Number inodes_soft(const Listed& c) { return soft(c.ct.spec.diskinodes); }
Number inodes_hard(const Listed& c) { return hard(c.ct.spec.diskinodes); }

template <auto Used, auto Soft, auto Hard>
Json disk_json(const Listed& c) {
  const Number used = Used(c);
  if (!used && !Hard(c)) return Json();
  return {{"usage", used.value_or(0)}, {"softlimit", Soft(c).value_or(0)}, {"hardlimit", Hard(c).value_or(0)}};
}
template <auto Used, auto Soft, auto Hard>
constexpr Field disk(std::string_view name, std::string_view header) {
  return {name, header, 10, true, [](const Listed& c) { return text_of(Used(c)); }, disk_json<Used, Soft, Hard>};
}

// ---- processor and time -------------------------------------------------------------------------------------------

Number cpulimit(const Listed& c) { return c.ct.spec.cpulimit ? Number(c.ct.spec.cpulimit->percent) : std::nullopt; }
Number cpuunits(const Listed& c) { return c.ct.spec.cpuunits ? Number(*c.ct.spec.cpuunits) : std::nullopt; }
Number cpus(const Listed& c) { return c.ct.spec.cpus ? Number(*c.ct.spec.cpus) : std::nullopt; }

int64_t uptime_seconds(const Listed& c) {
  return c.running ? std::max<int64_t>(0, ::time(nullptr) - c.running->since) : 0;
}
std::string uptime_text(const Listed& c) {
  if (!c.running) return "-";
  const int64_t s = uptime_seconds(c);
  return fmt::format("{:03}d{:02}h:{:02}m:{:02}s", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}
Json uptime_json(const Listed& c) { return static_cast<double>(uptime_seconds(c)); }

std::optional<runtime::Load> laverage(const Listed& c) {
  static const runtime::Loads kLoads = runtime::current_loads({});
  const auto it = kLoads.find(c.ct.id);
  return c.running && it != kLoads.end() ? std::optional(it->second) : std::nullopt;
}
std::string laverage_text(const Listed& c) {
  const auto load = laverage(c);
  return load ? runtime::load_text(*load, "/") : "-";
}
Json laverage_json(const Listed& c) {
  const auto load = laverage(c);
  if (!load) return Json();
  constexpr double kOne = 100;
  Json out = Json::array();
  for (const uint64_t value : *load) out.push_back(static_cast<double>(value) / kOne);
  return out;
}

// ---- what is kept, and has no effect --------------------------------------------------------------------------------

template <Literal Key>
Number kept_number(const Listed& c) {
  const Text text = stored<Key>(c);
  return text ? parse_u64(*text) : std::nullopt;
}
// 0: not set.
template <Literal Key>
Json kept_json(const Listed& c) {
  return kept_number<Key>(c).value_or(0);
}
template <Literal Key>
std::string kept_text(const Listed& c) {
  const uint64_t number = kept_number<Key>(c).value_or(0);
  return number ? std::to_string(number) : "-";
}
Flag vswap(const Listed& c) { return config::is_vswap(c.ct.spec); }
std::string features_text(const Listed& c) { return text_of(stored<"FEATURES">(c)); }
Json features_json(const Listed& c) {
  const Text text = stored<"FEATURES">(c);
  if (!text) return Json();
  Json out = Json::object();
  for (const auto word : words(*text)) out[to_lower(word.substr(0, word.find(':')))] = word.ends_with(":on");
  return out;
}

Text capability(const Listed& c) {
  if (!c.ct.spec.capability || c.ct.spec.capability->empty()) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& cap : *c.ct.spec.capability) out.push_back(cap.name + (cap.on ? ":on" : ":off"));
  return join(out, ",");
}
std::string capability_text(const Listed& c) { return text_of(capability(c)); }
Json capability_json(const Listed& c) {
  if (!c.ct.spec.capability) return Json();
  Json out = Json::object();
  for (const auto& cap : *c.ct.spec.capability) out[cap.name] = cap.on;
  return out;
}

constexpr Field kIdentity[] = {
    field<id>("ctid", "CTID", 10),
    field<id>("veid", "CTID", 10),
    field<id>("vpsid", "CTID", 10),
    field<private_area>("private", "PRIVATE", -32),
    field<root>("root", "ROOT", -32),
    field<stored<"MOUNT_OPTS">>("mount_opts", "MOUNT_OPTS", -16),
    field<origin_sample>("origin_sample", "ORIGIN_SAMPLE", 32),
    field<hostname>("hostname", "HOSTNAME", -32),
    field<name>("name", "NAME", -32),
    field<smart_name>("smart_name", "SMARTNAME", 10),
    field<description>("description", "DESCRIPTION", -32),
    field<ostemplate>("ostemplate", "OSTEMPLATE", -32),
    field<addresses>("ip", "IP_ADDR", -15),
    field<nameserver>("nameserver", "NAMESERVER", -15),
    field<searchdomain>("searchdomain", "SEARCHDOMAIN", -15),
    field<status>("status", "STATUS", -9),
};

constexpr Field kRest[] = {
    disk<space_used, space_soft, space_hard>("diskspace", "DSPACE"),
    field<space_soft>("diskspace.s", "DSPACE.S", 10, false),
    field<space_hard>("diskspace.h", "DSPACE.H", 10, false),
    disk<inodes_used, inodes_soft, inodes_hard>("diskinodes", "DINODES"),
    field<inodes_soft>("diskinodes.s", "DINODES.S", 10, false),
    field<inodes_hard>("diskinodes.h", "DINODES.H", 10, false),
    {"laverage", "LAVERAGE", 14, true, laverage_text, laverage_json},
    {"uptime", "UPTIME", 15, true, uptime_text, uptime_json},
    field<cpulimit>("cpulimit", "CPULIM", 7),
    field<cpuunits>("cpuunits", "CPUUNI", 7),
    field<cpus>("cpus", "CPUS", 5),
    {"ioprio", "IOP", 3, true, kept_text<"IOPRIO">, kept_json<"IOPRIO">},
    {"iolimit", "IOLIMIT", 10, true, kept_text<"IOLIMIT">, kept_json<"IOLIMIT">},
    {"iopslimit", "IOPS", 4, true, kept_text<"IOPSLIMIT">, kept_json<"IOPSLIMIT">},
    field<onboot>("onboot", "ONBOOT", 6),
    field<bootorder>("bootorder", "BOOTORDER", 10),
    field<stored<"AUTOSTOP">>("autostop", "AUTOSTOP", 8),
    field<layout>("layout", "LAYOUT", -6),
    {"features", "FEATURES", -15, true, features_text, features_json},
    {"capability", "CAPABILITY", -15, true, capability_text, capability_json},
    field<vswap>("vswap", "VSWAP", 5),
    field<disabled>("disabled", "DISABL", 6),
    field<stored<"VM_OVERCOMMIT">>("vm_overcommit", "VM_OVC", 6),
    field<stored<"NETFILTER">>("netfilter", "NETFILTER", -9),
};

}  // namespace

std::span<const Field> list_fields() {
  static const std::vector<Field> kFields = [] {
    std::vector<Field> all(std::begin(kIdentity), std::end(kIdentity));
    for (const Field& f : bean_fields()) all.push_back(f);
    all.insert(all.end(), std::begin(kRest), std::end(kRest));
    return all;
  }();
  return kFields;
}

const Field* find_field(std::string_view wanted) {
  const auto all = list_fields();
  const auto it = std::find_if(all.begin(), all.end(), [&](const Field& f) { return f.name == wanted; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace vz::cli
