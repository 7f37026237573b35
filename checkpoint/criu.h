// The criu program: where it is, and one run of it with our hooks answered. Source: criu(8), criu.org/Action_scripts.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/host.h"
#include "sys/process.h"

namespace vz::checkpoint {

// vz.conf's CRIU, else the private copy of scripts/setup, else "criu" in PATH. Code::unsupported when there is none.
Result<std::string> criu_program(const runtime::Host& host);
// "4.2.1".
Result<std::string> criu_version(const std::string& program);

// What criu tells at a stage of its work: "post-dump", "setup-namespaces", "post-restore" ... and, on restore, the host
// PID of the new init. An error answer makes criu fail there: before "post-restore" (included) the restored tree is
// killed, at "post-dump" the dumped one goes on running.
struct HookCall {
  std::string action;
  pid_t init = 0;
};
using Hook = std::function<Result<void>(const HookCall&)>;

struct CriuRun {
  std::vector<std::string> args;  // "dump", "-t", "7" ...; -D, -o, -v and the hook are added
  std::string image_dir;
  std::string log_name;   // "dump.log", in image_dir
  Hook hook;              // empty: none
  std::string last_word;  // the hook after whose yes there is no way back: a signal that cancels is too late then
  // Its tree goes on running when it fails, as in a dump: it outlives us (and, without us to answer a hook, gives up),
  // and is never killed half-way while it obeys; see run_criu().
  bool tree_lives = false;
  std::function<Result<void>()> before_exec;
  std::vector<std::string> env;  // added to ours, "NAME=value"
  std::vector<int> inherit;      // descriptors that stay open, under the same numbers
  std::chrono::milliseconds timeout = std::chrono::hours(1);
};
// Runs criu to its end, answering hooks meanwhile. On failure the error carries the hook's own error or the first
// "Error" line of criu's log. Cancelled by a signal, or after `timeout` (Code::timeout): it is killed; where the tree
// lives, it is made to fail at its next write instead and puts everything back as it was. The process that calls is
// criu's parent (and, with --restore-sibling, that of the restored init).
Result<void> run_criu(const runtime::Host& host, const CriuRun& run);

// First line of a log that says what went wrong, without criu's source position. Pure.
std::string first_error(std::string_view log);

}  // namespace vz::checkpoint
