#include "runtime/shares.h"

#include <algorithm>
#include <array>

#include "config/beans.h"

namespace vz::runtime {

namespace {

using Part = uint64_t Shares::*;
constexpr auto kParts = std::to_array<Part>({
    &Shares::kernel_used,
    &Shares::kernel_limit,
    &Shares::ram_used,
    &Shares::memory_used,
    &Shares::memory_promised,
    &Shares::alloc_promised,
    &Shares::alloc_limit,
    &Shares::processes_used,
    &Shares::processes_limit,
});

uint64_t add(uint64_t a, uint64_t b) { return a > config::kUnlimited - b ? config::kUnlimited : a + b; }

uint64_t in_bytes(uint64_t count, uint64_t unit) {
  return count > config::kUnlimited / unit ? config::kUnlimited : count * unit;
}

uint64_t barrier(const config::CtSpec& spec, std::string_view name, uint64_t otherwise) {
  const config::BeanKind& kind = *config::find_bean(name);
  const auto v = config::bean_limits(spec, kind.key);
  return v ? in_bytes(v->barrier, std::max<uint64_t>(kind.unit, 1)) : otherwise;
}

uint64_t limit(const config::CtSpec& spec, std::string_view name, uint64_t otherwise) {
  const config::BeanKind& kind = *config::find_bean(name);
  const auto v = config::bean_limits(spec, kind.key);
  return v ? in_bytes(v->limit, std::max<uint64_t>(kind.unit, 1)) : otherwise;
}

// The limit of its memory holds for the kernel's part of it, too.
void promise_whole(const config::CtSpec& spec, Shares& s) {
  const uint64_t ram = limit(spec, "physpages", config::kUnlimited);
  const uint64_t all = add(ram, limit(spec, "swappages", config::kUnlimited));
  s.memory_promised = ram;
  s.alloc_promised = s.alloc_limit = all;
}

void promise_beancounters(const config::CtSpec& spec, Shares& s) {
  for (const std::string_view name : {"kmemsize", "tcprcvbuf", "tcpsndbuf", "dgramrcvbuf", "othersockbuf"})
    s.kernel_limit = add(s.kernel_limit, limit(spec, name, 0));
  s.memory_promised = add(s.kernel_limit, barrier(spec, "oomguarpages", 0));
  s.alloc_promised = add(s.kernel_limit, barrier(spec, "vmguarpages", 0));
  s.alloc_limit = add(s.kernel_limit, limit(spec, "privvmpages", config::kUnlimited));
}

}  // namespace

Shares capacity(const config::HostSize& host) {
  constexpr double kKernelPart = 0.4;
  const auto kernel = static_cast<uint64_t>(kKernelPart * static_cast<double>(host.low));
  const uint64_t all = host.ram + host.swap;
  return {.kernel_used = kernel,
          .kernel_limit = kernel,
          .ram_used = host.ram,
          .memory_used = all,
          .memory_promised = all,
          .alloc_promised = all,
          .alloc_limit = all,
          .processes_used = host.threads,
          .processes_limit = host.threads};
}

Shares shares_of(const config::CtSpec& spec, const std::optional<cgroups::Usage>& usage, const config::HostSize& host) {
  Shares s;
  if (usage) {
    s.kernel_used = usage->kernel;
    s.ram_used = usage->memory;
    s.memory_used = usage->memory + usage->swap;
    s.processes_used = usage->pids;
  }
  if (config::is_vswap(spec))
    promise_whole(spec, s);
  else
    promise_beancounters(spec, s);
  s.processes_limit = barrier(spec, "numproc", config::kUnlimited);
  const Shares most = capacity(host);
  for (const Part part : kParts)
    if (s.*part >= config::kUnlimited) s.*part = most.*part;
  return s;
}

Shares sum(const Shares& a, const Shares& b) {
  Shares out;
  for (const Part part : kParts) out.*part = add(a.*part, b.*part);
  return out;
}

double percent(uint64_t part, uint64_t whole) {
  return whole ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace vz::runtime
