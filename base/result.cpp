#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace vz {

Error Error::sys(int err, std::string_view what, Code code) {
  return Error{code, err, fmt::format("{}: {}", what, ::strerror(err))};
}

bool Error::disk_full() const { return sys_errno == ENOSPC || sys_errno == EDQUOT; }

Error&& Error::context(std::string_view outer) && {
  text.insert(0, ": ");
  text.insert(0, outer);
  return std::move(*this);
}

}  // namespace vz
