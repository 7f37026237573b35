// Apart from unpack(): who asks the helper links no libarchive.
#include <sys/prctl.h>

#include <cerrno>
#include <csignal>

#include "base/strings.h"
#include "sys/process.h"
#include "templates/unpack.h"

namespace vz::templates {

Result<void> unpack_by_helper(const std::string& file, const std::string& dir) {
  sys::Program helper;
  helper.argv = {sys::helper_path("vz-unpack"), file, dir};
  helper.timeout = std::chrono::hours(4);
  helper.before_exec = []() -> Result<void> {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_sys(errno, "death signal");
    return {};
  };
  TRY_AS(const sys::Output output, sys::run(helper));
  if (output.status.ok()) return {};
  const std::string_view said = trim(output.err);
  const Code code = output.status.code == kExitNoSpace ? Code::no_space : Code::private_failed;
  if (!said.empty()) return Error::make(code, printable(said.substr(said.rfind('\n') + 1)));
  return fail(code, "unpack '{}': helper: {}", file, output.status.text());
}

}  // namespace vz::templates
