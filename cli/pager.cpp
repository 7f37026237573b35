#include "cli/pager.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "sys/process.h"

namespace vz::cli {

namespace {

bool fits(const std::string& text) {
  winsize window{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0 ||
         std::count(text.begin(), text.end(), '\n') < window.ws_row;
}

}  // namespace

void show(const std::string& text) {
  const char* chosen = std::getenv("PAGER");
  const std::string pager = chosen && *chosen ? chosen : "exec $(command -v pager || command -v less || echo cat)";
  if (::isatty(STDOUT_FILENO) && !fits(text)) {
    sys::Program program{.argv = {"sh", "-c", pager}, .input = text, .timeout = std::chrono::hours(48)};
    program.stdout_fd = STDOUT_FILENO;
    program.stderr_fd = STDERR_FILENO;
    const auto shown = sys::run(program);
    if (shown && shown->status.code < 126) return;
  }
  std::fputs(text.c_str(), stdout);
}

}  // namespace vz::cli
