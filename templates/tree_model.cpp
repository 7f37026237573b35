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
    if (known->second == Entry::Kind::directory) return {};
    return fail(Code::invalid, "it lies below '{}', which is {}", printable(path),
                known->second == Entry::Kind::symlink ? "a symbolic link" : "no directory");
  }
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) TRY(make_parents(path.substr(0, slash)));
  names_ += path.size();
  made_.emplace(path, Entry::Kind::directory);
  return {};
}

Result<void> TreeModel::place(const Entry& entry) {
  Entry::Kind kind = entry.kind;
  if (kind == Entry::Kind::hardlink) {
    const auto target = made_.find(entry.link);
    if (target == made_.end() || target->second == Entry::Kind::directory)
      return fail(Code::invalid, "hard link to '{}', which was not unpacked before", printable(entry.link));
    kind = target->second;
  }
  const auto [at, fresh] = made_.try_emplace(entry.path, kind);
  if (fresh) return {};
  const bool was_directory = at->second == Entry::Kind::directory;
  if (was_directory != (kind == Entry::Kind::directory))
    return fail(Code::invalid, "it replaces a directory, or a directory replaces it");
  at->second = kind;
  return {};
}

}  // namespace vz::templates
