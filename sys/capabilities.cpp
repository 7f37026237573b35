#include "sys/capabilities.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <cerrno>
#include <memory>

namespace vz::sys {

namespace {
struct CapFree {
  void operator()(void* c) const { ::cap_free(c); }
};
using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;
}  // namespace

Result<void> drop_capabilities(const std::vector<std::string>& names) {
  Caps caps{::cap_get_proc()};
  if (!caps) return fail_sys(errno, "read capabilities");
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return fail_sys(errno, "reset ambient capabilities");
  for (const std::string& name : names) {
    cap_value_t value = 0;
    if (::cap_from_name(("cap_" + name).c_str(), &value) != 0) continue;
    if (::prctl(PR_CAPBSET_READ, value, 0, 0, 0) == 1 && ::cap_drop_bound(value) != 0)
      return fail_sys(errno, "drop capability '{}'", name);
    for (const cap_flag_t flag : {CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE})
      ::cap_set_flag(caps.get(), flag, 1, &value, CAP_CLEAR);
  }
  if (::cap_set_proc(caps.get()) != 0) return fail_sys(errno, "set capabilities");
  return {};
}

bool has_capability(const std::string& name) {
  const Caps caps{::cap_get_proc()};
  cap_value_t value = 0;
  cap_flag_value_t has = CAP_CLEAR;
  return caps && ::cap_from_name(("cap_" + name).c_str(), &value) == 0 &&
         ::cap_get_flag(caps.get(), value, CAP_EFFECTIVE, &has) == 0 && has == CAP_SET;
}

}  // namespace vz::sys
