#include "runtime/effects.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/strings.h"
#include "storage/disks.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

constexpr std::string_view kNoBlock =
    "a block device is not given to a container, whose root could write what the host's kernel takes for a file system";

// Switched on for a disk, iocost weighs what goes there whatever its scheduler is (io.cost.qos in cgroup-v2.rst).
bool has_io_cost(const cgroups::Host& host, const storage::Disk& disk) {
  const std::string text = sys::read_file(host.v2_mount + "/io.cost.qos").value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const auto w = words(line);
    if (!w.empty() && w[0] == disk.number) return std::find(w.begin(), w.end(), "enable=1") != w.end();
  }
  return false;
}

std::string why_not(const Container& ct, const config::Change& c) {
  if (c.param->key == "IOPRIO") return why_no_io_weight(ct);
  config::CtSpec asked;
  if (c.param->key == "DEVICES" && c.param->parse(asked, c.value) && asked.devices &&
      std::any_of(asked.devices->begin(), asked.devices->end(), [](const auto& d) { return d.block; }))
    return std::string(kNoBlock);
  return std::string(c.param->no_effect);
}

}  // namespace

std::string why_no_io_weight(const Container& ct) {
  const auto host = cgroups::detect();
  if (!host || (!host->find("blkio") && !host->find("io"))) return "this host has no controller for I/O";
  std::string dir = ct.area.private_dir;
  while (!sys::exists(dir)) dir = sys::parent_dir(dir);
  const auto disks = storage::disks_below(dir);
  if (disks.empty()) return fmt::format("'{}' is on no disk of its own", dir);
  for (const storage::Disk& d : disks)
    if (d.scheduler != "bfq" && !has_io_cost(*host, d))
      return fmt::format(
          "disk {0} has the I/O scheduler '{1}', and only 'bfq' knows weights; for that: "
          "echo bfq > /sys/block/{0}/queue/scheduler",
          d.name, d.scheduler.empty() ? "none" : d.scheduler);
  return {};
}

void tell_without_effect(const Container& ct, const std::vector<config::Change>& changes) {
  std::map<std::string, std::vector<std::string>> options;
  for (const config::Change& c : changes)
    if (const std::string why = why_not(ct, c); !why.empty())
      options[why].push_back("--" + std::string(c.param->option));
  for (const auto& [why, names] : options)
    log::warn("{} {} kept, but without effect: {}", join(names, ", "), names.size() == 1 ? "is" : "are", why);
}

}  // namespace vz::runtime
