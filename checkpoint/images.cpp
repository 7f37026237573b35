#include "checkpoint/images.h"

#include <algorithm>

#include "base/strings.h"
#include "runtime/confinement.h"

namespace vz::checkpoint {

std::string print_tree(const std::vector<cgroups::Group::Directory>& tree) {
  std::string out;
  for (const auto& d : tree) {
    out += fmt::format("{} {} {}\n", d.uid, d.gid, d.path);
    for (const auto& s : d.settings) out += fmt::format("={} {}\n", s.file, s.value);
  }
  return out;
}

namespace {

constexpr uint64_t kIds = 65536;

// "UID GID PATH"
std::optional<cgroups::Group::Directory> parse_directory(std::string_view line) {
  const size_t first = line.find(' '), second = line.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto uid = parse_u64(line.substr(0, first)), gid = parse_u64(line.substr(first + 1, second - first - 1));
  const std::string_view path = line.substr(second + 1);
  const auto parts = split(path, '/');
  const bool good_path =
      path == "." || (!path.empty() && std::none_of(parts.begin(), parts.end(), [](std::string_view p) {
        return p.empty() || p == "." || p == "..";
      }));
  if (!uid || !gid || *uid >= kIds || *gid >= kIds || !good_path) return std::nullopt;
  return cgroups::Group::Directory{std::string(path), static_cast<uid_t>(*uid), static_cast<gid_t>(*gid)};
}

// "=FILE VALUE"; what may be set is for cgroups to say.
std::optional<cgroups::Group::Setting> parse_setting(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  return cgroups::Group::Setting{std::string(line.substr(1, blank - 1)), std::string(line.substr(blank + 1))};
}

}  // namespace

Result<std::vector<cgroups::Group::Directory>> parse_tree(std::string_view text) {
  std::vector<cgroups::Group::Directory> out;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    bool good = false;
    if (!line.starts_with('=')) {
      auto directory = parse_directory(line);
      if ((good = directory.has_value())) out.push_back(std::move(*directory));
    } else if (auto setting = parse_setting(line); setting && !out.empty()) {
      out.back().settings.push_back(std::move(*setting));
      good = true;
    }
    if (!good) return fail(Code::invalid, "bad line in {}: '{}'", kCgroupFile, printable(line));
  }
  return out;
}

std::vector<std::string> common_options() {
  return {"--manage-cgroups=soft",
          "--tcp-established",
          "--file-locks",
          "--link-remap",
          "--force-irmap",
          "--ghost-limit",
          "256M",
          "--network-lock",
          "nftables",
          "--empty-ns",
          "net"};
}

std::vector<std::string> dump_externals() {
  std::vector<std::string> out;
  for (const std::string_view node : runtime::device_nodes()) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[/dev/{0}]:{0}", node));
  }
  return out;
}

std::vector<std::string> restore_externals() {
  std::vector<std::string> out;
  for (const std::string_view node : runtime::device_nodes()) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[{0}]:/dev/{0}", node));
  }
  return out;
}

}  // namespace vz::checkpoint
