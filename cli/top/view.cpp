#include "cli/top/view.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>

#include "base/strings.h"
#include "config/ubc.h"

namespace vz::cli::top {

namespace {

constexpr double kNearLimit = 0.9;

double seconds_between(Clock::time_point before, Clock::time_point now) {
  return std::chrono::duration<double>(now - before).count();
}

Rate rate(std::optional<uint64_t> now, std::optional<uint64_t> before, double seconds) {
  if (!now || !before || *now < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(*now - *before) / seconds;
}

template <class T, class Part>
std::optional<uint64_t> part(const std::optional<T>& of, Part member) {
  return of ? std::optional<uint64_t>((*of).*member) : std::nullopt;
}

bool is_near(std::optional<uint64_t> used, std::optional<uint64_t> limit) {
  return used && limit && *limit != 0 && static_cast<double>(*used) >= kNearLimit * static_cast<double>(*limit);
}

double busy_percent(const HostSample& now, const HostSample& before) {
  if (now.ticks <= before.ticks || now.busy < before.busy) return 0;
  return 100.0 * static_cast<double>(now.busy - before.busy) / static_cast<double>(now.ticks - before.ticks);
}

// ---- how a value prints ---------------------------------------------------------------------------------------------

using Number = std::optional<uint64_t>;

std::string size_text(uint64_t v) { return v == 0 ? "0" : config::scaled_size(v); }
std::string size_text(const Number& v) { return v ? size_text(*v) : "-"; }
std::string rate_text(const Rate& v) { return v ? size_text(static_cast<uint64_t>(*v)) : "-"; }
std::string count_text(const Number& v) { return v ? std::to_string(*v) : "-"; }
std::string percent_text(const Rate& v) { return v ? fmt::format("{:.1f}", *v) : "-"; }
std::string word_text(const std::string& v) { return v.empty() ? "-" : v; }

Json json_of(const Number& v) { return v ? Json(*v) : Json(); }
// A tenth of a percent, a whole byte.
Json tenths(const Rate& v) { return v ? Json(static_cast<double>(static_cast<int64_t>(*v * 10 + 0.5)) / 10) : Json(); }
Json whole(const Rate& v) { return v ? Json(static_cast<uint64_t>(*v)) : Json(); }

// "12:34.56", "123h45m"
std::string time_text(double seconds) {
  const auto all = static_cast<uint64_t>(seconds * 100);
  const uint64_t minutes = all / 6000;
  if (minutes < 1000) return fmt::format("{}:{:02}.{:02}", minutes, all / 100 % 60, all % 100);
  return fmt::format("{}h{:02}m", minutes / 60, minutes % 60);
}

std::string uptime_text(uint64_t seconds) {
  const uint64_t days = seconds / 86400;
  return fmt::format("{}{:02}:{:02}", days ? fmt::format("{} {}, ", days, days == 1 ? "day" : "days") : "",
                     seconds / 3600 % 24, seconds / 60 % 60);
}

// ---- columns of containers ------------------------------------------------------------------------------------------

using cgroups::Activity;

Number memory(const CtRow& r) { return part(r.now.used, &Activity::memory); }
Number swap(const CtRow& r) { return part(r.now.used, &Activity::swap); }
Number processes(const CtRow& r) { return part(r.now.used, &Activity::pids); }

template <auto Get>
constexpr Column<CtRow> size(std::string_view name, std::string_view header, int rank) {
  return {name,
          {header, 5, rank},
          true,
          [](const CtRow& r) { return size_text(Get(r)); },
          [](const CtRow& r) { return json_of(Get(r)); }};
}
template <auto Member>
constexpr Column<CtRow> flow(std::string_view name, std::string_view header, int rank) {
  return {name,
          {header, 5, rank},
          true,
          [](const CtRow& r) { return rate_text(r.*Member); },
          [](const CtRow& r) { return whole(r.*Member); }};
}
template <auto Member>
constexpr Column<CtRow> word(std::string_view name, std::string_view header, int width, int rank, bool elastic) {
  return {name,
          {header, width, rank, elastic},
          false,
          [](const CtRow& r) { return word_text(r.now.*Member); },
          [](const CtRow& r) { return Json(r.now.*Member); }};
}

std::string shown_name(const CtRow& r) { return r.now.name.empty() ? r.now.hostname : r.now.name; }

constexpr Column<CtRow> kCtColumns[] = {
    {"ctid",
     {"CTID", 5, 0},
     false,
     [](const CtRow& r) { return std::to_string(r.now.id); },
     [](const CtRow& r) { return Json(r.now.id); }},
    {"name",
     {"NAME", -6, 0, true},
     false,
     shown_name,
     [](const CtRow& r) { return r.now.name.empty() ? Json() : Json(r.now.name); }},
    word<&CtSample::hostname>("hostname", "HOSTNAME", -16, kAside, false),
    {"status",
     {"STATUS", -7, 3},
     false,
     [](const CtRow& r) { return std::string(r.now.status); },
     [](const CtRow& r) { return Json(r.now.status); }},
    {"cpu",
     {"%CPU", 5, 0},
     true,
     [](const CtRow& r) { return percent_text(r.cpu); },
     [](const CtRow& r) { return tenths(r.cpu); }},
    size<memory>("memory", "MEM", 0),
    size<[](const CtRow& r) { return r.now.memory_limit; }>("memory_limit", "LIMIT", 2),
    size<swap>("swap", "SWAP", 5),
    size<[](const CtRow& r) { return r.now.swap_limit; }>("swap_limit", "SWAPLIM", kAside),
    {"nproc",
     {"PROC", 4, 1},
     true,
     [](const CtRow& r) { return count_text(processes(r)); },
     [](const CtRow& r) { return json_of(processes(r)); }},
    size<[](const CtRow& r) { return r.now.processes_limit; }>("nproc_limit", "PROCLIM", kAside),
    flow<&CtRow::read>("read", "READ", 4),
    flow<&CtRow::written>("write", "WRITE", 4),
    flow<&CtRow::received>("recv", "RECV", 6),
    flow<&CtRow::sent>("sent", "SENT", 6),
    size<[](const CtRow& r) { return r.now.disk; }>("disk", "DISK", 7),
    size<[](const CtRow& r) { return r.now.disk_limit; }>("disk_limit", "DISKLIM", kAside),
};

// ---- columns of processes -------------------------------------------------------------------------------------------

double cpu_seconds(const ProcessRow& r) {
  static const auto kTicks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(r.now.cpu_ticks) / kTicks;
}
std::string user(const ProcessRow& r) { return r.now.uid_of_host ? user_name(r.now.uid) : std::to_string(r.now.uid); }
std::string command(const ProcessRow& r) { return r.words.empty() ? r.now.command : join(r.words, " "); }

template <auto Member>
constexpr Column<ProcessRow> count(std::string_view name, std::string_view header, int width, int rank,
                                   bool largest_first = false) {
  return {name,
          {header, width, rank},
          largest_first,
          [](const ProcessRow& r) { return std::to_string(r.now.*Member); },
          [](const ProcessRow& r) { return Json(r.now.*Member); }};
}
template <auto Member>
constexpr Column<ProcessRow> bytes(std::string_view name, std::string_view header, int rank) {
  return {name,
          {header, 5, rank},
          true,
          [](const ProcessRow& r) { return size_text(r.now.*Member); },
          [](const ProcessRow& r) { return Json(r.now.*Member); }};
}

constexpr Column<ProcessRow> kProcessColumns[] = {
    count<&ProcessSample::ct>("ctid", "CTID", 5, 0),
    count<&ProcessSample::pid>("pid", "PID", 7, 0),
    count<&ProcessSample::ppid>("ppid", "PPID", 7, kAside),
    {"user", {"USER", -8, 2}, false, user, [](const ProcessRow& r) { return Json(user(r)); }},
    count<&ProcessSample::uid>("uid", "UID", 5, kAside),
    {"state",
     {"S", -1, 3},
     false,
     [](const ProcessRow& r) { return std::string(1, r.now.state); },
     [](const ProcessRow& r) { return Json(std::string(1, r.now.state)); }},
    count<&ProcessSample::nice>("nice", "NI", 3, 6),
    count<&ProcessSample::threads>("threads", "THR", 4, 5, true),
    {"cpu",
     {"%CPU", 5, 0},
     true,
     [](const ProcessRow& r) { return percent_text(r.cpu); },
     [](const ProcessRow& r) { return tenths(r.cpu); }},
    bytes<&ProcessSample::memory>("memory", "RES", 1),
    bytes<&ProcessSample::size>("virtual", "VIRT", 6),
    {"time",
     {"TIME+", 9, 4},
     true,
     [](const ProcessRow& r) { return time_text(cpu_seconds(r)); },
     [](const ProcessRow& r) { return Json(cpu_seconds(r)); }},
    {"command", {"COMMAND", -10, 0, true}, false, command, [](const ProcessRow& r) { return Json(r.now.command); }},
};

}  // namespace

std::span<const Column<CtRow>> ct_columns() { return kCtColumns; }
std::span<const Column<ProcessRow>> process_columns() { return kProcessColumns; }

Json process_json(const ProcessRow& row) {
  Json out = json_of(process_columns(), row);
  out["args"] = row.words;
  return out;
}

// ---- rows -----------------------------------------------------------------------------------------------------------

std::vector<CtRow> rows_of(const CtSamples& now, const CtSamples& before) {
  constexpr double kNsOfPercent = 1e7;
  const double seconds = seconds_between(before.time, now.time);
  std::unordered_map<config::CtId, const CtSample*> earlier;
  for (const CtSample& s : before.all) earlier.emplace(s.id, &s);
  std::vector<CtRow> out;
  for (const CtSample& s : now.all) {
    CtRow row{.now = s, .cpu = {}, .read = {}, .written = {}, .received = {}, .sent = {}};
    if (const auto it = earlier.find(s.id); it != earlier.end()) {
      const auto& used = it->second->used;
      const auto& network = it->second->network;
      const auto since = [&](auto member) { return rate(part(s.used, member), part(used, member), seconds); };
      const auto passed = [&](auto member) { return rate(part(s.network, member), part(network, member), seconds); };
      row.cpu = since(&Activity::cpu_ns);
      if (row.cpu) *row.cpu /= kNsOfPercent;
      const auto io = [](const std::optional<Activity>& a) { return a ? std::optional(a->io) : std::nullopt; };
      row.read = rate(part(io(s.used), &cgroups::IoBytes::read), part(io(used), &cgroups::IoBytes::read), seconds);
      row.written =
          rate(part(io(s.used), &cgroups::IoBytes::written), part(io(used), &cgroups::IoBytes::written), seconds);
      row.received = passed(&Bytes::received);
      row.sent = passed(&Bytes::sent);
    }
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<ProcessRow> rows_of(const ProcessSamples& now, const ProcessSamples& before, double ticks_per_second) {
  const double seconds = seconds_between(before.time, now.time);
  std::unordered_map<pid_t, const ProcessSample*> earlier;
  for (const ProcessSample& p : before.all) earlier.emplace(p.pid, &p);
  std::vector<ProcessRow> out;
  for (const ProcessSample& p : now.all) {
    const auto it = earlier.find(p.pid);
    const bool same = it != earlier.end() && it->second->started == p.started;
    Rate cpu = same ? rate(p.cpu_ticks, it->second->cpu_ticks, seconds) : std::nullopt;
    if (cpu) *cpu *= 100.0 / ticks_per_second;
    out.push_back({.now = p, .cpu = cpu, .words = {}});
  }
  return out;
}

Mood mood_of(const CtRow& row) {
  if (!row.now.used) return Mood::idle;
  const bool near = is_near(memory(row), row.now.memory_limit) || is_near(processes(row), row.now.processes_limit) ||
                    is_near(row.now.disk, row.now.disk_limit);
  return near ? Mood::alarm : Mood::usual;
}

Mood mood_of(const ProcessRow& row) {
  if (row.now.state == 'R') return Mood::busy;
  return row.now.state == 'D' || row.now.state == 'Z' ? Mood::alarm : Mood::usual;
}

// ---- lines ----------------------------------------------------------------------------------------------------------

namespace {

size_t least_width(const Shape& s) { return static_cast<size_t>(std::abs(s.width)); }

std::string fit(std::string text, const Shape& shape, size_t width) {
  if (shape.width > 0) return fmt::format("{:>{}}", text, width);
  if (text.size() > width) text.resize(width);
  return fmt::format("{:<{}}", text, width);
}

std::string cut(std::string line, size_t width) {
  if (width && line.size() > width) line.resize(width);
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

size_t total_width(std::span<const Shape> shapes, const std::vector<size_t>& widths, const std::vector<size_t>& kept) {
  size_t sum = kept.empty() ? 0 : kept.size() - 1;
  for (const size_t i : kept) sum += shapes[i].elastic ? least_width(shapes[i]) : widths[i];
  return sum;
}

}  // namespace

Picture draw(std::span<const Shape> shapes, const std::vector<std::vector<std::string>>& cells, size_t width) {
  std::vector<std::vector<std::string>> text(cells.size());
  std::vector<size_t> widths, kept;
  for (size_t i = 0; i < shapes.size(); ++i) {
    size_t longest = std::max(least_width(shapes[i]), shapes[i].header.size());
    for (size_t row = 0; row < cells.size(); ++row) {
      text[row].push_back(printable(cells[row][i]));
      if (shapes[i].width > 0 || shapes[i].elastic) longest = std::max(longest, text[row][i].size());
    }
    widths.push_back(longest);
    kept.push_back(i);
  }
  while (width && total_width(shapes, widths, kept) > width) {
    const auto last =
        std::max_element(kept.begin(), kept.end(), [&](size_t a, size_t b) { return shapes[a].rank < shapes[b].rank; });
    const int rank = shapes[*last].rank;
    if (rank == 0) break;
    std::erase_if(kept, [&](size_t i) { return shapes[i].rank == rank; });
  }
  for (const size_t i : kept) {
    if (!width || !shapes[i].elastic) continue;
    const size_t others = total_width(shapes, widths, kept) - least_width(shapes[i]);
    const size_t room = width > others ? width - others : 0;
    widths[i] = std::clamp(room, least_width(shapes[i]), widths[i]);
  }
  const auto line = [&](auto cell) {
    std::string out;
    for (const size_t i : kept) out += (out.empty() ? "" : " ") + fit(cell(i), shapes[i], widths[i]);
    return cut(std::move(out), width);
  };
  Picture picture;
  picture.header = line([&](size_t i) { return std::string(shapes[i].header); });
  for (const auto& row : text) picture.lines.push_back(line([&](size_t i) { return row[i]; }));
  return picture;
}

std::vector<std::string> summary(const HostSample& now, const HostSample& before, std::string_view clock,
                                 std::string_view subject, size_t width) {
  const auto used = [](uint64_t all, uint64_t free) {
    return fmt::format("{} of {} used", size_text(all - std::min(all, free)), size_text(all));
  };
  return {cut(fmt::format("vztop - {} up {}, load average: {:.2f}, {:.2f}, {:.2f}", clock, uptime_text(now.uptime),
                          now.load[0], now.load[1], now.load[2]),
              width),
          cut(fmt::format("{}; {} {}, {:.1f}% used", subject, now.cpus, now.cpus == 1 ? "CPU" : "CPUs",
                          busy_percent(now, before)),
              width),
          cut(fmt::format("Memory: {}; swap: {}", used(now.memory, now.free),
                          now.swap ? used(now.swap, now.swap_free) : "none"),
              width)};
}

Json host_json(const HostSample& now, const HostSample& before) {
  return {{"uptime", now.uptime}, {"load", now.load},
          {"cpus", now.cpus},     {"cpu", tenths(busy_percent(now, before))},
          {"memory", now.memory}, {"memory_available", now.free},
          {"swap", now.swap},     {"swap_free", now.swap_free}};
}

}  // namespace vz::cli::top
