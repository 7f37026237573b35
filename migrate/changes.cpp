#include "migrate/changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "sys/files.h"

namespace vz::migrate {

namespace {

struct DirCloser {
  void operator()(DIR* d) const { ::closedir(d); }
};

Result<void> walk_open(int fd, const std::string& path, dev_t device, const Visit& visit) {
  std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd));
  if (!dir) return fail_sys(errno, "read directory '{}'", path);
  while (const dirent* e = ::readdir(dir.get())) {
    const std::string_view name = e->d_name;
    if (name == "." || name == "..") continue;
    const std::string below = path.empty() ? std::string(name) : path + "/" + e->d_name;
    struct ::stat st {};
    if (::fstatat(::dirfd(dir.get()), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return fail_sys(errno, "stat '{}'", below);
    }
    if (st.st_dev != device) continue;
    visit(below, st);
    if (!S_ISDIR(st.st_mode)) continue;
    auto sub = sys::open_at(::dirfd(dir.get()), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (sub) TRY(walk_open(sub->release(), below, device, visit));
  }
  return {};
}

}  // namespace

bool not_before(const timespec& t, const timespec& since) {
  return t.tv_sec != since.tv_sec ? t.tv_sec > since.tv_sec : t.tv_nsec >= since.tv_nsec;
}

Result<void> walk(const std::string& root, const std::string& path, const Visit& visit) {
  const std::string start = path.empty() ? root : root + "/" + path;
  TRY_AS(sys::UniqueFd fd, sys::open(start, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct ::stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_sys(errno, "stat '{}'", start);
  visit(path.empty() ? "." : path, st);
  return walk_open(fd.release(), path, st.st_dev, visit);
}

timespec change_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

Result<Directories> directories_of(const std::string& root) {
  Directories out;
  TRY(walk(root, "", [&](const std::string& path, const struct ::stat& st) {
    if (S_ISDIR(st.st_mode)) out[st.st_ino] = path;
  }));
  return out;
}

void add_name(Names& names, const std::string& path, bool directory) {
  names.insert(directory ? path + "/" : path);
  const size_t slash = path.rfind('/');
  if (!directory) names.insert(slash == std::string::npos ? "." : path.substr(0, slash));
}

std::string list_of(const Names& names) {
  std::string out;
  for (const std::string& name : names) (out += name) += '\0';
  return out;
}

std::vector<std::string> take_gone(const std::string& root, Names& names) {
  constexpr size_t kMostBytes = 32u << 10;
  std::vector<std::string> gone;
  Names listed;
  size_t bytes = 0;
  for (auto it = names.begin(); it != names.end();) {
    struct ::stat st {};
    if (it->ends_with("/") || ::lstat((root + "/" + *it).c_str(), &st) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
      ++it;
      continue;
    }
    bytes += it->size();
    const size_t slash = it->rfind('/');
    if (bytes <= kMostBytes)
      gone.push_back(*it);
    else
      listed.insert(slash == std::string::npos ? "./" : it->substr(0, slash + 1));
    it = names.erase(it);
  }
  names.merge(listed);
  return gone;
}

Result<void> remove_names(const std::string& root, const std::vector<std::string>& names) {
  TRY_AS(const sys::UniqueFd top, sys::open(root, O_PATH | O_DIRECTORY));
  for (const std::string& name : names) {
    const size_t slash = name.rfind('/');
    const std::string last = slash == std::string::npos ? name : name.substr(slash + 1);
    if (last.empty() || last == "." || last == "..") return fail(Code::invalid, "'{}' cannot be removed", name);
    const auto dir =
        sys::open_beneath(top.get(), slash == std::string::npos ? "." : name.substr(0, slash), O_PATH | O_DIRECTORY);
    if (dir) TRY(sys::remove_tree(fmt::format("/proc/self/fd/{}/{}", dir->get(), last)));  // else it was never there
  }
  return {};
}

Result<Names> changed_since(const std::string& root, timespec since, const Directories& before) {
  struct Linked {
    std::vector<std::string> names;
    bool wanted = false;
  };
  std::unordered_map<ino_t, Linked> linked;
  Names found;
  std::string moved;  // "PATH/" of the directory we are in that was elsewhere
  TRY(walk(root, "", [&](const std::string& path, const struct ::stat& st) {
    bool below_moved = !moved.empty() && path.starts_with(moved);
    if (S_ISDIR(st.st_mode) && !below_moved) {
      const auto it = before.find(st.st_ino);
      below_moved = it == before.end() || it->second != path;
      moved = below_moved ? path + "/" : "";
    }
    const bool wanted = below_moved || not_before(st.st_ctim, since);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      Linked& file = linked[st.st_ino];
      file.names.push_back(path);
      file.wanted = file.wanted || wanted;
    } else if (wanted) {
      add_name(found, path, S_ISDIR(st.st_mode));
    }
  }));
  for (const auto& [inode, file] : linked)
    if (file.wanted)
      for (const std::string& name : file.names) add_name(found, name, false);  // or the copy is a file of its own
  return found;
}

}  // namespace vz::migrate
