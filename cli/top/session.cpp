#include "cli/top/session.h"

#include <fmt/core.h>
#include <unistd.h>

#include <ctime>

namespace vz::cli::top {

namespace {

// Calls USE with what there is in either case.
template <class Use>
auto with_columns(bool of_processes, Use use) {
  return of_processes ? use(process_columns()) : use(ct_columns());
}

std::string clock_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  return fmt::format("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec);
}

template <class Row, class Id>
std::optional<size_t> place_of(const std::vector<Row>& rows, uint64_t id, Id id_of_row) {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return id_of_row(r) == id; });
  return it == rows.end() ? std::nullopt : std::optional(static_cast<size_t>(it - rows.begin()));
}

template <class Row>
std::span<const Row> part_of(const std::vector<Row>& rows, size_t first, size_t count) {
  first = std::min(first, rows.size());
  return std::span(rows).subspan(first, std::min(count, rows.size() - first));
}

uint64_t id_of_ct(const CtRow& r) { return r.now.id; }
uint64_t id_of_process(const ProcessRow& r) { return static_cast<uint64_t>(r.now.pid); }

}  // namespace

std::vector<std::string_view> column_names(bool of_processes) {
  return with_columns(of_processes, [](auto columns) {
    std::vector<std::string_view> out;
    for (const auto& c : columns) out.push_back(c.name);
    return out;
  });
}

bool is_column(bool of_processes, std::string_view name) {
  return with_columns(of_processes, [&](auto columns) { return find_column(columns, name) != nullptr; });
}

Result<void> Session::choose(Choice choice) {
  const bool elsewhere =
      choice.processes != choice_.processes || choice.only != choice_.only || choice.all != choice_.all;
  choice_ = std::move(choice);
  if (!is_column(choice_.processes, choice_.sort)) choice_.sort = "cpu";
  if (elsewhere) return sample();
  arrange();
  return {};
}

Result<void> Session::sample() {
  TRY_AS(HostSample host, read_host());
  if (choice_.processes) {
    TRY_AS(ProcessSamples now, reader_.processes(choice_.only));
    processes_before_ = std::exchange(processes_now_, std::move(now));
  } else {
    TRY_AS(CtSamples now, reader_.containers(choice_.all));
    cts_before_ = std::exchange(cts_now_, std::move(now));
  }
  host_before_ = std::exchange(host_now_, host);
  arrange();
  return {};
}

void Session::arrange() {
  static const auto kTicks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ct_rows_.clear();
  process_rows_.clear();
  if (choice_.processes) {
    process_rows_ = rows_of(processes_now_, processes_before_, kTicks);
    sort_rows(process_rows_, *find_column(process_columns(), choice_.sort), choice_.reversed);
  } else {
    ct_rows_ = rows_of(cts_now_, cts_before_);
    sort_rows(ct_rows_, *find_column(ct_columns(), choice_.sort), choice_.reversed);
  }
}

uint64_t Session::id_of(size_t row) const {
  return choice_.processes ? id_of_process(process_rows_[row]) : id_of_ct(ct_rows_[row]);
}

std::optional<size_t> Session::find(uint64_t id) const {
  return choice_.processes ? place_of(process_rows_, id, id_of_process) : place_of(ct_rows_, id, id_of_ct);
}

Mood Session::mood(size_t row) const {
  return choice_.processes ? mood_of(process_rows_[row]) : mood_of(ct_rows_[row]);
}

// Command lines are looked up for rows that are seen: their memory is the processes' own, and may take long to read.
Picture Session::picture(size_t first, size_t count, size_t width) {
  if (!choice_.processes) return draw(ct_columns(), part_of(ct_rows_, first, count), width);
  if (choice_.command_lines)
    for (size_t i = first; i < process_rows_.size() && i - first < count; ++i)
      process_rows_[i].words = command_line(process_rows_[i].now.pid);
  return draw(process_columns(), part_of(process_rows_, first, count), width);
}

std::string Session::subject() const {
  if (choice_.processes) {
    const std::string whose = !choice_.only        ? ""
                              : *choice_.only == 0 ? " of the host"
                                                   : fmt::format(" of container {}", *choice_.only);
    return fmt::format("Processes{}: {}", whose, process_rows_.size());
  }
  const auto running =
      std::count_if(ct_rows_.begin(), ct_rows_.end(), [](const CtRow& r) { return r.now.used.has_value(); });
  const size_t others = ct_rows_.size() - static_cast<size_t>(running);
  return fmt::format("Containers: {} running{}", running, others ? fmt::format(", {} not", others) : "");
}

std::vector<std::string> Session::summary(size_t width) const {
  return top::summary(host_now_, host_before_, clock_text(), subject(), width);
}

Json Session::json() {
  const auto seconds = [](auto now, auto before) {
    return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now.time - before.time).count()) /
           1000;
  };
  Json list = Json::array();
  if (choice_.processes) {
    for (ProcessRow& r : process_rows_) {
      r.words = command_line(r.now.pid);
      list.push_back(process_json(r));
    }
  } else {
    for (const CtRow& r : ct_rows_) list.push_back(json_of(ct_columns(), r));
  }
  Json out = {
      {"time", std::time(nullptr)},
      {"interval", choice_.processes ? seconds(processes_now_, processes_before_) : seconds(cts_now_, cts_before_)},
      {"host", host_json(host_now_, host_before_)}};
  out[choice_.processes ? "processes" : "containers"] = std::move(list);
  return out;
}

}  // namespace vz::cli::top
