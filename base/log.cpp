#include "base/log.h"

#include <cstdio>
#include <ctime>

namespace vz::log {

Settings& settings() {
  static Settings s;
  return s;
}

namespace {

void to_file(const Settings& s, std::string_view text) {
  // Opened per line: logrotate may move it, an exec'd guest must not inherit it.
  std::FILE* f = std::fopen(s.file.c_str(), "ae");
  if (!f) return;
  char stamp[64];
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  ::localtime_r(&now, &tm);
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", &tm);
  const std::string ct = s.ctid ? fmt::format("CT {} : ", s.ctid) : std::string();
  const std::string line = fmt::format("{} {} : {}{}\n", stamp, s.program, ct, text);
  std::fwrite(line.data(), 1, line.size(), f);
  std::fclose(f);
}

}  // namespace

void write(int level, std::string_view text) {
  const Settings& s = settings();
  if (level < 0 || (!s.quiet && level <= s.verbosity)) {
    std::FILE* out = level < 0 ? stderr : stdout;
    const std::string line = fmt::format("{}{}\n", s.name_ct ? fmt::format("CT {}: ", s.ctid) : std::string(), text);
    std::fwrite(line.data(), 1, line.size(), out);
    std::fflush(out);
  }
  if (!s.file.empty() && level <= s.file_level) to_file(s, text);
}

}  // namespace vz::log
