#include "runtime/apply.h"

#include <algorithm>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "runtime/cleanup.h"
#include "runtime/devices.h"
#include "runtime/exec.h"
#include "runtime/guest_files.h"
#include "runtime/netdevs.h"
#include "runtime/start.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using Keys = std::set<std::string>;

bool any(const Keys& changed, std::initializer_list<std::string_view> keys) {
  return std::any_of(keys.begin(), keys.end(), [&](std::string_view k) { return changed.contains(std::string(k)); });
}

std::string stored(std::string_view key, const config::CtSpec& spec) {
  return config::find_key(key)->print(spec).value_or("");
}

std::string rate(uint64_t n, std::string_view unit) {
  return n ? fmt::format("{} {}", n, unit) : std::string("(unlimited)");
}

// What is named and not set is lifted: before a CPUMASK, an IOLIMIT was set for the first time there was none.
Result<void> bring_limits(const Container& ct, const Keys& named) {
  if (!any(named, {"PHYSPAGES", "SWAPPAGES", "NUMPROC", "CPUUNITS", "CPULIMIT", "CPUS", "CPUMASK", "NODEMASK",
                   "IOLIMIT", "IOPSLIMIT", "IOPRIO"}))
    return {};
  TRY_AS(cgroups::Group group, group_of(ct));
  TRY_AS(cgroups::Limits limits, ct.limits());
  if (any(named, {"CPUMASK"}) && !limits.cpus) limits.cpus = "";
  if (any(named, {"NODEMASK"}) && !limits.nodes) limits.nodes = "";
  if (any(named, {"IOLIMIT", "IOPSLIMIT"}) && !limits.io)
    if (const auto device = storage::block_device(ct.area)) limits.io = cgroups::IoLimit{.device = *device};
  if (any(named, {"IOPRIO"}) && !limits.io_weight) limits.io_weight = cgroups::kUsualIoWeight;
  return group.apply(limits);
}

// What is named, also when nothing changes: an admin who repeats himself wants to be told.
Result<void> apply_limits(const Container& after, const Keys& named) {
  TRY(bring_limits(after, named));
  if (any(named, {"PHYSPAGES", "SWAPPAGES", "NUMPROC"})) log::info("UB limits were set successfully");
  if (any(named, {"CPUUNITS"})) log::info("Setting CPU units: {}", after.spec.cpuunits.value_or(1000));
  if (any(named, {"CPULIMIT"}))
    log::info("Setting CPU limit: {}", after.spec.cpulimit ? after.spec.cpulimit->percent : 0);
  if (any(named, {"CPUS"})) log::info("Setting CPUs: {}", after.spec.cpus.value_or(0));
  if (any(named, {"CPUMASK"})) log::info("Setting CPU mask: {}", stored("CPUMASK", after.spec));
  if (any(named, {"NODEMASK"})) log::info("Setting node mask: {}", stored("NODEMASK", after.spec));
  if (any(named, {"IOPRIO"})) log::info("Setting ioprio: {}", stored("IOPRIO", after.spec));
  if (any(named, {"IOLIMIT"})) log::info("Setting iolimit: {}", rate(after.spec.iolimit.value_or(0), "bytes/sec"));
  if (any(named, {"IOPSLIMIT"})) log::info("Setting iopslimit: {}", rate(after.spec.iopslimit.value_or(0), "iops"));
  return {};
}

std::string list(const std::vector<config::IpAddress>& addresses) {
  std::string out;
  for (const auto& a : addresses) out += " " + a.text();
  return out;
}

std::vector<config::IpAddress> without(const std::optional<std::vector<config::IpAddress>>& all,
                                       const std::optional<std::vector<config::IpAddress>>& taken) {
  std::vector<config::IpAddress> out;
  if (!all) return out;
  for (const auto& a : *all)
    if (!taken || std::find(taken->begin(), taken->end(), a) == taken->end()) out.push_back(a);
  return out;
}

Result<void> check_addresses(const Container& before, const Container& after) {
  for (const auto& a : without(after.spec.ip_address, before.spec.ip_address)) {
    TRY_AS(bool used, net::address_in_use(a, after.network.routed->veth.host_name));
    if (used)
      return fail(Code::address_in_use, "Unable to add IP {}: it is in use on this host or its network", a.address);
  }
  return {};
}

Result<void> apply_addresses(const Container& before, const Container& after, int netns) {
  const auto gone = without(before.spec.ip_address, after.spec.ip_address);
  const auto added = without(after.spec.ip_address, before.spec.ip_address);
  if (!gone.empty()) log::info("Deleting IP address(es):{}", list(gone));
  for (const auto& a : gone) TRY(net::remove_address(*before.network.routed, a, netns));
  if (before.network.routed && !after.network.routed) {
    TRY(net::withdraw(*before.network.routed));
    return net::remove_link(before.network.routed->veth.host_name);
  }
  if (added.empty()) return {};
  log::info("Adding IP address(es):{}", list(added));
  TRY(net::add_routed(*after.network.routed, netns));
  (void)net::announce(after.network, netns);
  return {};
}

bool has(const std::vector<net::Veth>& veths, const net::Veth& v) {
  return std::find(veths.begin(), veths.end(), v) != veths.end();
}

Result<void> apply_veths(const Host& host, const Container& before, const Container& after, int netns) {
  for (const net::Veth& v : before.network.veths) {
    if (has(after.network.veths, v)) continue;
    log::info("Deleting veth devices: {} ", v.ct_name);
    TRY(net::remove_link(v.host_name));
  }
  for (const net::Veth& v : after.network.veths) {
    if (has(before.network.veths, v)) continue;
    log::info("Configure veth devices: {} ", v.ct_name);
    TRY(connect_veth(host, after, v, netns));
  }
  return {};
}

std::vector<std::string> without(const std::optional<std::vector<std::string>>& all,
                                 const std::vector<std::string>& taken) {
  std::vector<std::string> out;
  for (const std::string& name : all.value_or(std::vector<std::string>()))
    if (std::find(taken.begin(), taken.end(), name) == taken.end()) out.push_back(name);
  return out;
}

// By what it really has: the undo of a set that failed half-way takes back what came in.
Result<void> apply_netdevs(const Host& host, const Container& after, const Keys& changed, pid_t init) {
  if (!any(changed, {"NETDEV"})) return {};
  const auto has_now = lent_netdevs(host, after.id);
  const auto gone = without(has_now, after.spec.netdev.value_or(std::vector<std::string>()));
  const auto added = without(after.spec.netdev, has_now);
  if (!gone.empty()) log::info("Deleting network devices: {}", join(gone, " "));
  TRY(take_back_netdevs(host, after.id, gone));
  if (!added.empty()) log::info("Adding network devices: {}", join(added, " "));
  return lend_netdevs(host, after.id, added, init);
}

Result<void> apply_network(const Host& host, const Container& before, const Container& after, const Keys& changed,
                           pid_t init) {
  if (!any(changed, {"IP_ADDRESS", "NETIF"})) return {};
  TRY_AS(sys::UniqueFd netns, sys::open_ns(init, "net"));
  TRY(apply_addresses(before, after, netns.get()));
  return apply_veths(host, before, after, netns.get());
}

Result<void> apply_names(const Host& host, const Container& after, const Keys& changed) {
  if (any(changed, {"HOSTNAME", "NAMESERVER", "SEARCHDOMAIN", "IP_ADDRESS"})) TRY(prepare_guest_files(after));
  if (any(changed, {"HOSTNAME"})) {
    TRY_AS(sys::Output out, capture_inside(host, after, {"hostname", after.hostname()}, std::chrono::seconds(10)));
    if (!out.status.ok()) return fail(Code::bad_hostname, "Unable to set the hostname of the running container");
  }
  return {};
}

Result<void> apply_devices(const Container& before, const Container& after, const Keys& changed, pid_t init) {
  if (!any(changed, {"DEVNODES", "DEVICES"})) return {};
  return change_devices(before, after, init);
}

Result<void> apply_disk(const Container& before, const Container& after, const Keys& changed, bool save) {
  if (!any(changed, {"DISKSPACE", "DISKINODES"}) || !storage::area_exists(before.area.private_dir)) return {};
  if (before.area.layout != config::Layout::image) {
    log::warn("DISKSPACE and DISKINODES are not enforced by the layout 'dir'; they are only stored");
    return {};
  }
  if (!save) return fail(Code::usage, "Error: unable to use --diskspace option without --save");
  return storage::resize(before.area, after.quota());
}

// An image's inodes come with its size: another number would be stored and not hold.
Result<std::vector<config::Change>> without_inodes_of_image(const Container& ct, std::vector<config::Change> changes) {
  if (ct.area.layout != config::Layout::image || !storage::area_exists(ct.area.private_dir)) return changes;
  config::CtSpec spec = ct.spec;
  TRY(config::apply(spec, changes));  // a bad value is an error nevertheless
  if (std::erase_if(changes, [](const config::Change& c) { return c.param->key == "DISKINODES"; }) != 0)
    log::warn("--diskinodes is ignored for an image: its inodes grow with --diskspace");
  return changes;
}

bool needs_restart(const Keys& changed) { return any(changed, {"CAPABILITY"}); }

// vzctl's words for what a running CT cannot take.
Result<void> tell_restart_only(const Keys& changed, RestartOnly how) {
  if (!needs_restart(changed) || how == RestartOnly::restart) return {};
  constexpr const char* kCannot = "Unable to set capability on a running container";
  if (how == RestartOnly::refuse) return fail(Code::running, kCannot);
  log::error("{}", kCannot);
  log::error(
      "WARNING: Some of the parameters could not be applied to a running container.\n"
      "\tPlease consider using --setmode option; without it they take effect when it is started the next time.");
  return {};
}

Keys keys_of(const std::vector<config::Change>& changes) {
  Keys named;
  for (const config::Change& c : changes) named.insert(std::string(c.param->key));
  return named;
}

Result<void> apply_password(const Host& host, const Container& ct, const std::string& value) {
  Rollback undo;
  if (!storage::is_mounted(ct.area)) {
    TRY(mount(host, ct));
    undo.add("unmount", [&host, ct] { return unmount(host, ct); });
  }
  return set_password(ct, value);
}

Result<void> apply_passwords(const Host& host, const Container& ct, const std::vector<config::Change>& changes) {
  for (const config::Change& c : changes)
    if (c.param->option == "userpasswd") TRY(apply_password(host, ct, c.value));
  return {};
}

// To a running CT: BEFORE as it runs, AFTER as it shall run. A step's undo is added before the step: it may fail
// half-way.
Result<void> apply_live(const Host& host, const Container& before, const Container& after, const Keys& changed,
                        const Keys& named, pid_t init, Rollback& undo) {
  TRY(check_addresses(before, after));
  undo.add("live values", [&host, before] { return note_live(host, before); });
  TRY(note_live(host, after));  // before anything is there: whoever cleans up finds it although nothing may be saved
  undo.add("limits", [before, named] { return bring_limits(before, named); });
  TRY(apply_limits(after, named));
  undo.add("network",
           [&host, before, after, changed, init] { return apply_network(host, after, before, changed, init); });
  TRY(apply_network(host, before, after, changed, init));
  undo.add("network devices", [&host, before, changed, init] { return apply_netdevs(host, before, changed, init); });
  TRY(apply_netdevs(host, after, changed, init));
  undo.add("devices", [before, after, changed, init] { return apply_devices(after, before, changed, init); });
  if (any(named, {"DEVNODES", "DEVICES"})) log::info("Setting devices");
  TRY(apply_devices(before, after, changed, init));
  TRY(apply_names(host, after, changed));
  return {};
}

// Interfaces keep a MAC from the moment they are configured; LIKE has those that are chosen already.
void choose_macs(config::CtSpec& spec, const config::CtSpec& like) {
  if (!spec.netif) return;
  const auto known = like.netif.value_or(std::vector<config::NetIf>());
  for (config::NetIf& n : *spec.netif) {
    const auto twin =
        std::find_if(known.begin(), known.end(), [&](const config::NetIf& k) { return k.ifname == n.ifname; });
    if (n.mac.empty()) n.mac = twin != known.end() ? twin->mac : net::random_mac(false);
    if (n.host_mac.empty()) n.host_mac = twin != known.end() ? twin->host_mac : net::random_mac(true);
  }
}

struct Changed {
  Container ct;
  Keys keys;  // that really changed
};
Result<Changed> change(const Host& host, const Container& ct, const std::vector<config::Change>& changes,
                       const config::CtSpec& like) {
  config::File file = ct.file;
  config::CtSpec spec = ct.spec;
  TRY_AS(Keys keys, change_file(file, spec, changes, like));
  TRY_AS(Container changed, make_container(host, ct.id, std::move(file)));
  return Changed{std::move(changed), std::move(keys)};
}

Result<void> check(const Keys& changed, const SetOptions& options, bool running) {
  constexpr struct {
    const char *key, *option;
    Code code;
  } kOnlyStored[] = {{"NAME", "name", Code::name_conflict},
                     {"OSTEMPLATE", "ostemplate", Code::usage},
                     {"STOP_TIMEOUT", "stop-timeout", Code::usage}};
  for (const auto& p : kOnlyStored)
    if (changed.contains(p.key) && !options.save)
      return fail(p.code, "Error: unable to use --{} option without --save", p.option);
  for (const char* key : {"VE_PRIVATE", "VE_ROOT"})
    if (running && changed.contains(key)) return fail(Code::running, "Unable to change {} on a running container", key);
  return {};
}

}  // namespace

Result<Keys> change_file(config::File& file, config::CtSpec& spec, const std::vector<config::Change>& changes,
                         const config::CtSpec& like) {
  TRY(config::apply(spec, changes));
  choose_macs(spec, like);
  const Keys named = keys_of(changes);
  Keys changed;
  for (const config::Param& p : config::table()) {
    const std::string key(p.key);
    if (key.empty() || !named.contains(key) || changed.contains(key)) continue;
    const std::string value = p.print(spec).value_or("");
    if (file.get(key) == value) continue;
    TRY(file.set(key, value));
    changed.insert(key);
  }
  return changed;
}

Result<bool> set(const Host& host, const Container& ct, const std::vector<config::Change>& wanted,
                 const SetOptions& options) {
  TRY_AS(const auto changes, without_inodes_of_image(ct, wanted));
  const auto running = state::running(host.paths, ct.id);
  TRY_AS(const Container before, running ? live_container(host, ct) : Result<Container>(ct));
  TRY_AS(const Changed live, change(host, before, changes, before.spec));
  TRY_AS(const Changed saved, change(host, ct, changes, live.ct.spec));
  TRY(check(saved.keys, options, running.has_value()));
  const Keys cannot = running ? live.keys : Keys();
  const bool restart = needs_restart(cannot) && options.restart_only == RestartOnly::restart;
  Rollback undo;
  if (saved.keys.contains("NAME")) {
    const std::string now = saved.ct.spec.name.value_or(""), until_now = ct.spec.name.value_or("");
    TRY(state::assign_name(host.paths, ct.id, now, until_now));
    undo.add("name",
             [&host, id = ct.id, now, until_now] { return state::assign_name(host.paths, id, until_now, now); });
  }
  auto applied = [&]() -> Result<void> {
    TRY(tell_restart_only(cannot, options.restart_only));
    TRY(apply_passwords(host, ct, changes));
    TRY(apply_disk(ct, saved.ct, saved.keys, options.save));
    if (!running) return {};
    return apply_live(host, before, live.ct, live.keys, keys_of(changes), running->init, undo);
  }();
  if (!applied) {
    if (options.save) log::error("Error: failed to apply some parameters, not saving configuration file!");
    return std::move(applied).error();
  }
  if (!options.save) {
    undo.commit();
    if (!saved.keys.empty())
      log::error("WARNING: Settings were not saved to config{} (use --save flag)",
                 running ? " and will be lost after CT restart" : "");
    return false;
  }
  if (saved.keys.empty()) {
    undo.commit();
    log::info("No changes in CT configuration, not saving");
    return restart;
  }
  TRY(save_container(host, saved.ct));
  undo.commit();
  if (saved.keys.contains("NAME") && saved.ct.spec.name) log::info("Name {} assigned", *saved.ct.spec.name);
  log::info("CT configuration saved to {}", host.paths.conf(ct.id));
  return restart;
}

Result<void> reset_limits(const Host& host, const Container& ct) {
  if (!state::running(host.paths, ct.id)) return fail(Code::not_running, "Container is not running");
  const Keys keys = {"PHYSPAGES", "SWAPPAGES", "NUMPROC"};
  TRY_AS(const Container before, live_container(host, ct));
  config::File file = before.file;
  for (const std::string& key : keys)
    if (const auto value = ct.file.get(key))
      TRY(file.set(key, *value));
    else
      file.erase(key);
  TRY_AS(Container after, make_container(host, ct.id, std::move(file)));
  after.area = ct.area;
  Rollback undo;
  undo.add("live values", [&host, before] { return note_live(host, before); });
  TRY(note_live(host, after));
  undo.add("limits", [before, keys] { return bring_limits(before, keys); });
  TRY(apply_limits(after, keys));
  undo.commit();
  return {};
}

}  // namespace vz::runtime
