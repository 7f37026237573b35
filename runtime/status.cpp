#include "runtime/status.h"

#include "sys/files.h"

namespace vz::runtime {

Status status_of(const Host& host, const Container& ct) {
  return status_of(host, ct, state::running(host.paths, ct.id).has_value());
}

Status status_of(const Host& host, const Container& ct, bool running) {
  Status s;
  s.exists = storage::area_exists(ct.area.private_dir);
  s.mounted = storage::is_mounted(ct.area);
  s.running = running;
  s.suspended = !s.running && sys::exists(ct.dump_dir(host));
  return s;
}

}  // namespace vz::runtime
