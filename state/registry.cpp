#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/strings.h"
#include "config/config.h"
#include "state/state.h"
#include "sys/files.h"

namespace vz::state {

namespace {

using config::CtId;

std::optional<CtId> parse_id(std::string_view text) {
  const auto id = parse_u64(text);
  return id && *id >= 1 && *id <= config::kMaxCtId ? std::optional<CtId>(static_cast<CtId>(*id)) : std::nullopt;
}

// "101.conf" -> 101; no other spelling of the number.
std::optional<CtId> id_of_conf(std::string_view file) {
  constexpr std::string_view kEnd = ".conf";
  if (file.size() <= kEnd.size() || file.substr(file.size() - kEnd.size()) != kEnd || file[0] == '0')
    return std::nullopt;
  return parse_id(file.substr(0, file.size() - kEnd.size()));
}

std::string link_path(const Paths& paths, std::string_view name) { return fmt::format("{}/{}", paths.names_dir, name); }

std::optional<CtId> link_owner(const std::string& link) {
  const auto target = sys::read_link(link);
  return target ? id_of_conf(sys::base_name(*target)) : std::nullopt;
}

// The container that NAME leads to and that bears it.
std::optional<CtId> owner(const Paths& paths, std::string_view name) {
  const auto id = link_owner(link_path(paths, name));
  if (!id) return std::nullopt;
  const auto text = sys::read_file(paths.conf(*id));
  return text && config::File::parse(*text).get("NAME") == name ? id : std::nullopt;
}

Result<void> make_link(const Paths& paths, CtId id, const std::string& name) {
  const std::string path = link_path(paths, name), target = paths.conf(id);
  TRY(sys::make_dirs(paths.names_dir));
  for (int i = 0; i < 3; ++i) {
    if (::symlink(target.c_str(), path.c_str()) == 0) return {};
    if (errno != EEXIST) return fail_sys(errno, "make link '{}'", path);
    TRY(sys::read_link(path));  // a file of another kind is not ours to remove
    if (link_owner(path) == id) return {};
    if (const auto other = owner(paths, name))
      return fail(Code::name_conflict, "Conflict: name {} already used by container {}", name, *other);
    TRY(sys::remove_file(path));  // left behind: its container is gone or bears another name
  }
  return fail(Code::name_conflict, "Conflict: name {} is being given to another container", name);
}

}  // namespace

Result<std::vector<CtId>> all(const Paths& paths) {
  TRY_AS(const std::vector<std::string> files, sys::list_dir(paths.conf_dir));
  std::vector<CtId> out;
  for (const std::string& file : files)
    if (const auto id = id_of_conf(file)) out.push_back(*id);
  std::sort(out.begin(), out.end());
  return out;
}

Result<CtId> resolve(const Paths& paths, std::string_view id_or_name) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (std::all_of(id_or_name.begin(), id_or_name.end(), digit) || !valid_name(id_or_name)) {
    if (const auto id = parse_id(id_or_name)) return *id;
    return fail(Code::invalid, "Bad CT ID {}", printable(id_or_name));
  }
  if (const auto id = owner(paths, id_or_name)) return *id;
  return fail(Code::invalid, "Unable to find container by name {}", id_or_name);
}

bool valid_name(std::string_view name) { return static_cast<bool>(config::check_name(name)); }

Result<void> assign_name(const Paths& paths, CtId id, const std::string& name, const std::string& old_name) {
  if (!name.empty()) {
    TRY(config::check_name(name));
    TRY(make_link(paths, id, name));
  }
  if (old_name == name || !valid_name(old_name) || link_owner(link_path(paths, old_name)) != id) return {};
  return sys::remove_file(link_path(paths, old_name));
}

}  // namespace vz::state
