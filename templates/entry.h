// One entry of a tarball as plain data, after the rules that concern it alone. What depends on the entries before it is
// the tree model's business.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

struct archive_entry;

namespace vz::templates {

struct Attributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  // permission bits with setuid, setgid and sticky
  timespec atime{}, mtime{};
  std::vector<std::pair<std::string, std::string>> xattrs;  // ACLs among them, as system.posix_acl_*
};

struct Entry {
  enum class Kind { file, directory, symlink, hardlink, fifo, skipped };
  Kind kind = Kind::skipped;
  std::string path;   // "a/b/c"; "" is the top directory
  std::string link;   // symlink: the text; hardlink: a path like the above
  uint64_t size = 0;  // file
  Attributes attributes;
};

// "./a//b/" -> "a/b". Absolute names and ".." are Code::invalid.
Result<std::string> clean_path(std::string_view name);
Result<Entry> read_entry(archive_entry* e);

}  // namespace vz::templates
