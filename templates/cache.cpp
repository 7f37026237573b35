#include "templates/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/strings.h"
#include "sys/files.h"
#include "templates/templates.h"

namespace vz::templates {

namespace {

constexpr size_t kMaxName = 128;
// In the order in which find() looks.
constexpr std::array<std::string_view, 9> kForms = {".tar",     ".tar.gz",   ".tar.bz2", ".tar.xz", ".tar.zst",
                                                    ".tar.lz4", ".tar.lzma", ".tar.lz",  ".tar.Z"};

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool name_char(char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '+' || c == '-'; }

// The template that a file of the cache is, by its name.
std::optional<std::string_view> template_name(std::string_view file) {
  for (const std::string_view form : kForms) {
    if (!file.ends_with(form)) continue;
    const std::string_view name = file.substr(0, file.size() - form.size());
    if (valid_name(name)) return name;
  }
  return std::nullopt;
}

Result<Template> describe(const std::string& path, std::string_view name) {
  TRY_AS(const struct ::stat st, sys::stat(path));
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, "'{}' is no regular file", path);
  return Template{std::string(name), path, static_cast<uint64_t>(st.st_size), st.st_mtime};
}

Error missing(const std::string& cache_dir, std::string_view name) {
  return fail(Code::template_missing, "OS template '{}' not found in '{}'", printable(name), cache_dir);
}

}  // namespace

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && alphanumeric(name.front()) &&
         name.find("..") == std::string_view::npos && std::all_of(name.begin(), name.end(), name_char);
}

Result<std::vector<Template>> list(const std::string& cache_dir) {
  std::vector<Template> out;
  if (!sys::exists(cache_dir)) return out;
  TRY_AS(const std::vector<std::string> files, sys::list_dir(cache_dir));
  for (const std::string& file : files) {
    const auto name = template_name(file);
    if (!name) continue;
    auto found = describe(cache_dir + "/" + file, *name);
    if (found) out.push_back(std::move(*found));  // a dangling link, or removed meanwhile
  }
  std::sort(out.begin(), out.end(), [](const Template& a, const Template& b) { return a.name < b.name; });
  return out;
}

Result<Template> find(const std::string& cache_dir, const std::string& name) {
  if (!valid_name(name)) return missing(cache_dir, name);
  for (const std::string_view form : kForms) {
    const std::string path = fmt::format("{}/{}{}", cache_dir, name, form);
    if (sys::exists(path)) return describe(path, name);
  }
  return missing(cache_dir, name);
}

Result<void> remove(const std::string& cache_dir, const std::string& name) {
  TRY(find(cache_dir, name));
  TRY(remove_other_forms(cache_dir, name));
  return sys::remove_file(cache_dir + "/" + name + kExtension);
}

Result<void> remove_other_forms(const std::string& cache_dir, const std::string& name) {
  for (const std::string_view form : kForms)
    if (form != kExtension) TRY(sys::remove_file(fmt::format("{}/{}{}", cache_dir, name, form)));
  return {};
}

Result<sys::UniqueFd> open_locked(const std::string& path) {
  TRY_AS(sys::UniqueFd fd, sys::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
  struct ::stat ours {
  }, there{};
  const bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return fail_sys(errno, "lock '{}'", path);
  if (!locked || ::fstat(fd.get(), &ours) != 0 || ::lstat(path.c_str(), &there) != 0 || ours.st_dev != there.st_dev ||
      ours.st_ino != there.st_ino)
    return fail(Code::locked, "'{}' is in use: another import or build is running", path);
  return fd;
}

}  // namespace vz::templates
