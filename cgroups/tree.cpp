#include "cgroups/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

bool vanished(const Error& e) { return e.sys_errno == ENOENT || e.sys_errno == ENODEV; }

struct Walk {
  const Visit& visit;
  size_t count = 0;
};

Result<void> walk_below(Walk& w, int dir, const std::string& path, int depth) {
  if (++w.count > kMaxDirectories) return fail(Code::invalid, "more than {} directories", kMaxDirectories);
  if (depth > kMaxDepth) return fail(Code::invalid, "'{}' is more than {} levels deep", printable(path), kMaxDepth);
  TRY(w.visit(dir, path));
  TRY_AS(const auto names, sub_directories(dir));
  for (const std::string& name : names) {
    auto sub = sys::open_at(dir, name, kDirectory);
    if (!sub && vanished(sub.error())) continue;
    if (!sub) return std::move(sub).error();
    TRY(walk_below(w, sub->get(), path.empty() ? name : fmt::format("{}/{}", path, name), depth + 1));
  }
  return {};
}

Result<void> remove_at(int parent, const std::string& name, int depth, Deadline deadline);

Result<void> remove_below(int parent, const std::string& name, int depth, Deadline deadline) {
  if (depth > kMaxDepth) return fail(Code::invalid, "more than {} levels deep", kMaxDepth);
  auto dir = sys::open_at(parent, name, kDirectory);
  if (!dir && vanished(dir.error())) return {};
  if (!dir) return std::move(dir).error();
  TRY_AS(const auto names, sub_directories(dir->get()));
  for (const std::string& sub : names) TRY(remove_at(dir->get(), sub, depth + 1, deadline));
  return {};
}

Result<void> remove_at(int parent, const std::string& name, int depth, Deadline deadline) {
  Backoff backoff(deadline);
  for (bool first = true; ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0; first = false) {
    const int err = errno;
    if (err == ENOENT || err == ENODEV) return {};
    // EBUSY: groups below, or processes, of which the dead may take a moment to leave.
    if (err != EBUSY || (!first && !backoff.wait())) return fail_sys(err, "remove '{}'", printable(name));
    TRY(remove_below(parent, name, depth, deadline));
  }
  return {};
}

}  // namespace

Result<void> check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find_first_of("/\n") != std::string::npos)
    return fail(Code::invalid, "'{}' cannot name a control group", printable(name));
  return {};
}

std::string group_path(const std::string& mount, const std::string& name) { return mount + "/vz/" + name; }

std::vector<std::string> v1_mounts(const Host& host) {
  std::vector<std::string> out;
  for (const Host::Controller& c : host.controllers)
    if (!c.v1_mount.empty() && std::find(out.begin(), out.end(), c.v1_mount) == out.end()) out.push_back(c.v1_mount);
  return out;
}

Result<std::string> read_value(const std::string& path) {
  TRY_AS(const std::string text, sys::read_file(path));
  return std::string(trim(text));
}

Result<std::string> read_value_at(int dir, const std::string& file) {
  TRY_AS(const sys::UniqueFd fd, sys::open_at(dir, file, O_RDONLY));
  TRY_AS(const std::string text, sys::read_fd(fd.get()), "'{}'", file);
  return std::string(trim(text));
}

std::optional<uint64_t> read_number(const std::string& path, std::string_view key) {
  const auto text = sys::read_file(path);
  if (!text) return std::nullopt;
  return key.empty() ? parse_u64(trim(*text)) : find_number(*text, key);
}

Result<bool> make_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return true;
  if (errno == EEXIST) return false;
  return fail_sys(errno, "make control group '{}'", path);
}

Result<std::vector<std::string>> sub_directories(int dir) {
  struct Closer {
    void operator()(DIR* d) const { ::closedir(d); }
  };
  std::vector<std::string> out;
  auto own = sys::open_at(dir, ".", kDirectory);
  if (!own && vanished(own.error())) return out;
  if (!own) return std::move(own).error();
  const std::unique_ptr<DIR, Closer> entries{::fdopendir(own->get())};
  if (!entries) return fail_sys(errno, "read a control group");
  (void)own->release();
  while (const dirent* e = ::readdir(entries.get())) {
    const std::string_view name = e->d_name;
    if (e->d_type == DT_DIR && name != "." && name != "..") out.emplace_back(name);
  }
  return out;
}

Result<void> walk(const std::string& top, const Visit& visit) {
  TRY_AS(const sys::UniqueFd dir, sys::open(top, kDirectory));
  Walk w{visit};
  TRY(walk_below(w, dir.get(), "", 0), "control groups in '{}'", top);
  return {};
}

Deadline after(std::chrono::milliseconds timeout) { return std::chrono::steady_clock::now() + timeout; }

bool Backoff::wait(int poll_fd) {
  const auto left = deadline_ - std::chrono::steady_clock::now();
  if (left <= left.zero()) return false;
  const auto us = std::min(step_, std::chrono::ceil<std::chrono::microseconds>(left)).count();
  const timespec time{0, static_cast<long>(us * 1000)};
  pollfd p{poll_fd, POLLPRI, 0};
  ::ppoll(&p, 1, &time, nullptr);
  step_ = std::min(step_ * 2, std::chrono::microseconds(5000));
  return true;
}

Result<bool> wait_event(const std::string& group, std::string_view key, uint64_t value, Deadline deadline) {
  TRY_AS(const sys::UniqueFd events, sys::open(group + "/cgroup.events", O_RDONLY));
  Backoff backoff(deadline);
  do {
    char text[256];
    const ssize_t n = ::pread(events.get(), text, sizeof text, 0);
    if (n < 0) return fail_sys(errno, "read '{}/cgroup.events'", group);
    if (find_number({text, static_cast<size_t>(n)}, key) == value) return true;
    // Not the notification alone: the kernel holds it back up to 10 ms after the one before.
  } while (backoff.wait(events.get()));
  return false;
}

Result<void> remove_group(const std::string& group, Deadline deadline) {
  TRY(remove_at(AT_FDCWD, group, 0, deadline), "control groups in '{}'", group);
  return {};
}

}  // namespace vz::cgroups
