// The pieces every vzctl sub-command is made of.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"
#include "runtime/host.h"

namespace vz::cli {

// One command line: "vzctl [flags] COMMAND CTID [arguments]".
struct Context {
  runtime::Host host;
  config::CtId id = 0;
  std::vector<std::string> args;  // after the CTID
  bool skip_lock = false;
};

struct Command {
  std::string_view name, alias = {};         // alias may be empty
  std::string_view args = {}, summary = {};  // for usage
  std::string_view options = {};             // lines of it, where args cannot hold them all
  std::string_view lock_status = {};         // word in the lock file; empty: the command takes no lock
  bool needs_config = true;                  // CTID.conf must exist
  bool takes_parameters = false;             // options of the parameter table
  bool takes_words = false;                  // what is behind the CTID is the guest's: "--help" too
  Result<int> (*run)(Context&);              // exit status
};

extern const Command kStart, kStop, kRestart, kDestroy, kMount, kUmount, kStatus;  // cmd_lifecycle.cpp
extern const Command kCreate, kSet;                                                // cmd_config.cpp
extern const Command kExec, kExec2, kExec3, kRunscript, kEnter, kConsole;          // cmd_exec.cpp
extern const Command kSuspend, kResume;                                            // cmd_checkpoint.cpp
extern const Command kQuotaon, kQuotaoff, kQuotainit, kConvert, kCompact;          // cmd_storage.cpp
extern const Command kMigratable;                                                  // cmd_migratable.cpp
extern const Command kEnded;                                                       // cmd_lifecycle.cpp
std::span<const Command* const> commands();                                        // vzctl.cpp

// ---- options of one command --------------------------------------------------------------------------------------

struct Option {
  std::string_view name;  // without "--"
  bool has_value = false;
  char short_name = 0;
};
struct Parsed {
  struct Item {
    std::string_view name;
    std::string value;
  };
  std::vector<Item> items;  // in order
  std::vector<std::string> rest;
  bool has(std::string_view name) const;
  std::optional<std::string> value(std::string_view name) const;  // the last one
};
// getopt_long(3): abbreviations, "--name value", "--name=value"; words that are no options go to `rest`. Code::usage.
Result<Parsed> parse_options(const std::vector<std::string>& args, std::span<const Option> options);
// The same, up to the first word that is no option: all that follows goes to `rest`.
Result<Parsed> parse_leading_options(const std::vector<std::string>& args, std::span<const Option> options);
// The same when no such words are allowed.
Result<Parsed> parse_only_options(const std::vector<std::string>& args, std::span<const Option> options);

Result<runtime::Container> container(const Context& ctx);

}  // namespace vz::cli
