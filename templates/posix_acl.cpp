#include "templates/posix_acl.h"

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include <archive.h>
#include <archive_entry.h>

#include "base/strings.h"

namespace vz::templates {

namespace {

struct Tag {
  int archive;
  uint16_t kernel;
};
constexpr Tag kTags[] = {{ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ},   {ARCHIVE_ENTRY_ACL_USER, ACL_USER},
                         {ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ}, {ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP},
                         {ARCHIVE_ENTRY_ACL_MASK, ACL_MASK},           {ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER}};
constexpr uint32_t kNoId = 0xffffffff;

bool has_id(uint16_t tag) { return tag == ACL_USER || tag == ACL_GROUP; }

}  // namespace

std::string encode_acl(std::vector<AclEntry> entries) {
  // The kernel wants them sorted.
  std::sort(entries.begin(), entries.end(),
            [](const AclEntry& a, const AclEntry& b) { return std::tie(a.tag, a.id) < std::tie(b.tag, b.id); });
  const posix_acl_xattr_header header{htole32(POSIX_ACL_XATTR_VERSION)};
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  for (const AclEntry& e : entries) {
    const posix_acl_xattr_entry raw{htole16(e.tag), htole16(e.perm), htole32(has_id(e.tag) ? e.id : kNoId)};
    out.append(reinterpret_cast<const char*>(&raw), sizeof raw);
  }
  return out;
}

Result<std::vector<AclEntry>> decode_acl(std::string_view bytes) {
  posix_acl_xattr_header header{};
  if (bytes.size() < sizeof header) return fail(Code::invalid, "malformed ACL");
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION || bytes.size() % sizeof(posix_acl_xattr_entry) != 0)
    return fail(Code::invalid, "malformed ACL");
  std::vector<AclEntry> out;
  for (; !bytes.empty(); bytes.remove_prefix(sizeof(posix_acl_xattr_entry))) {
    posix_acl_xattr_entry raw{};
    std::memcpy(&raw, bytes.data(), sizeof raw);
    const uint16_t tag = le16toh(raw.e_tag);
    out.push_back({tag, le16toh(raw.e_perm), has_id(tag) ? le32toh(raw.e_id) : 0});
  }
  return out;
}

Result<std::vector<AclEntry>> read_acl(archive_entry* e, int type) {
  std::vector<AclEntry> out;
  if (archive_entry_acl_reset(e, type) == 0) return out;
  int got = 0, perm = 0, tag = 0, id = 0;
  const char* name = nullptr;
  while (archive_entry_acl_next(e, type, &got, &perm, &tag, &id, &name) == ARCHIVE_OK) {
    const auto* t = std::find_if(std::begin(kTags), std::end(kTags), [tag](const Tag& x) { return x.archive == tag; });
    if (t == std::end(kTags)) return fail(Code::invalid, "unknown kind of ACL entry");
    if (has_id(t->kernel) && id < 0)
      return fail(Code::invalid, "ACL names '{}' without a numeric id", printable(name ? name : ""));
    out.push_back({t->kernel, static_cast<uint16_t>(perm & 7), has_id(t->kernel) ? static_cast<uint32_t>(id) : 0});
  }
  return out;
}

}  // namespace vz::templates
