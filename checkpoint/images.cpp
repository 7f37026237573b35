#include "checkpoint/images.h"

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

// "UID GID PATH"
std::optional<cgroups::Group::Directory> parse_directory(std::string_view line) {
  const size_t first = line.find(' '), second = line.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto uid = parse_u64(line.substr(0, first)), gid = parse_u64(line.substr(first + 1, second - first - 1));
  if (!uid || !gid || *uid > UINT32_MAX || *gid > UINT32_MAX) return std::nullopt;
  return cgroups::Group::Directory{std::string(line.substr(second + 1)), static_cast<uid_t>(*uid),
                                   static_cast<gid_t>(*gid)};
}

// "=FILE VALUE"
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

std::vector<std::string> dump_externals(const std::vector<std::string>& left_out) {
  std::vector<std::string> out;
  for (const std::string_view node : runtime::device_nodes()) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[/dev/{0}]:{0}", node));
  }
  for (const std::string_view file : runtime::emptied_files()) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[{}]:null", file));
  }
  for (size_t i = 0; i < left_out.size(); ++i) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[{}]:mount-{}", left_out[i], i));
  }
  return out;
}

std::vector<std::string> restore_externals(const std::vector<std::string>& mounts) {
  std::vector<std::string> out;
  for (const std::string_view node : runtime::device_nodes()) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[{0}]:/dev/{0}", node));
  }
  for (size_t i = 0; i < mounts.size(); ++i) {
    out.emplace_back("--external");
    out.push_back(fmt::format("mnt[mount-{}]:{}", i, mounts[i]));
  }
  return out;
}

}  // namespace vz::checkpoint
