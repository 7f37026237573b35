// main() of a small tool: options, --help, --version, one line for an error.
#pragma once

#include "cli/command.h"

namespace vz::cli {

struct Tool {
  std::string_view name;
  const char* usage;
  std::span<const Option> options;  // "help" and "version" among them
  Result<int> (*run)(const Parsed&);
  bool for_root = false;
  bool words_last = false;  // what follows the first word that is no option is no option either
  int misused = 1;          // exit status of a bad command line (Code::usage)
  int failed = 1;           // of any other error
};

// The exit status.
int run_tool(const Tool& tool, const std::vector<std::string>& args);
int run_tool(const Tool& tool, int argc, char** argv);

Result<void> need_root();  // Code::denied
// Exactly one word beside the options; Code::usage "WHAT expected; see TOOL --help".
Result<std::string> one_word(const Parsed& options, std::string_view what);
// A number of at least LEAST as the option's value; Code::usage.
Result<std::optional<uint64_t>> number_option(const Parsed& options, std::string_view name, uint64_t least = 0);
// yes or no; Code::usage.
Result<std::optional<bool>> yes_no_option(const Parsed& options, std::string_view name);

}  // namespace vz::cli
