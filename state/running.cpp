#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/strings.h"
#include "config/config.h"
#include "state/identity.h"
#include "state/state.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::state {

namespace {

constexpr std::string_view kState = "state";

std::string note_path(const Paths& paths, config::CtId id, std::string_view name) {
  return fmt::format("{}/{}", paths.run(id), name);
}

uint64_t number(const config::File& file, std::string_view key) {
  const auto text = file.get(key);
  return text ? parse_u64(*text).value_or(0) : 0;
}

pid_t process(const config::File& file, std::string_view key) {
  const uint64_t pid = number(file, key);
  return pid <= INT32_MAX ? static_cast<pid_t>(pid) : 0;
}

}  // namespace

std::string Paths::conf(config::CtId id) const { return fmt::format("{}/{}.conf", conf_dir, id); }
std::string Paths::run(config::CtId id) const { return fmt::format("{}/{}", run_dir, id); }

std::optional<Running> running(const Paths& paths, config::CtId id) {
  const auto text = sys::read_file(note_path(paths, id, kState), 65536);
  if (!text) return std::nullopt;
  const config::File file = config::File::parse(*text);
  if (file.get("BOOT_ID") != boot_id()) return std::nullopt;
  Running r;
  r.init = process(file, "INIT");
  r.init_start = number(file, "INIT_START");
  r.since = static_cast<int64_t>(number(file, "SINCE"));
  r.phase = file.get("PHASE").value_or("");
  if (r.init <= 0 || sys::start_time(r.init) != r.init_start) return std::nullopt;
  return r;
}

Result<void> save_running(const Paths& paths, config::CtId id, const Running& r) {
  config::File file;
  TRY(file.set("INIT", std::to_string(r.init)));
  TRY(file.set("INIT_START", std::to_string(r.init_start)));
  TRY(file.set("SINCE", std::to_string(r.since)));
  TRY(file.set("PHASE", r.phase));
  TRY(file.set("BOOT_ID", boot_id()));
  return save_note(paths, id, kState, file.text());
}

Result<void> forget_running(const Paths& paths, config::CtId id) { return sys::remove_tree(paths.run(id)); }

Result<std::optional<sys::UniqueFd>> hold_door(const Paths& paths, config::CtId id, Door how) {
  auto dir = sys::open(paths.run(id), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().sys_errno == ENOENT) return fail(Code::not_running, "Container is not running");
  if (!dir) return std::move(dir).error();
  if (::flock(dir->get(), (how == Door::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
    return std::optional(std::move(*dir));
  return errno == EWOULDBLOCK ? Result<std::optional<sys::UniqueFd>>(std::nullopt)
                              : fail_sys(errno, "lock '{}'", paths.run(id));
}

Result<void> save_note(const Paths& paths, config::CtId id, std::string_view name, std::string_view text) {
  TRY(sys::make_dirs(paths.run_dir));
  TRY(sys::make_dirs(paths.run(id), 0700));
  return sys::replace_file(note_path(paths, id, name), text, 0600);
}

Result<void> forget_note(const Paths& paths, config::CtId id, std::string_view name) {
  TRY(sys::remove_file(note_path(paths, id, name)));
  (void)::rmdir(paths.run(id).c_str());  // where it was all that was there
  return {};
}

Result<std::string> load_note(const Paths& paths, config::CtId id, std::string_view name) {
  auto text = sys::read_file(note_path(paths, id, name));
  if (!text && text.error().sys_errno == ENOENT) return std::move(text.error()).with_code(Code::not_found);
  return text;
}

}  // namespace vz::state
