#include "templates/entry.h"

#include <endian.h>
#include <limits.h>
#include <linux/capability.h>

#include <algorithm>
#include <cstring>

#include <archive.h>
#include <archive_entry.h>

#include "base/strings.h"
#include "templates/posix_acl.h"

namespace vz::templates {

namespace {

constexpr int64_t kIds = 65536;
constexpr std::string_view kHarmlessDevices[] = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"};
constexpr std::string_view kAclAccess = "system.posix_acl_access";
constexpr std::string_view kAclDefault = "system.posix_acl_default";
constexpr std::string_view kCapability = "security.capability";

Result<uint32_t> check_id(int64_t id, std::string_view what) {
  if (id < 0 || id >= kIds) return fail(Code::invalid, "{} {} is not below {}", what, id, kIds);
  return static_cast<uint32_t>(id);
}

bool harmless_device(std::string_view path) {
  constexpr std::string_view kDev = "dev/";
  if (!path.starts_with(kDev)) return false;
  path.remove_prefix(kDev.size());
  return std::find(std::begin(kHarmlessDevices), std::end(kHarmlessDevices), path) != std::end(kHarmlessDevices);
}

Result<void> check_acl_ids(const std::vector<AclEntry>& acl) {
  for (const AclEntry& a : acl) TRY(check_id(a.id, "ACL: id"));
  return {};
}

// A file capability may name the user namespace's root id it belongs to (revision 3).
Result<void> check_capability(std::string_view value) {
  vfs_ns_cap_data cap{};
  if (value.size() != XATTR_CAPS_SZ_2 && value.size() != XATTR_CAPS_SZ_3)
    return fail(Code::invalid, "malformed file capabilities");
  std::memcpy(&cap, value.data(), value.size());
  TRY(check_id(le32toh(cap.rootid), "file capabilities: root id"));
  return {};
}

// Kept: user.*, file capabilities and ACLs. The others are labels and layers of the host the archive was made on.
Result<void> take_xattr(Attributes& a, std::string name, std::string value) {
  if (name == kCapability) {
    TRY(check_capability(value));
  } else if (name == kAclAccess || name == kAclDefault) {
    TRY_AS(const std::vector<AclEntry> acl, decode_acl(value));
    TRY(check_acl_ids(acl));
  } else if (!name.starts_with("user.")) {
    return {};
  }
  a.xattrs.emplace_back(std::move(name), std::move(value));
  return {};
}

Result<void> take_xattrs(archive_entry* e, Attributes& a) {
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  archive_entry_xattr_reset(e);
  while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
    if (name) TRY(take_xattr(a, name, {static_cast<const char*>(value), size}));
  }
  if (archive_entry_acl_types(e) & ARCHIVE_ENTRY_ACL_TYPE_NFS4) return fail(Code::invalid, "it has an NFSv4 ACL");
  for (const auto& [type, xattr] :
       {std::pair(ARCHIVE_ENTRY_ACL_TYPE_ACCESS, kAclAccess), std::pair(ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, kAclDefault)}) {
    TRY_AS(std::vector<AclEntry> acl, read_acl(e, type));
    TRY(check_acl_ids(acl));
    if (!acl.empty()) a.xattrs.emplace_back(xattr, encode_acl(std::move(acl)));
  }
  return {};
}

Result<Attributes> read_attributes(archive_entry* e) {
  Attributes a;
  TRY_AS(a.uid, check_id(archive_entry_uid(e), "user id"));
  TRY_AS(a.gid, check_id(archive_entry_gid(e), "group id"));
  a.mode = archive_entry_perm(e) & 07777;
  a.mtime = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
  a.atime = a.mtime;
  if (archive_entry_atime_is_set(e)) a.atime = {archive_entry_atime(e), archive_entry_atime_nsec(e)};
  TRY(take_xattrs(e, a));
  return a;
}

Result<Entry::Kind> read_kind(archive_entry* e, const std::string& path) {
  if (archive_entry_hardlink(e)) return Entry::Kind::hardlink;
  switch (archive_entry_filetype(e)) {
    case AE_IFREG:
      return Entry::Kind::file;
    case AE_IFDIR:
      return Entry::Kind::directory;
    case AE_IFLNK:
      return Entry::Kind::symlink;
    case AE_IFIFO:
      return Entry::Kind::fifo;
    case AE_IFSOCK:
      return Entry::Kind::skipped;
    case AE_IFCHR:
      if (harmless_device(path)) return Entry::Kind::skipped;
      return fail(Code::invalid, "it is a device node");
    case AE_IFBLK:
      return fail(Code::invalid, "it is a device node");
    default:
      return fail(Code::invalid, "unknown kind of file");
  }
}

Result<void> read_body(archive_entry* e, Entry& out) {
  TRY_AS(out.kind, read_kind(e, out.path));
  if (out.path.empty() && out.kind != Entry::Kind::directory)
    return fail(Code::invalid, "the top of the archive is not a directory");
  if (out.kind == Entry::Kind::skipped) return {};
  TRY_AS(out.attributes, read_attributes(e));
  if (out.kind == Entry::Kind::file) out.size = static_cast<uint64_t>(std::max<int64_t>(0, archive_entry_size(e)));
  if (out.kind == Entry::Kind::symlink) {
    const char* text = archive_entry_symlink(e);
    out.link = text ? text : "";
    if (out.link.empty() || out.link.size() >= PATH_MAX) return fail(Code::invalid, "bad target of a symbolic link");
  }
  if (out.kind == Entry::Kind::hardlink) {
    TRY_AS(out.link, clean_path(archive_entry_hardlink(e)), "hard link");
  }
  return {};
}

}  // namespace

Result<std::string> clean_path(std::string_view name) {
  if (name.empty()) return fail(Code::invalid, "empty name");
  if (name.size() >= PATH_MAX) return fail(Code::invalid, "name of {} bytes", name.size());
  if (name.front() == '/') return fail(Code::invalid, "absolute name '{}'", printable(name));
  std::string out;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(Code::invalid, "'..' in the name '{}'", printable(name));
    if (part.size() > NAME_MAX) return fail(Code::invalid, "name of {} bytes", part.size());
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

Result<Entry> read_entry(archive_entry* e) {
  const char* name = archive_entry_pathname(e);
  if (!name) return fail(Code::invalid, "an entry has no readable name");
  Entry out;
  TRY_AS(out.path, clean_path(name), "entry");
  TRY(read_body(e, out), "entry '{}'", printable(name));
  return out;
}

}  // namespace vz::templates
