#include "runtime/container.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "base/strings.h"
#include "runtime/devices.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {
constexpr uint64_t kPage = 4096;
constexpr std::string_view kLiveNote = "live.conf";

std::optional<uint64_t> bytes(const std::optional<config::BarrierLimit>& pages) {
  if (!pages || pages->limit >= config::kUnlimited / kPage) return std::nullopt;
  return pages->limit * kPage;
}

// CPULIMIT and CPUS are both ceilings in percent of one CPU; the lower one holds.
std::optional<uint32_t> cpu_percent(const config::CtSpec& spec) {
  const auto cpus = static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::optional<uint32_t> out;
  if (spec.cpulimit && spec.cpulimit->percent)
    out = spec.cpulimit->of_host ? spec.cpulimit->percent * cpus : spec.cpulimit->percent;
  if (spec.cpus && *spec.cpus && *spec.cpus < cpus) out = std::min(out.value_or(UINT32_MAX), *spec.cpus * 100);
  return out;
}

using Numbers = std::vector<uint32_t>;

Numbers listed(const std::string& file) {
  const auto text = sys::read_file("/sys/devices/system/" + file);
  return text ? parse_numbers(trim(*text), UINT16_MAX).value_or(Numbers()) : Numbers();
}

// Those of WANTED that this host has; "": all, where it wants all.
Result<std::string> present(std::string_view key, const Numbers& wanted, const Numbers& here) {
  Numbers both;
  std::set_intersection(wanted.begin(), wanted.end(), here.begin(), here.end(), std::back_inserter(both));
  if (!both.empty() || wanted.empty()) return print_numbers(both);
  return fail(Code::invalid, "{} names {}, and this host has {}", key, print_numbers(wanted), print_numbers(here));
}

Result<void> choose_cpus(const config::CtSpec& spec, cgroups::Limits& l) {
  const Numbers nodes = spec.nodemask ? spec.nodemask->members : Numbers();
  if (spec.nodemask) {
    TRY_AS(l.nodes, present("NODEMASK", nodes, listed("node/online")));
  }
  if (!spec.cpumask) return {};
  Numbers cpus = spec.cpumask->members;
  if (spec.cpumask->automatic) {
    for (const uint32_t node : nodes) {
      const Numbers its = listed(fmt::format("node/node{}/cpulist", node));
      cpus.insert(cpus.end(), its.begin(), its.end());
    }
    std::sort(cpus.begin(), cpus.end());
  }
  TRY_AS(l.cpus, present("CPUMASK", cpus, listed("cpu/online")));
  return {};
}

// The beancounter's weights of the eight levels are 320 to 640, and 500 for the usual one: the same in proportion.
std::optional<uint32_t> io_weight(const config::CtSpec& spec) {
  constexpr uint32_t kWeights[] = {320, 365, 410, 460, 500, 550, 600, 640};
  if (!spec.ioprio || *spec.ioprio >= std::size(kWeights)) return std::nullopt;
  return kWeights[*spec.ioprio] * cgroups::kUsualIoWeight / kWeights[4];
}

Result<void> limit_io(const config::CtSpec& spec, const storage::Area& area, cgroups::Limits& l) {
  if ((!spec.iolimit && !spec.iopslimit) || !storage::is_mounted(area)) return {};
  cgroups::IoLimit io{.device = {}, .bytes = spec.iolimit.value_or(0), .operations = spec.iopslimit.value_or(0)};
  auto device = storage::block_device(area);
  if (!device) return io.bytes == 0 && io.operations == 0 ? Result<void>() : std::move(device).error();
  io.device = std::move(*device);
  l.io = std::move(io);
  return {};
}
}  // namespace

Result<cgroups::Limits> Container::limits() const {
  cgroups::Limits l;
  l.memory = bytes(spec.physpages);
  l.swap = bytes(spec.swappages);
  if (spec.numproc && spec.numproc->limit < config::kUnlimited) l.pids = spec.numproc->limit;
  l.cpu_units = spec.cpuunits;
  l.cpu_percent = cpu_percent(spec);
  l.io_weight = io_weight(spec);
  TRY(choose_cpus(spec, l));
  TRY(limit_io(spec, area, l));
  return l;
}

storage::Quota Container::quota() const {
  storage::Quota q;
  if (spec.diskspace && spec.diskspace->limit < config::kUnlimited) q.space_kib = spec.diskspace->limit;
  if (spec.diskinodes && spec.diskinodes->limit < config::kUnlimited) q.inodes = spec.diskinodes->limit;
  return q;
}

std::string Container::hostname() const { return spec.hostname.value_or(fmt::format("ct{}", id)); }

std::string Container::dump_dir(const Host& host) const { return fmt::format("{}/Dump.{}", host.conf.dumpdir, id); }

Result<Container> make_container(const Host& host, config::CtId id, config::File file) {
  Container ct;
  ct.id = id;
  ct.file = std::move(file);
  std::vector<std::string> warnings;
  config::load(ct.file, id, ct.spec, &warnings);
  for (const std::string& w : warnings) log::detail("{}: {}", host.paths.conf(id), w);
  config::load(host.conf_file, id, ct.spec);
  ct.area.private_dir = ct.spec.ve_private.value_or(fmt::format("/var/lib/vz/private/{}", id));
  ct.area.root_dir = ct.spec.ve_root.value_or(fmt::format("/var/lib/vz/root/{}", id));
  ct.area.layout = storage::detect_layout(ct.area.private_dir).value_or(ct.spec.layout.value_or(config::Layout::image));
  ct.network = net::plan(id, ct.spec);
  for (net::Veth& v : ct.network.veths)
    if (v.bridge.empty()) v.bridge = host.default_bridge;
  ct.ids.first = state::first_id(id);
  return ct;
}

Result<Container> load_container(const Host& host, config::CtId id) {
  const std::string path = host.paths.conf(id);
  auto text = sys::read_file(path);
  if (!text) {
    if (text.error().sys_errno == ENOENT) return fail(Code::no_ct_config, "Container config file does not exist");
    return std::move(text).error();
  }
  return make_container(host, id, config::File::parse(*text));
}

Result<void> save_container(const Host& host, const Container& ct) {
  auto saved = sys::replace_file(host.paths.conf(ct.id), ct.file.text());
  if (!saved) return std::move(saved).error().with_code(Code::config_save_failed);
  return {};
}

Result<Container> live_container(const Host& host, const Container& ct) {
  const auto text = state::load_note(host.paths, ct.id, kLiveNote);
  if (!text) return text.error().code == Code::not_found ? Result<Container>(ct) : text.error();
  config::File file = config::File::parse(*text);
  for (const config::Param& p : config::table()) {  // what a running CT does not depend on is as it is stored now
    if (p.live != config::Live::save) continue;
    const auto stored = ct.file.get(p.key);
    if (stored)
      TRY(file.set(p.key, *stored));
    else
      file.erase(p.key);
  }
  TRY_AS(Container live, make_container(host, ct.id, std::move(file)));
  live.area = ct.area;
  return live;
}

Result<void> note_live(const Host& host, const Container& live) {
  return state::save_note(host.paths, live.id, kLiveNote, live.file.text());
}

Result<cgroups::Group> group_of(const Container& ct) {
  static const auto host = cgroups::detect();
  if (!host) return host.error();
  return cgroups::Group(*host, std::to_string(ct.id));
}

Result<void> make_group(const Container& ct) {
  TRY_AS(const cgroups::Group group, group_of(ct));
  const auto devices = host_devices(ct.spec).value_or({});  // by number alone: nodes are not dumped
  TRY(group.create(ct.ids.first, numbers_of(devices)), "cgroups");
  TRY_AS(const cgroups::Limits limits, ct.limits());
  TRY(group.apply(limits), "limits");
  return {};
}

}  // namespace vz::runtime
