// POSIX ACLs in the form of the kernel's system.posix_acl_access and system.posix_acl_default attributes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct archive_entry;

namespace vz::templates {

struct AclEntry {
  uint16_t tag = 0;  // ACL_USER_OBJ ... ACL_OTHER of <linux/posix_acl.h>
  uint16_t perm = 0;
  uint32_t id = 0;  // of ACL_USER and ACL_GROUP
};

std::string encode_acl(std::vector<AclEntry> entries);
// Code::invalid unless BYTES are well-formed.
Result<std::vector<AclEntry>> decode_acl(std::string_view bytes);
// TYPE is ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT. Empty: the entry has none beyond its mode.
Result<std::vector<AclEntry>> read_acl(archive_entry* e, int type);

}  // namespace vz::templates
