#include "runtime/guest_files.h"

#include <crypt.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;
constexpr std::string_view kMark = "# vzctl";
constexpr size_t kFileLimit = 1u << 20;

Result<UniqueFd> open_root(const Container& ct) { return sys::open(ct.area.root_dir, O_PATH | O_DIRECTORY); }

std::string read_guest(int root, const std::string& path) {
  // Not a fifo of the guest's: a reader would wait for ever.
  auto fd = sys::open_in(root, path, O_RDONLY | O_NONBLOCK);
  struct ::stat st {};
  if (!fd || ::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode)) return "";
  return sys::read_fd(fd->get(), kFileLimit).value_or("");
}

// Written aside and renamed within the guest's directory; a symbolic link at PATH (resolv.conf of systemd-resolved) is
// replaced, not followed.
Result<void> write_guest(int root, const std::string& path, std::string_view text, mode_t mode) {
  auto dir = sys::open_in(root, sys::parent_dir(path), O_RDONLY | O_DIRECTORY);
  if (!dir) return {};  // a guest without /etc has nothing to configure
  const std::string name = sys::base_name(path), tmp = "." + name + ".vzctl";
  (void)::unlinkat(dir->get(), tmp.c_str(), 0);
  TRY_AS(UniqueFd fd, sys::open_at(dir->get(), tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode), "{}", path);
  struct ::stat old {};
  if (::fstatat(dir->get(), name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(old.st_mode)) {
    if (::fchown(fd.get(), old.st_uid, old.st_gid) != 0) return fail_sys(errno, "chown {}", path);
    mode = old.st_mode & 07777;
  }
  TRY(sys::write_all(fd.get(), text), "{}", path);
  if (::fchmod(fd.get(), mode) != 0) return fail_sys(errno, "chmod {}", path);
  if (::renameat(dir->get(), tmp.c_str(), dir->get(), name.c_str()) != 0)
    return fail_sys(errno, "replace {} in the container", path);
  return {};
}

Result<void> write_if_changed(int root, const std::string& path, std::string_view text) {
  return read_guest(root, path) == text ? Result<void>() : write_guest(root, path, text, 0644);
}

void add_lines(std::string& out, const std::optional<std::vector<std::string>>& values, std::string_view keyword,
               std::string_view host_text) {
  if (!values) return;
  if (values->size() == 1 && values->front() == "inherit") {
    for (const std::string_view line : split(host_text, '\n'))
      if (line.starts_with(keyword)) out += std::string(line) + "\n";
  } else if (keyword == "search") {
    if (!values->empty()) out += "search " + join(*values, " ") + "\n";
  } else {
    for (const std::string& v : *values) out += fmt::format("{} {}\n", keyword, v);
  }
}

}  // namespace

std::string hosts_with(std::string_view hosts, std::string_view name, std::string_view address) {
  std::string out;
  for (std::string_view rest = hosts; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1);
    const std::string_view line = rest.substr(0, end + 1);
    if (line.find(kMark) == std::string_view::npos) out += line;
    rest.remove_prefix(end + 1);
  }
  if (!out.empty() && out.back() != '\n') out += '\n';
  const std::string_view shorter = name.substr(0, name.find('.'));
  return out + fmt::format("{} {}{}{} {}\n", address, name, shorter == name ? "" : " ", shorter == name ? "" : shorter,
                           kMark);
}

std::string resolv_conf(const config::CtSpec& spec, std::string_view host_resolv_conf) {
  std::string out;
  add_lines(out, spec.searchdomain, "search", host_resolv_conf);
  add_lines(out, spec.nameserver, "nameserver", host_resolv_conf);
  return out;
}

std::optional<std::string> shadow_with(std::string_view shadow, std::string_view user, std::string_view hash,
                                       long today) {
  std::string out;
  bool found = false;
  for (const std::string_view line : split(shadow, '\n')) {
    auto fields = split(line, ':');
    if (!found && fields.size() >= 3 && fields[0] == user) {
      found = true;
      const std::string day = std::to_string(today);
      fields[1] = hash;
      fields[2] = day;
      out += join({fields.begin(), fields.end()}, ":") + "\n";
    } else if (!line.empty()) {
      out += std::string(line) + "\n";
    }
  }
  return found ? std::optional(out) : std::nullopt;
}

Result<void> prepare_guest_files(const Container& ct) {
  TRY_AS(UniqueFd root, open_root(ct));
  const std::string name = ct.hostname();
  TRY(write_if_changed(root.get(), "/etc/hostname", name + "\n"));
  const auto& ips = ct.spec.ip_address;
  const std::string address = ips && !ips->empty() ? ips->front().address : "127.0.1.1";
  TRY(write_if_changed(root.get(), "/etc/hosts", hosts_with(read_guest(root.get(), "/etc/hosts"), name, address)));
  if (!ct.spec.nameserver && !ct.spec.searchdomain) return {};
  const std::string resolv = resolv_conf(ct.spec, sys::read_file("/etc/resolv.conf").value_or(""));
  return write_if_changed(root.get(), "/etc/resolv.conf", resolv);
}

Result<void> set_password(const Container& ct, std::string_view user_password) {
  const size_t colon = user_password.find(':');
  const std::string user(user_password.substr(0, colon));
  if (colon == std::string_view::npos || user.empty())
    return fail(Code::invalid, "Bad parameter for --userpasswd: user:password is due");
  const std::string password(user_password.substr(colon + 1));
  if (password.find('\n') != std::string::npos) return fail(Code::invalid, "a password cannot hold a newline");
  crypt_data data{};
  char salt[CRYPT_GENSALT_OUTPUT_SIZE];
  if (!::crypt_gensalt_rn("$y$", 0, nullptr, 0, salt, sizeof salt)) return fail_sys(errno, "make a password salt");
  const char* hash = ::crypt_rn(password.c_str(), salt, &data, sizeof data);
  if (!hash || hash[0] == '*') return fail(Code::password_failed, "cannot hash the password");
  TRY_AS(UniqueFd root, open_root(ct));
  const auto shadow = shadow_with(read_guest(root.get(), "/etc/shadow"), user, hash, ::time(nullptr) / 86400);
  if (!shadow) return fail(Code::password_failed, "no user '{}' in the container's /etc/shadow", printable(user));
  auto written = write_guest(root.get(), "/etc/shadow", *shadow, 0640);
  if (!written) return std::move(written).error().with_code(Code::password_failed);
  return {};
}

}  // namespace vz::runtime
