#include "runtime/occupants.h"

#include "sys/files.h"

namespace vz::runtime {

std::optional<cgroups::Usage> usage_of(const Container& ct) {
  const auto group = group_of(ct);
  const auto now = group ? group->usage() : group.error();
  return now ? std::optional(*now) : std::nullopt;
}

Result<Occupant> look_at(const Host& host, config::CtId id) {
  TRY_AS(Container ct, load_container(host, id));
  if (!state::running(host.paths, id)) return Occupant{std::move(ct)};
  TRY_AS(Container live, live_container(host, ct));
  auto usage = usage_of(live);
  return Occupant{std::move(live), true, usage};
}

// One whose configuration has been taken away runs on.
Result<void> expect_running(const Host& host, config::CtId id) {
  if (state::running(host.paths, id)) return {};
  if (!sys::exists(host.paths.conf(id))) return fail(Code::no_ct_config, "Container {} does not exist", id);
  return fail(Code::not_running, "Container {} is not running", id);
}

Result<std::vector<Occupant>> running_containers(const Host& host) {
  TRY_AS(const auto all, state::all(host.paths));
  std::vector<Occupant> out;
  for (const config::CtId id : all) {
    if (!state::running(host.paths, id)) continue;
    auto o = look_at(host, id);
    if (o && o->running) out.push_back(std::move(*o));
  }
  return out;
}

}  // namespace vz::runtime
