#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "sys/files.h"
#include "templates/programs.h"
#include "templates/templates.h"

namespace vz::templates {

namespace {

constexpr const char* kHostKeyUnitName = "ssh-hostkeys.service";
constexpr std::string_view kHostKeyUnit = R"([Unit]
Description=Make missing OpenSSH host keys
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service sshd.service ssh.socket
After=sshd-keygen.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=ssh.service sshd.service ssh.socket
)";
constexpr const char* kHostKeyUsers[] = {"ssh.service", "sshd.service", "ssh.socket"};
constexpr const char* kUnits = "etc/systemd/system";

bool is_program(int root, const char* path) {
  const auto fd = sys::open_in(root, path, O_PATH);
  struct ::stat st {};
  return fd && ::fstat(fd->get(), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

bool has_systemd(int root) {
  return is_program(root, "usr/lib/systemd/systemd") || is_program(root, "lib/systemd/systemd");
}

Result<sys::UniqueFd> open_dir(int root, const std::string& path) {
  return sys::open_in(root, path, O_RDONLY | O_DIRECTORY);
}

// Whatever is there, a link or a fifo perhaps, gives way to a plain file of root.
Result<void> put_file(int dir, const char* name, std::string_view text, mode_t mode) {
  if (::unlinkat(dir, name, 0) != 0 && errno != ENOENT) return fail_sys(errno, "remove '{}'", name);
  TRY_AS(const sys::UniqueFd fd, sys::open_at(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  if (::fchmod(fd.get(), mode) != 0) return fail_sys(errno, "set mode of '{}'", name);
  TRY(sys::write_all(fd.get(), text), "'{}'", name);
  return {};
}

bool is_link(int dir, const char* name) {
  struct ::stat st {};
  return ::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

bool is_there(int dir, const char* name) {
  struct ::stat st {};
  return ::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<void> make_dir(int dir, const char* name) {
  if (::mkdirat(dir, name, 0755) != 0 && errno != EEXIST) return fail_sys(errno, "make directory '{}'", name);
  return {};
}

bool is_host_key(std::string_view name) {
  return name.starts_with("ssh_host_") && (name.ends_with("_key") || name.ends_with("_key.pub"));
}

// true when the tree has an OpenSSH server.
Result<bool> remove_host_keys(int root) {
  const auto dir = open_dir(root, "etc/ssh");
  if (!dir) return false;
  TRY_AS(const auto names, sys::list_dir(dir->get()));
  for (const std::string& name : names)
    if (is_host_key(name) && ::unlinkat(dir->get(), name.c_str(), 0) != 0)
      return fail_sys(errno, "remove the SSH host key '{}'", printable(name));
  return is_program(root, "usr/sbin/sshd");
}

// sshd does not start without keys, and only packages make them. This unit makes them when it is first started.
Result<void> make_host_keys_at_start(int root) {
  const auto units = open_dir(root, kUnits);
  if (!units || !has_systemd(root) || is_there(units->get(), kHostKeyUnitName)) return {};
  TRY(put_file(units->get(), kHostKeyUnitName, kHostKeyUnit, 0644));
  for (const std::string user : kHostKeyUsers) {
    const std::string wants = user + ".wants";
    TRY(make_dir(units->get(), wants.c_str()));
    TRY_AS(const sys::UniqueFd dir, open_dir(root, fmt::format("{}/{}", kUnits, wants)));
    const std::string target = fmt::format("/{}/{}", kUnits, kHostKeyUnitName);
    if (::symlinkat(target.c_str(), dir.get(), kHostKeyUnitName) != 0 && errno != EEXIST)
      return fail_sys(errno, "enable '{}'", kHostKeyUnitName);
  }
  return {};
}

// A version 4 UUID without dashes, as machine-id(5) asks for.
Result<std::string> fresh_machine_id() {
  unsigned char raw[16];
  if (::getrandom(raw, sizeof raw, 0) != static_cast<ssize_t>(sizeof raw)) return fail_sys(errno, "random bytes");
  raw[6] = static_cast<unsigned char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<unsigned char>((raw[8] & 0x3f) | 0x80);
  std::string out;
  for (const unsigned char byte : raw) out += fmt::format("{:02x}", byte);
  return out;
}

// An id, not an empty file: for systemd that would be a first boot, which resets every unit to its preset.
Result<void> set_machine_id(int root, int etc) {
  if (!has_systemd(root) && !is_there(etc, "machine-id")) return {};
  TRY_AS(const std::string id, fresh_machine_id());
  TRY(put_file(etc, "machine-id", id + "\n", 0444));
  const auto dbus = open_dir(root, "var/lib/dbus");
  if (!dbus || is_link(dbus->get(), "machine-id") || !is_there(dbus->get(), "machine-id")) return {};
  if (::unlinkat(dbus->get(), "machine-id", 0) != 0) return fail_sys(errno, "remove D-Bus's machine-id");
  if (::symlinkat("/etc/machine-id", dbus->get(), "machine-id") != 0) return fail_sys(errno, "link D-Bus's machine-id");
  return {};
}

}  // namespace

Result<void> personalize(int root_fd, const std::string& hostname) {
  TRY_AS(const sys::UniqueFd etc, open_dir(root_fd, "etc"), "personalize");
  TRY_AS(const bool sshd, remove_host_keys(root_fd), "personalize");
  if (sshd) TRY(make_host_keys_at_start(root_fd), "personalize");
  TRY(set_machine_id(root_fd, etc.get()), "personalize");
  if (!hostname.empty()) TRY(put_file(etc.get(), "hostname", hostname + "\n", 0644), "personalize");
  return {};
}

Result<void> check_tree(int root_fd) {
  return check_programs([root_fd](const char* path) { return is_program(root_fd, path); });
}

}  // namespace vz::templates
