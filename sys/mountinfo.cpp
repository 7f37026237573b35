#include "sys/mountinfo.h"

#include <algorithm>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::sys {

std::string unescape_mount(std::string_view text) {
  std::string out;
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "36 35 98:0 /root /point rw,noatime master:1 - type source super,options"
std::optional<MountInfo> parse_mount(std::string_view line) {
  const auto w = split(line, ' ');
  const auto dash = std::find(w.begin(), w.end(), "-");
  if (dash - w.begin() < 6 || w.end() - dash < 4) return std::nullopt;
  return MountInfo{.id = w[0],
                   .parent = w[1],
                   .device = w[2],
                   .options = w[5],
                   .type = dash[1],
                   .source = dash[2],
                   .super_options = dash[3],
                   .root = unescape_mount(w[3]),
                   .point = unescape_mount(w[4])};
}

std::vector<MountPoint> mounts_below(std::string_view mountinfo, std::string_view dir) {
  std::vector<MountPoint> out;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto m = parse_mount(line);
    if (!m || m->point == dir || !is_within(m->point, dir)) continue;
    const auto options = split(m->options, ',');
    const bool mapped = std::find(options.begin(), options.end(), "idmapped") != options.end();
    out.push_back({m->point, std::string(m->type), mapped});
  }
  std::reverse(out.begin(), out.end());  // of several on one point the last one is on top
  std::stable_sort(out.begin(), out.end(),
                   [](const MountPoint& a, const MountPoint& b) { return a.path.size() > b.path.size(); });
  return out;
}

Result<std::vector<MountPoint>> mounts_below(const std::string& dir) {
  TRY_AS(const std::string real, real_path(dir));
  TRY_AS(const std::string text, read_file("/proc/self/mountinfo"));
  return mounts_below(text, std::string_view(real));
}

bool is_within(std::string_view path, std::string_view dir) {
  if (dir == "/") return true;
  return path.starts_with(dir) && (path.size() == dir.size() || path[dir.size()] == '/');
}

}  // namespace vz::sys
