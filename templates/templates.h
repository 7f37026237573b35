// The OS template cache and what is made from it. A template is TEMPLATE/cache/NAME.tar[.gz|.xz|.zst|.bz2|...].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace vz::templates {

struct Template {
  std::string name;  // without ".tar.*"
  std::string path;
  uint64_t bytes = 0;
  int64_t modified = 0;  // seconds since the epoch
};

bool valid_name(std::string_view name);  // [A-Za-z0-9][A-Za-z0-9._+-]*, no "..", at most 128
// Sorted by name; files that are no archives by their name are left out.
Result<std::vector<Template>> list(const std::string& cache_dir);
// .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst in that order, then other compressions. Code::template_missing.
Result<Template> find(const std::string& cache_dir, const std::string& name);
Result<void> remove(const std::string& cache_dir, const std::string& name);
// SHA-256 of its file, 64 hexadecimal digits: takes a second for some hundred MiB and is kept with the file, as an
// extended attribute, where that can be.
Result<std::string> digest(const Template& which);
// Copies FILE into the cache as NAME.tar.zst (recompressed unless it is zst), after reading it whole and checking every
// entry by the rules of unpack(); an init and a shell must be among them. Written aside and renamed.
Result<Template> import(const std::string& cache_dir, const std::string& file, const std::string& name);

// What a tarball may do to us. Every rule has a test in templates/unpack_test.cpp.
struct UnpackLimits {
  uint64_t max_bytes = 64ull << 30;  // sum of file sizes
  uint64_t max_entries = 4'000'000;
};
// Unpacks a tarball into the existing empty directory DIR with owners, modes, xattrs (security.capability included),
// ACLs, hard links, sparse files, times. Numeric ids; ids >= 65536 are refused. Symbolic links are kept as they are but
// never followed. ".." or absolute names are refused; a hard link to something not unpacked before is refused; entries
// below a symbolic link are refused; device nodes are refused unless they are the harmless ones of a Debian /dev
// (skipped then); a truncated or corrupt stream is an error. The caller removes DIR on error. Linked into a helper
// program of its own (vz-unpack), so that the parsers of foreign archives never run inside vzctl.
Result<void> unpack(const std::string& file, const std::string& dir, const UnpackLimits& limits = {});
// The same in the helper program: what vzctl calls. Code::no_space when the disk or a quota is full, else
// Code::private_failed.
Result<void> unpack_by_helper(const std::string& file, const std::string& dir);

// What must differ between two CTs made from one template, and what a template must have, applied to a 0-based tree
// opened as ROOT_FD: SSH host keys (removed, so that they are made anew at first start), machine-id (a new one),
// hostname file. Never follows a link of the tree out of it.
Result<void> personalize(int root_fd, const std::string& hostname);
// Where a start looks for init, in this order.
inline constexpr const char* kInits[] = {"/sbin/init", "/etc/init", "/bin/init"};
// Code::bad_template unless there is an init and a shell.
Result<void> check_tree(int root_fd);

}  // namespace vz::templates
