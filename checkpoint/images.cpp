#include "checkpoint/images.h"

#include <algorithm>

#include "base/strings.h"
#include "runtime/confinement.h"

namespace vz::checkpoint {

std::string print_tree(const std::vector<cgroups::Group::Directory>& tree) {
  std::string out;
  for (const auto& d : tree) out += fmt::format("{} {} {}\n", d.uid, d.gid, d.path);
  return out;
}

Result<std::vector<cgroups::Group::Directory>> parse_tree(std::string_view text) {
  constexpr uint64_t kIds = 65536;
  std::vector<cgroups::Group::Directory> out;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const size_t first = line.find(' '), second = line.find(' ', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos) return fail(Code::invalid, "bad line in {}: '{}'", kCgroupFile, printable(line));
    const auto uid = parse_u64(line.substr(0, first)), gid = parse_u64(line.substr(first + 1, second - first - 1));
    const std::string_view path = line.substr(second + 1);
    const auto parts = split(path, '/');
    const bool bad_path = path.empty() || std::any_of(parts.begin(), parts.end(), [](std::string_view p) {
                            return p.empty() || p == "." || p == "..";
                          });
    if (!uid || !gid || *uid >= kIds || *gid >= kIds || bad_path)
      return fail(Code::invalid, "bad line in {}: '{}'", kCgroupFile, printable(line));
    out.push_back({std::string(path), static_cast<uid_t>(*uid), static_cast<gid_t>(*gid)});
  }
  return out;
}

std::vector<std::string> common_options() {
  return {"--manage-cgroups=soft", "--tcp-established", "--file-locks", "--link-remap", "--force-irmap", "--ghost-limit", "256M",
          "--network-lock", "nftables", "--empty-ns", "net"};
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
