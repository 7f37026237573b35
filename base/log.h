// Console and log file. Levels as in vzctl: errors and warnings go to stderr, the rest to stdout; a line reaches the
// console when its level is at most the verbosity, and the log file when it is at most LOG_LEVEL.
//   -1 error, warning    0 what the user waits for ("Container is mounted")    1 details    2 debugging
// File line: "YYYY-MM-DDTHH:MM:SS+zzzz PROG : CT N : text".
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace vz::log {

struct Settings {
  std::string program = "vzctl";
  unsigned ctid = 0;     // 0: no "CT N : " part
  int verbosity = 0;     // console; -1 leaves only errors
  bool quiet = false;    // nothing at all on the console but errors
  bool name_ct = false;  // "CT N: " in front of each line on the console: several containers share it
  std::string file;      // empty: no log file
  int file_level = 0;
};

Settings& settings();
void write(int level, std::string_view text);

template <class... Args>
void error(fmt::format_string<Args...> f, Args&&... args) {
  write(-1, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> f, Args&&... args) {
  write(-1, "Warning: " + fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> f, Args&&... args) {
  write(0, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void detail(fmt::format_string<Args...> f, Args&&... args) {
  write(1, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> f, Args&&... args) {
  write(2, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace vz::log
