#include "runtime/netdevs.h"

#include <fcntl.h>

#include <algorithm>

#include "base/log.h"
#include "base/rollback.h"
#include "net/lent.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::runtime {

namespace {

// Notes: what it has; and the place of the mount that keeps its network namespace.
constexpr std::string_view kLentNote = "netdevs";
constexpr std::string_view kNamespaceNote = "netns";

std::string namespace_path(const Host& host, config::CtId id) {
  return fmt::format("{}/{}", host.paths.run(id), kNamespaceNote);
}

std::vector<net::LentDevice> load_lent(const Host& host, config::CtId id) {
  const auto text = state::load_note(host.paths, id, kLentNote);
  return text ? net::parse_lent(*text) : std::vector<net::LentDevice>();
}

Result<void> save_lent(const Host& host, config::CtId id, const std::vector<net::LentDevice>& lent) {
  return state::save_note(host.paths, id, kLentNote, net::print_lent(lent));
}

Result<void> keep_namespace(const Host& host, config::CtId id, pid_t init) {
  const std::string path = namespace_path(host, id);
  if (sys::is_mount_point(path)) return {};
  TRY(state::save_note(host.paths, id, kNamespaceNote, ""));
  return sys::bind(fmt::format("/proc/{}/ns/net", init), path);
}

Result<void> let_go_of_namespace(const Host& host, config::CtId id) {
  const std::string path = namespace_path(host, id);
  if (sys::is_mount_point(path)) TRY(sys::umount_lazy(path));
  TRY(state::forget_note(host.paths, id, kNamespaceNote));
  return state::forget_note(host.paths, id, kLentNote);
}

// Noted before it is moved: whoever cleans up finds it.
Result<void> lend_one(const Host& host, config::CtId id, net::LentDevice device, int netns) {
  auto lent = load_lent(host, id);
  device.index = net::next_lent_index(lent);
  lent.push_back(device);
  TRY(save_lent(host, id, lent));
  TRY_AS(lent.back(), net::lend(device, netns));
  return save_lent(host, id, lent);
}

}  // namespace

Result<void> lend_netdevs(const Host& host, config::CtId id, const std::vector<std::string>& names, pid_t init) {
  if (names.empty()) return {};
  std::vector<net::LentDevice> devices;
  for (const std::string& name : names) {
    TRY_AS(net::LentDevice device, net::find_to_lend(name));
    devices.push_back(std::move(device));
  }
  Rollback undo;
  undo.add("bring network devices back", [&host, id, names] { return take_back_netdevs(host, id, names); });
  TRY(keep_namespace(host, id, init));
  TRY_AS(const sys::UniqueFd netns, sys::open(namespace_path(host, id), O_RDONLY));
  for (net::LentDevice& device : devices) TRY(lend_one(host, id, std::move(device), netns.get()));
  undo.commit();
  return {};
}

Result<void> take_back_netdevs(const Host& host, config::CtId id, const std::vector<std::string>& names) {
  auto lent = load_lent(host, id);
  const bool kept = sys::is_mount_point(namespace_path(host, id));
  if (lent.empty() && !kept) return {};
  sys::UniqueFd netns;
  if (kept) {
    TRY_AS(netns, sys::open(namespace_path(host, id), O_RDONLY));
  }
  std::erase_if(lent, [&](const net::LentDevice& d) {
    if (std::find(names.begin(), names.end(), d.name) == names.end()) return false;
    const auto back = netns ? net::take_back(d, netns.get()) : Result<void>();  // else the kernel did, a boot ago
    if (!back) log::warn("NETDEV: {}", back.error().text);
    return true;
  });
  return lent.empty() ? let_go_of_namespace(host, id) : save_lent(host, id, lent);
}

Result<void> take_back_netdevs(const Host& host, config::CtId id) {
  return take_back_netdevs(host, id, lent_netdevs(host, id));
}

std::vector<std::string> lent_netdevs(const Host& host, config::CtId id) {
  std::vector<std::string> out;
  for (const net::LentDevice& d : load_lent(host, id)) out.push_back(d.name);
  return out;
}

}  // namespace vz::runtime
