// The root of a container as it is given to its init.
#pragma once

#include <functional>

#include "base/result.h"
#include "runtime/container.h"
#include "sys/unique_fd.h"

namespace vz::runtime {

// VE_ROOT as a detached mount whose ids are those of USER_NS (nosuid and nodev are the guest's own business inside its
// namespaces).
Result<sys::UniqueFd> idmapped_root(const Container& ct, int user_ns);

// The same with all that is mounted below VE_ROOT, as by a mount script. What cannot be mapped is there all the same,
// with a warning: its files are nobody's for the guest, but for those that have host ids of its range.
Result<sys::UniqueFd> whole_root(const Container& ct, int user_ns);

// The detached tree that MAKE has made, in a process and a mount namespace for that alone: what it mounts nobody else
// sees, and whenever we are killed it is gone.
Result<sys::UniqueFd> made_apart(const std::function<Result<sys::UniqueFd>()>& make);

}  // namespace vz::runtime
