// vz-unpack FILE DIR: unpacks an OS template into an empty directory, shut in. Run by vzctl (templates/unpack.cpp).
// Exit status: 0, 1 on an error, 2 when there is no room; the error is one line on standard error.
#include <cerrno>

#include "base/log.h"
#include "templates/unpack.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    vz::log::error("usage: vz-unpack FILE DIR");
    return 1;
  }
  const auto r = vz::templates::unpack_confined(argv[1], argv[2]);
  if (r) return 0;
  vz::log::error("{}", r.error().text);
  return r.error().disk_full() ? vz::templates::kExitNoSpace : 1;
}
