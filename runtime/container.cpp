#include "runtime/container.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {
constexpr uint64_t kPage = 4096;
constexpr std::string_view kLiveNote = "live.conf";

std::optional<uint64_t> bytes(const std::optional<config::BarrierLimit>& pages) {
  if (!pages || pages->limit >= config::kUnlimited / kPage) return std::nullopt;
  return pages->limit * kPage;
}

// CPULIMIT and CPUS are both ceilings in percent of one CPU; the lower one holds.
std::optional<uint32_t> cpu_percent(const config::CtSpec& spec) {
  const auto cpus = static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::optional<uint32_t> out;
  if (spec.cpulimit && spec.cpulimit->percent)
    out = spec.cpulimit->of_host ? spec.cpulimit->percent * cpus : spec.cpulimit->percent;
  if (spec.cpus && *spec.cpus && *spec.cpus < cpus) out = std::min(out.value_or(UINT32_MAX), *spec.cpus * 100);
  return out;
}
}  // namespace

cgroups::Limits Container::limits() const {
  cgroups::Limits l;
  l.memory = bytes(spec.physpages);
  l.swap = bytes(spec.swappages);
  if (spec.numproc && spec.numproc->limit < config::kUnlimited) l.pids = spec.numproc->limit;
  l.cpu_units = spec.cpuunits;
  l.cpu_percent = cpu_percent(spec);
  return l;
}

storage::Quota Container::quota() const {
  storage::Quota q;
  if (spec.diskspace && spec.diskspace->limit < config::kUnlimited) q.space_kib = spec.diskspace->limit;
  if (spec.diskinodes && spec.diskinodes->limit < config::kUnlimited) q.inodes = spec.diskinodes->limit;
  return q;
}

std::string Container::hostname() const { return spec.hostname.value_or(fmt::format("ct{}", id)); }

std::string Container::dump_dir(const Host& host) const { return fmt::format("{}/Dump.{}", host.conf.dumpdir, id); }

Result<Container> make_container(const Host& host, config::CtId id, config::File file) {
  Container ct;
  ct.id = id;
  ct.file = std::move(file);
  std::vector<std::string> warnings;
  config::load(ct.file, id, ct.spec, &warnings);
  for (const std::string& w : warnings) log::detail("{}: {}", host.paths.conf(id), w);
  config::load(host.conf_file, id, ct.spec);
  ct.area.private_dir = ct.spec.ve_private.value_or(fmt::format("/var/lib/vz/private/{}", id));
  ct.area.root_dir = ct.spec.ve_root.value_or(fmt::format("/var/lib/vz/root/{}", id));
  ct.area.layout = storage::detect_layout(ct.area.private_dir).value_or(ct.spec.layout.value_or(config::Layout::image));
  ct.network = net::plan(id, ct.spec);
  ct.ids.first = state::first_id(id);
  return ct;
}

Result<Container> load_container(const Host& host, config::CtId id) {
  const std::string path = host.paths.conf(id);
  auto text = sys::read_file(path);
  if (!text) {
    if (text.error().sys_errno == ENOENT) return fail(Code::no_ct_config, "Container config file does not exist");
    return std::move(text).error();
  }
  return make_container(host, id, config::File::parse(*text));
}

Result<void> save_container(const Host& host, const Container& ct) {
  auto saved = sys::replace_file(host.paths.conf(ct.id), ct.file.text());
  if (!saved) return std::move(saved).error().with_code(Code::config_save_failed);
  return {};
}

Result<Container> live_container(const Host& host, const Container& ct) {
  const auto text = state::load_note(host.paths, ct.id, kLiveNote);
  if (!text) return text.error().code == Code::not_found ? Result<Container>(ct) : text.error();
  config::File file = config::File::parse(*text);
  for (const config::Param& p : config::table()) {  // what a running CT does not depend on is as it is stored now
    if (p.live != config::Live::save) continue;
    const auto stored = ct.file.get(p.key);
    if (stored)
      TRY(file.set(p.key, *stored));
    else
      file.erase(p.key);
  }
  TRY_AS(Container live, make_container(host, ct.id, std::move(file)));
  live.area = ct.area;
  return live;
}

Result<void> note_live(const Host& host, const Container& live) {
  return state::save_note(host.paths, live.id, kLiveNote, live.file.text());
}

Result<cgroups::Group> group_of(const Container& ct) {
  static const auto host = cgroups::detect();
  if (!host) return host.error();
  return cgroups::Group(*host, std::to_string(ct.id));
}

}  // namespace vz::runtime
