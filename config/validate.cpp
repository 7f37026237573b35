#include "config/validate.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/strings.h"
#include "config/beans.h"

namespace vz::config {

namespace {

uint64_t plus(uint64_t a, uint64_t b) { return a >= kUnlimited || b >= kUnlimited - a ? kUnlimited : a + b; }
uint64_t times(uint64_t a, uint64_t b) { return b != 0 && a > kUnlimited / b ? kUnlimited : a * b; }

class Checker {
 public:
  Checker(std::string_view text, const std::function<bool(const Finding&)>& repair)
      : file_(File::parse(text, &warnings_)), repair_(repair) {
    for (const std::string& w : warnings_) report({Severity::warning, "", w});
    std::vector<std::string> bad;
    load(file_, 1, spec_, &bad);
    for (const std::string& b : bad) report({Severity::error, "", b});
  }

  const CtSpec& spec() const { return spec_; }
  std::optional<BarrierLimit> find(std::string_view key) const { return bean_limits(spec_, key); }
  bool has(std::string_view key) const { return find(key).has_value(); }
  uint64_t barrier(std::string_view key) const { return find(key).value_or(BarrierLimit{0, 0}).barrier; }
  uint64_t limit(std::string_view key) const { return find(key).value_or(BarrierLimit{0, 0}).limit; }

  void report(Finding finding) {
    bool repaired = repair_(finding) && finding.repair;
    if (repaired) {
      const std::string value = print_barrier_limit(*finding.repair);
      const Param* param = find_key(finding.key);
      repaired = param && file_.set(finding.key, value) && param->parse(spec_, value);
      result_.changed |= repaired;
    }
    if (!repaired && finding.severity == Severity::error) result_.valid = false;
  }
  void require(bool good, Severity severity, std::string_view key, std::string text,
               std::optional<BarrierLimit> repaired = std::nullopt) {
    if (!good) report({severity, std::string(key), std::move(text), repaired});
  }
  // A barrier of at least LEAST; the distance to the limit is kept.
  void at_least(Severity severity, std::string_view key, uint64_t least, std::string_view why) {
    const auto v = find(key);
    if (!v) return;
    require(v->barrier >= least, severity, key, fmt::format("barrier {} is less than {}, {}", v->barrier, least, why),
            BarrierLimit{least, plus(v->limit, least - std::min(least, v->barrier))});
  }

  Validation done() {
    result_.text = file_.text();
    return result_;
  }

 private:
  std::vector<std::string> warnings_;
  File file_;
  CtSpec spec_;
  const std::function<bool(const Finding&)>& repair_;
  Validation result_;
};

constexpr std::string_view kEqual[] = {"NUMPROC", "NUMTCPSOCK", "NUMOTHERSOCK", "SHMPAGES",
                                       "NUMFILE", "NUMPTY",     "NUMSIGINFO",   "NUMIPTENT"};
constexpr std::string_view kGuarantees[] = {"VMGUARPAGES", "OOMGUARPAGES"};
constexpr std::string_view kDisk[] = {"DISKSPACE", "DISKINODES"};

void check_order(Checker& c, std::string_view key) {
  const auto v = c.find(key);
  if (!v) return;
  c.require(v->barrier <= v->limit, Severity::error, key,
            fmt::format("barrier {} is above limit {}", v->barrier, v->limit), BarrierLimit{v->barrier, v->barrier});
}

void check_required(Checker& c) {
  for (const BeanKind& kind : bean_kinds())
    if (kind.key != "SWAPPAGES")
      c.require(c.has(kind.key), Severity::error, kind.key, fmt::format("required parameter {} not set", kind.name));
}

void check_whole_memory(Checker& c, const HostSize& host) {
  c.require(is_vswap(c.spec()), Severity::error, "PHYSPAGES", "memory has no limit");
  c.require(c.has("SWAPPAGES"), Severity::warning, "SWAPPAGES", "not set: swap space has no limit");
  const std::pair<std::string_view, uint64_t> kLimits[] = {{"PHYSPAGES", host.ram}, {"SWAPPAGES", host.swap}};
  for (const auto& [key, bytes] : kLimits) {
    auto v = c.find(key);
    if (!v) continue;
    c.require(v->barrier == 0, Severity::error, key, fmt::format("barrier {} is not 0", v->barrier),
              BarrierLimit{0, v->limit});
    v = c.find(key);
    c.require(v->limit >= kUnlimited || v->limit <= bytes / kPageSize, Severity::warning, key,
              fmt::format("limit {} is more than the {} pages this host has", v->limit, bytes / kPageSize),
              BarrierLimit{v->barrier, bytes / kPageSize});
  }
}

void check_shapes(Checker& c) {
  for (const std::string_view key : kEqual)
    if (const auto v = c.find(key))
      c.require(v->barrier == v->limit, Severity::error, key,
                fmt::format("barrier {} and limit {} differ", v->barrier, v->limit),
                BarrierLimit{v->barrier, v->barrier});
  for (const std::string_view key : kGuarantees)
    if (const auto v = c.find(key))
      c.require(v->limit >= kUnlimited, Severity::error, key, fmt::format("limit {} is not unlimited", v->limit),
                BarrierLimit{v->barrier, kUnlimited});
  if (const auto v = c.find("PHYSPAGES"))
    c.require(*v == BarrierLimit{0, kUnlimited}, Severity::error, "PHYSPAGES",
              fmt::format("{} is not 0:unlimited", print_barrier_limit(*v)), BarrierLimit{0, kUnlimited});
}

// Each buffer of a socket may pass the barrier once.
void check_buffers(Checker& c, std::string_view key, std::string_view sockets) {
  constexpr uint64_t kOverdraft = 2560;
  const auto v = c.find(key);
  if (!v || !c.has(sockets)) return;
  const uint64_t least = plus(v->barrier, times(kOverdraft, c.limit(sockets)));
  c.require(v->limit >= least, Severity::error, key,
            fmt::format("limit {} is less than barrier + 2.5 KiB * {} = {}", v->limit, to_lower(sockets), least),
            BarrierLimit{v->barrier, least});
}

void check_dependences(Checker& c) {
  constexpr uint64_t kKiB = 1024, kTcpLeast = 64 * kKiB, kLeast = 32 * kKiB, kGood = 129 * kKiB;
  constexpr uint64_t kFilesOfProcess = 32, kDcacheOfFile = 384, kKernelOfProcess = 40 * kKiB;
  const auto average = c.find("AVNUMPROC");
  const uint64_t processes = average ? average->barrier : c.barrier("NUMPROC") / 2;
  const uint64_t descriptors = plus(plus(c.limit("NUMTCPSOCK"), c.limit("NUMOTHERSOCK")), c.limit("NUMPTY"));
  const uint64_t files = std::max(times(kFilesOfProcess, processes), descriptors);
  if (c.has("NUMFILE"))
    c.require(c.limit("NUMFILE") >= files, Severity::error, "NUMFILE",
              fmt::format("{} is less than {}, for {} processes on average and {} sockets and terminals",
                          c.limit("NUMFILE"), files, processes, descriptors),
              BarrierLimit{files, files});
  if (const auto v = c.find("DCACHESIZE"); v && c.has("NUMFILE")) {
    const uint64_t least = times(kDcacheOfFile, c.limit("NUMFILE"));
    c.require(v->limit >= least, Severity::error, "DCACHESIZE",
              fmt::format("limit {} is less than 384 * numfile = {}", v->limit, least),
              BarrierLimit{v->barrier, least});
  }
  c.at_least(Severity::error, "KMEMSIZE", plus(times(kKernelOfProcess, processes), c.limit("DCACHESIZE")),
             "40 KiB for each process on average, and the limit of dcachesize");
  c.at_least(Severity::warning, "PRIVVMPAGES", c.barrier("VMGUARPAGES"), "the barrier of vmguarpages");
  for (const std::string_view key : {"TCPSNDBUF", "TCPRCVBUF"}) {
    c.at_least(Severity::error, key, kTcpLeast, "64 KiB");
    check_buffers(c, key, "NUMTCPSOCK");
  }
  for (const std::string_view key : {"DGRAMRCVBUF", "OTHERSOCKBUF"}) {
    c.at_least(Severity::error, key, kLeast, "32 KiB");
    c.at_least(Severity::recommendation, key, kGood, "129 KiB");
  }
  check_buffers(c, "OTHERSOCKBUF", "NUMOTHERSOCK");
}

}  // namespace

Validation validate(std::string_view text, const HostSize& host, std::optional<bool> vswap,
                    const std::function<bool(const Finding&)>& repair) {
  Checker c(text, repair);
  for (const std::string_view key : kDisk) check_order(c, key);
  if (vswap.value_or(is_vswap(c.spec()))) {
    check_whole_memory(c, host);
    for (const BeanKind& kind : bean_kinds()) check_order(c, kind.key);
    return c.done();
  }
  if (vswap)
    check_required(c);
  else
    c.require(false, Severity::recommendation, "PHYSPAGES", "memory has no limit: Linux knows no other than this");
  check_shapes(c);
  for (const BeanKind& kind : bean_kinds()) check_order(c, kind.key);
  check_dependences(c);
  return c.done();
}

}  // namespace vz::config
