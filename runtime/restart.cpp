#include "runtime/restart.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>

#include "runtime/devices.h"
#include "runtime/scripts.h"
#include "sys/files.h"
#include "templates/templates.h"

namespace vz::runtime {

namespace {

Result<void> check_all_scripts(const Host& host, config::CtId id, const StopOptions& stop_options) {
  if (!stop_options.fast) TRY(check_scripts(host, id, Event::stop));
  TRY(check_scripts(host, id, Event::start));
  if (stop_options.skip_umount) return {};
  for (const Event event : {Event::umount, Event::postumount, Event::premount, Event::mount})
    TRY(check_scripts(host, id, event));
  return {};
}

// What scripts around the mount may bring along is not to be missed yet.
Result<void> check_host(const Host& host, const Container& ct) {
  if (has_script(host, ct.id, Event::premount) || has_script(host, ct.id, Event::mount)) return {};
  TRY_AS(const auto devices, host_devices(ct.spec));
  for (const net::Veth& v : ct.network.veths)
    if (!v.bridge.empty() && !net::link_exists(v.bridge))
      return fail(Code::network_failed, "bridge '{}' does not exist; make it, or choose another one", v.bridge);
  return {};
}

// By the tree that is mounted, as the guest sees it.
Result<void> check_init(const Container& ct) {
  TRY_AS(const sys::UniqueFd root, sys::open(ct.area.root_dir, O_PATH | O_DIRECTORY));
  const bool found = std::any_of(std::begin(templates::kInits), std::end(templates::kInits), [&](const char* path) {
    return sys::open_in(root.get(), path, O_PATH).operator bool();
  });
  return found ? Result<void>() : fail(Code::bad_template, "Unable to start init, probably incorrect template");
}

}  // namespace

Result<void> stop_for_restart(const Host& host, const Container& ct, const StopOptions& stop_options,
                              const StartOptions& start_options) {
  if (!state::running(host.paths, ct.id)) return {};
  TRY(check_start(ct, start_options));
  TRY(check_all_scripts(host, ct.id, stop_options));
  TRY(ct.limits(), "limits");
  TRY(check_host(host, ct));
  TRY(check_init(ct));
  auto stopped = stop(host, ct, stop_options);
  return !stopped && stopped.error().code == Code::not_running ? Result<void>() : stopped;
}

}  // namespace vz::runtime
