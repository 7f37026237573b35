#include "templates/tree_model.h"

#include "base/strings.h"

namespace vz::templates {

namespace {

constexpr uint64_t kMaxNames = 512u << 20;  // bytes of names and directories' attributes kept in memory

uint64_t kept_bytes(const Entry& e) {
  uint64_t sum = e.path.size() + e.link.size();
  if (e.kind != Entry::Kind::directory) return sum;
  for (const auto& [name, value] : e.attributes.xattrs) sum += name.size() + value.size();
  return sum;
}

}  // namespace

Result<void> TreeModel::admit(const Entry& entry) {
  TRY(count(entry));
  if (entry.kind == Entry::Kind::skipped || entry.path.empty()) return {};
  const size_t slash = entry.path.rfind('/');
  if (slash != std::string::npos) TRY(make_parents(std::string_view(entry.path).substr(0, slash)));
  return place(entry);
}

Result<void> TreeModel::count(const Entry& entry) {
  if (++entries_ > limits_.max_entries) return fail(Code::invalid, "more than {} entries", limits_.max_entries);
  if (entry.size > limits_.max_bytes - bytes_)
    return fail(Code::invalid, "more than {} bytes of files", limits_.max_bytes);
  bytes_ += entry.size;
  names_ += kept_bytes(entry);
  if (names_ > kMaxNames) return fail(Code::invalid, "more than {} bytes of names and attributes", kMaxNames);
  return {};
}

Result<void> TreeModel::make_parents(std::string_view path) {
  const auto known = made_.find(std::string(path));
  if (known != made_.end()) {
    if (known->second.kind == Entry::Kind::directory) return {};
    return fail(Code::invalid, "it lies below '{}', which is {}", printable(path),
                known->second.kind == Entry::Kind::symlink ? "a symbolic link" : "no directory");
  }
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) TRY(make_parents(path.substr(0, slash)));
  names_ += path.size();
  made_.emplace(path, Made{Entry::Kind::directory});
  return {};
}

Result<void> TreeModel::place(const Entry& entry) {
  Made made{entry.kind, (entry.attributes.mode & 0111) != 0};
  std::string link = entry.link;
  if (entry.kind == Entry::Kind::hardlink) {
    const auto target = made_.find(entry.link);
    if (target == made_.end() || target->second.kind == Entry::Kind::directory)
      return fail(Code::invalid, "hard link to '{}', which was not unpacked before", printable(entry.link));
    made = target->second;
    if (made.kind == Entry::Kind::symlink) link = links_[entry.link];
  }
  const auto [at, fresh] = made_.try_emplace(entry.path, made);
  const bool was_directory = at->second.kind == Entry::Kind::directory;
  if (was_directory != (made.kind == Entry::Kind::directory))
    return fail(Code::invalid, "it replaces a directory, or a directory replaces it");
  at->second = made;
  if (made.kind == Entry::Kind::symlink) links_.insert_or_assign(entry.path, std::move(link));
  return {};
}

bool TreeModel::is_program(std::string_view path) const {
  constexpr int kMostLinks = 40;  // the kernel's bound
  std::string at, rest(path);
  for (int links = 0; !rest.empty();) {
    const size_t slash = rest.find('/');
    const bool last = slash == std::string::npos;
    const std::string name = rest.substr(0, slash);
    rest.erase(0, last ? slash : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      const size_t above = at.rfind('/');
      at.erase(above == std::string::npos ? 0 : above);
      continue;
    }
    std::string next = at.empty() ? name : at + "/" + name;
    const auto made = made_.find(next);
    if (made == made_.end()) return false;
    if (made->second.kind == Entry::Kind::symlink) {
      if (++links > kMostLinks) return false;
      const std::string& text = links_.find(next)->second;
      if (text.starts_with('/')) at.clear();
      rest = last ? text : text + "/" + rest;
    } else if (last) {
      return made->second.kind == Entry::Kind::file && made->second.executable;
    } else {
      at = std::move(next);
    }
  }
  return false;
}

}  // namespace vz::templates
