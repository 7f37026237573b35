#include "storage/disks.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fmt/core.h>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/mountinfo.h"

namespace vz::storage {

namespace {

constexpr int kMostLevels = 8;

// Some file systems (btrfs) have a number of their own: their source is the device.
dev_t device_of(const std::string& dir) {
  const auto st = sys::stat(dir);
  if (!st || major(st->st_dev) != 0) return st ? st->st_dev : 0;
  const std::string number = fmt::format("0:{}", minor(st->st_dev));
  const std::string mounts = sys::read_file("/proc/self/mountinfo").value_or("");
  for (const std::string_view line : split(mounts, '\n')) {
    const auto m = sys::parse_mount(line);
    if (!m || m->device != number || !m->source.starts_with("/dev/")) continue;
    const auto source = sys::stat(sys::unescape_mount(m->source));
    if (source && S_ISBLK(source->st_mode)) return source->st_rdev;
  }
  return 0;
}

void add_disks(const std::string& device, int levels, std::vector<Disk>& out) {
  if (levels == 0) return;
  const std::string disk = sys::exists(device + "/partition") ? sys::parent_dir(device) : device;
  const auto below = sys::list_dir(disk + "/slaves").value_or({});
  for (const std::string& name : below)
    if (const auto next = sys::real_path(fmt::format("{}/slaves/{}", disk, name))) add_disks(*next, levels - 1, out);
  if (!below.empty()) return;
  const auto number = sys::read_file(disk + "/dev");
  const auto scheduler = sys::read_file(disk + "/queue/scheduler");
  out.push_back(
      {sys::base_name(disk), std::string(trim(number.value_or(""))), chosen_scheduler(scheduler.value_or(""))});
}

}  // namespace

std::string chosen_scheduler(std::string_view text) {
  for (const std::string_view word : words(text))
    if (word.size() > 2 && word.front() == '[' && word.back() == ']')
      return std::string(word.substr(1, word.size() - 2));
  return {};
}

std::vector<Disk> disks_below(const std::string& dir) {
  std::vector<Disk> out;
  const dev_t device = device_of(dir);
  if (device == 0) return out;
  const auto at = sys::real_path(fmt::format("/sys/dev/block/{}:{}", major(device), minor(device)));
  if (at) add_disks(*at, kMostLevels, out);
  return out;
}

}  // namespace vz::storage
