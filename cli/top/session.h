// vztop(8) between two samples: what is looked at, in which order.
#pragma once

#include "cli/top/view.h"

namespace vz::cli::top {

struct Choice {
  bool processes = false;                 // else containers
  std::optional<config::CtId> only = {};  // processes of one; 0: of the host
  bool all = false;                       // also containers that do not run
  bool command_lines = false;             // of processes
  std::string sort = "cpu";               // a column of what is shown
  bool reversed = false;
};

// A column of that name is among those that are shown, or could be.
bool is_column(bool of_processes, std::string_view name);
std::vector<std::string_view> column_names(bool of_processes);

class Session {
 public:
  Session(const runtime::Host& host, Choice choice) : reader_(host), choice_(std::move(choice)) {}

  const Choice& choice() const { return choice_; }
  // Another one: a new sample is due when it looks at something else.
  Result<void> choose(Choice choice);
  // A new sample. Rates are those since the last one.
  Result<void> sample();

  size_t rows() const { return choice_.processes ? process_rows_.size() : ct_rows_.size(); }
  // CTID or PID of a row, and where it is now.
  uint64_t id_of(size_t row) const;
  std::optional<size_t> find(uint64_t id) const;

  Picture picture(size_t first, size_t count, size_t width);
  Mood mood(size_t row) const;
  std::vector<std::string> summary(size_t width) const;
  Json json();

 private:
  void arrange();
  std::string subject() const;

  Reader reader_;
  Choice choice_;
  HostSample host_before_, host_now_;
  CtSamples cts_before_, cts_now_;
  ProcessSamples processes_before_, processes_now_;
  std::vector<CtRow> ct_rows_;
  std::vector<ProcessRow> process_rows_;
};

}  // namespace vz::cli::top
