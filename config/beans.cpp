#include "config/beans.h"

#include <algorithm>
#include <cstdint>

namespace vz::config {

namespace {

constexpr uint64_t kBytes = 1;

constexpr BeanKind kBeans[] = {
    {"kmemsize", "KMEMSIZE", kBytes},
    {"lockedpages", "LOCKEDPAGES", kPageSize},
    {"privvmpages", "PRIVVMPAGES", kPageSize},
    {"shmpages", "SHMPAGES", kPageSize},
    {"numproc", "NUMPROC", kItems},
    {"physpages", "PHYSPAGES", kPageSize},
    {"vmguarpages", "VMGUARPAGES", kPageSize},
    {"oomguarpages", "OOMGUARPAGES", kPageSize},
    {"numtcpsock", "NUMTCPSOCK", kItems},
    {"numflock", "NUMFLOCK", kItems},
    {"numpty", "NUMPTY", kItems},
    {"numsiginfo", "NUMSIGINFO", kItems},
    {"tcpsndbuf", "TCPSNDBUF", kBytes},
    {"tcprcvbuf", "TCPRCVBUF", kBytes},
    {"othersockbuf", "OTHERSOCKBUF", kBytes},
    {"dgramrcvbuf", "DGRAMRCVBUF", kBytes},
    {"numothersock", "NUMOTHERSOCK", kItems},
    {"dcachesize", "DCACHESIZE", kBytes},
    {"numfile", "NUMFILE", kItems},
    {"numiptent", "NUMIPTENT", kItems},
    {"swappages", "SWAPPAGES", kPageSize},
};

}  // namespace

std::span<const BeanKind> bean_kinds() { return kBeans; }

const BeanKind* find_bean(std::string_view name) {
  const auto it = std::find_if(std::begin(kBeans), std::end(kBeans), [&](const BeanKind& k) { return k.name == name; });
  return it == std::end(kBeans) ? nullptr : it;
}

std::optional<BarrierLimit> bean_limits(const CtSpec& spec, std::string_view key) {
  const Param* param = find_key(key);
  const auto text = param ? param->print(spec) : std::nullopt;
  if (!text) return std::nullopt;
  const auto parsed = parse_barrier_limit(*text, 1);  // bare numbers: in their own unit already
  return parsed ? std::optional(*parsed) : std::nullopt;
}

// INT32_MAX is what a 32-bit host wrote for "unlimited".
bool is_vswap(const CtSpec& spec) {
  return spec.physpages && spec.physpages->limit != kUnlimited && spec.physpages->limit != INT32_MAX;
}

}  // namespace vz::config
