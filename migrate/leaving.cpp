#include "migrate/leaving.h"

#include <stdio.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/lazy_pages.h"
#include "migrate/migrate.h"
#include "runtime/cleanup.h"
#include "runtime/scripts.h"
#include "runtime/start.h"
#include "runtime/stop.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

using namespace std::chrono_literals;

bool is_traced(pid_t pid) {
  const auto status = sys::read_file(fmt::format("/proc/{}/status", pid));
  if (!status) return false;
  const size_t at = status->find("TracerPid:\t");
  return at != std::string::npos && (*status)[at + 11] != '0';
}

// A criu whose caller died gives up by itself, and puts every process back as it was.
void wait_for_criu(pid_t init) {
  for (int tries = 0; tries < 500 && is_traced(init); ++tries) std::this_thread::sleep_for(10ms);
}

}  // namespace

Result<void> go_on(const runtime::Host& host, const runtime::Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return {};
  TRY(checkpoint::end_lazy_pages(images_dir(host, ct.id)));
  wait_for_criu(running->init);
  TRY_AS(const runtime::Container live, runtime::live_container(host, ct));
  TRY_AS(const sys::UniqueFd netns, sys::open_ns(running->init, "net"));
  TRY(net::unlock(netns.get()), "unlock the network");
  TRY(runtime::expose_network(live), "network");
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  if (running->phase != "checkpointed") TRY(group.thaw());
  return net::announce(live.network, netns.get());
}

Result<void> retire(const runtime::Host& host, const runtime::Container& ct, bool remove_area) {
  TRY(checkpoint::await_lazy_pages(images_dir(host, ct.id)));  // its memory may still be on its way
  TRY(runtime::clean_up(host, ct, runtime::Leave::nothing), "clean up the source");
  TRY(remove_images_dir(images_dir(host, ct.id)));
  if (remove_area) {
    const bool quiet = std::exchange(log::settings().quiet, true);
    auto gone = runtime::destroy(host, ct);
    log::settings().quiet = quiet;
    return gone;
  }
  if (ct.spec.name) TRY(state::assign_name(host.paths, ct.id, "", *ct.spec.name));
  TRY(runtime::put_away_scripts(host, ct.id, ".migrated"));
  const std::string conf = host.paths.conf(ct.id);
  if (::rename(conf.c_str(), (conf + ".migrated").c_str()) == 0 || errno == ENOENT) return {};
  return fail_sys(errno, "rename '{}'", conf);
}

}  // namespace vz::migrate
