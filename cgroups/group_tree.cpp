#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cgroups/tree.h"
#include "cgroups/v2/delegate.h"
#include "cgroups/v2/settings.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

constexpr uint32_t kIds = 65536;  // of a CT's range

uint32_t seen_inside(uint32_t id, uid_t owner) { return id >= owner && id - owner < kIds ? id - owner : 0; }

constexpr std::string_view kRoot = ".";

// TREE may come from a peer.
Result<void> check_entry(const Group::Directory& d) {
  TRY(v2::check_settings(d.settings, d.path == kRoot), "'{:.64}'", printable(d.path));
  if (d.path == kRoot) return {};
  const auto parts = split(d.path, '/');
  bool bad = parts.empty() || parts.size() >= static_cast<size_t>(kMaxDepth) || d.path.size() >= PATH_MAX;
  for (const std::string_view part : parts)
    bad = bad || part.empty() || part == "." || part == ".." || part.size() > NAME_MAX ||
          part.find_first_of(std::string_view("\n\0", 2)) != std::string_view::npos;
  if (bad) return fail(Code::invalid, "'{}' cannot be the path of a control group", printable(d.path));
  if (d.uid >= kIds || d.gid >= kIds)
    return fail(Code::invalid, "'{}': owner outside of the container", printable(d.path));
  return {};
}

// The directory, opened, that its owner may use now.
Result<sys::UniqueFd> hand_over(int guest, const Group::Directory& d, uid_t owner) {
  TRY_AS(sys::UniqueFd dir, sys::open_at(guest, d.path, O_RDONLY | O_DIRECTORY));
  // What a guest makes is its own with all files, so its root must be able to set limits there again.
  TRY_AS(const auto files, sys::list_dir(dir.get()));
  for (const std::string& file : files)
    if (::fchownat(dir.get(), file.c_str(), owner, owner, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_sys(errno, "own '{}'", file);
  TRY(v2::delegate(dir.get(), owner + d.uid, owner + d.gid));
  return dir;
}

Result<void> make_entry(int guest, const Group::Directory& d, uid_t owner) {
  if (d.path == kRoot) return {};
  if (::mkdirat(guest, d.path.c_str(), 0755) != 0 && errno != EEXIST) return fail_sys(errno, "make it");
  TRY(hand_over(guest, d, owner));
  return {};
}

// Parents come first: the files of the controllers that they pass on are new here.
Result<void> set_entry(int guest, const Group::Directory& d, uid_t owner) {
  if (d.path == kRoot) return v2::write_settings(guest, d.settings);
  TRY_AS(const sys::UniqueFd dir, hand_over(guest, d, owner));
  return v2::write_settings(dir.get(), d.settings);
}

}  // namespace

Result<std::vector<Group::Directory>> Group::guest_tree(uid_t owner) const {
  TRY(check_name(name_));
  std::vector<Directory> out;
  TRY(walk(guest_path(), [&](int dir, const std::string& path) -> Result<void> {
    if (path.empty()) {
      if (auto settings = v2::read_settings(dir, true); !settings.empty())
        out.push_back({std::string(kRoot), 0, 0, std::move(settings)});
      return {};
    }
    if (path.size() >= PATH_MAX) return fail(Code::invalid, "'{:.64}...' is too long a path", printable(path));
    struct ::stat st {};
    if (::fstat(dir, &st) != 0) return fail_sys(errno, "stat '{}'", printable(path));
    out.push_back({path, seen_inside(st.st_uid, owner), seen_inside(st.st_gid, owner), v2::read_settings(dir, false)});
    return {};
  }));
  return out;
}

Result<void> Group::make_guest_tree(const std::vector<Directory>& tree, uid_t owner) const {
  TRY(check_name(name_));
  if (tree.size() > kMaxDirectories) return fail(Code::invalid, "more than {} control groups", kMaxDirectories);
  for (const Directory& d : tree) TRY(check_entry(d));
  TRY_AS(const sys::UniqueFd guest, sys::open(guest_path(), O_RDONLY | O_DIRECTORY));
  for (const Directory& d : tree) TRY(make_entry(guest.get(), d, owner), "control group '{}'", printable(d.path));
  return {};
}

Result<void> Group::set_guest_tree(const std::vector<Directory>& tree, uid_t owner) const {
  TRY(check_name(name_));
  if (std::all_of(tree.begin(), tree.end(), [](const Directory& d) { return d.settings.empty(); })) return {};
  TRY_AS(const sys::UniqueFd guest, sys::open(guest_path(), O_RDONLY | O_DIRECTORY));
  for (const Directory& d : tree) {
    TRY(check_entry(d));
    TRY(set_entry(guest.get(), d, owner), "control group '{}'", printable(d.path));
  }
  return {};
}

}  // namespace vz::cgroups
