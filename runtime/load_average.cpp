#include "runtime/load_average.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

constexpr uint64_t kOne = 2048;
constexpr std::array<uint64_t, 3> kKept = {1884, 2014, 2037};  // 1/exp(5s/1min), of 5 and of 15 min

std::string loads_path(const state::Paths& paths) { return paths.run_dir + "/loadavg"; }

std::optional<uint64_t> hundredths(std::string_view text) {
  constexpr size_t kDigits = 2;
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || text.size() - dot - 1 != kDigits) return std::nullopt;
  const auto whole = parse_u64(text.substr(0, dot)), part = parse_u64(text.substr(dot + 1));
  if (!whole || !part || *whole > UINT32_MAX) return std::nullopt;
  return *whole * 100 + *part;
}

}  // namespace

void LoadAverage::add(uint64_t tasks) {
  const uint64_t active = tasks * kOne;
  for (size_t i = 0; i < fixed_.size(); ++i) {
    const uint64_t sum = fixed_[i] * kKept[i] + active * (kOne - kKept[i]);
    fixed_[i] = (sum + (active >= fixed_[i] ? kOne - 1 : 0)) / kOne;  // up when it rises, or it would never get there
  }
}

Load LoadAverage::load() const {
  Load out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = (fixed_[i] + kOne / 200) * 100 / kOne;
  return out;
}

std::string load_text(const Load& load, std::string_view between) {
  std::string out;
  for (const uint64_t value : load)
    out += fmt::format("{}{}.{:02}", out.empty() ? std::string_view() : between, value / 100, value % 100);
  return out;
}

std::string print_loads(const Loads& loads) {
  std::string out;
  for (const auto& [id, load] : loads) out += fmt::format("{} {}\n", id, load_text(load, " "));
  return out;
}

Loads parse_loads(std::string_view text) {
  Loads out;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = words(line);
    if (fields.size() != 4) continue;
    const auto id = parse_u64(fields[0]), a = hundredths(fields[1]), b = hundredths(fields[2]),
               c = hundredths(fields[3]);
    if (id && *id <= config::kMaxCtId && a && b && c) out[static_cast<config::CtId>(*id)] = {*a, *b, *c};
  }
  return out;
}

Loads current_loads(const state::Paths& paths) {
  constexpr int64_t kStale = 3 * kLoadPeriod.count();
  const auto info = sys::stat(loads_path(paths));
  if (!info || ::time(nullptr) - info->st_mtime > kStale) return {};
  const auto text = sys::read_file(loads_path(paths));
  return text ? parse_loads(*text) : Loads();
}

Result<void> forget_loads(const state::Paths& paths) { return sys::remove_file(loads_path(paths)); }

Result<LoadSampler> LoadSampler::open(const state::Paths& paths) {
  TRY_AS(const cgroups::Host host, cgroups::detect());
  TRY_AS(cgroups::TaskCounter counter, cgroups::TaskCounter::open(host));
  return LoadSampler(paths, std::move(counter));
}

Result<void> LoadSampler::sample() {
  constexpr int64_t kMostMissed = 180;  // a quarter of an hour
  TRY_AS(const auto counts, counter_.count());
  const auto now = Clock::now();
  const int64_t periods =
      std::clamp<int64_t>(std::chrono::round<std::chrono::seconds>(now - last_) / kLoadPeriod, 1, kMostMissed);
  last_ = now;
  std::erase_if(averages_, [&](const auto& one) { return !counts.contains(one.first); });
  Loads loads;
  for (const auto& [id, tasks] : counts) {
    LoadAverage& average = averages_[id];
    for (int64_t i = 0; i < periods; ++i) average.add(tasks);
    loads[id] = average.load();
  }
  if (loads.empty()) return forget_loads(paths_);
  return sys::replace_file(loads_path(paths_), print_loads(loads), 0644, false);
}

}  // namespace vz::runtime
