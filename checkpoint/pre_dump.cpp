#include "checkpoint/pre_dump.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "checkpoint/criu.h"
#include "checkpoint/foothold.h"
#include "checkpoint/images.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

Result<std::vector<std::string>> page_files(const std::string& dir) {
  TRY_AS(std::vector<std::string> names, sys::list_dir(dir));
  std::erase_if(names, [](const std::string& n) { return !n.starts_with("pages-"); });
  for (std::string& n : names) n = fmt::format("{}/{}", dir, n);
  return names;
}

}  // namespace

std::string cannot_track_memory(const runtime::Host& host) {
  const auto program = criu_program(host);
  if (!program) return program.error().text;
  const auto checked = sys::run_ok({.argv = {*program, "check", "--feature", "mem_dirty_track"}});
  return checked ? "" : "this kernel does not tell which memory is written (CONFIG_MEM_SOFT_DIRTY)";
}

Result<uint64_t> dumpable_memory(const runtime::Container& ct) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  TRY_AS(const auto pids, group.processes());
  uint64_t kib = 0;
  for (const pid_t pid : pids) {
    const std::string status = sys::read_file(fmt::format("/proc/{}/status", pid)).value_or("");  // it may have ended
    kib += find_number(status, "RssAnon:").value_or(0) + find_number(status, "VmSwap:").value_or(0);
  }
  return kib * 1024;
}

std::vector<std::string> parent_options(const std::string& parent) {
  return {"--track-mem", "--prev-images-dir", parent};
}

Result<uint64_t> pre_dump(const runtime::Host& host, const runtime::Container& ct, const std::string& dir,
                          const std::string& parent) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "CT {} stopped meanwhile", ct.id);
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  TRY_AS(const auto pids, group.processes());
  give_footholds(pids);
  CriuRun run;
  // "read": memory is read while the guest runs on, not spliced into pipes while it stands still.
  run.args = {"pre-dump", "-t", std::to_string(running->init), "--pre-dump-mode", "read"};
  for (const auto& part : {common_options(), dump_externals({})})
    run.args.insert(run.args.end(), part.begin(), part.end());
  if (parent.empty())
    run.args.emplace_back("--track-mem");
  else
    for (std::string& option : parent_options(parent)) run.args.push_back(std::move(option));
  run.image_dir = dir;
  run.log_name = "pre-dump.log";
  run.tree_lives = true;
  auto ran = run_criu(host, run);
  if (!ran && ran.error().code == Code::system) return std::move(ran).error().with_code(Code::checkpoint_failed);
  TRY(ran);
  TRY_AS(const auto files, page_files(dir));
  uint64_t bytes = 0;
  for (const std::string& file : files) {
    TRY_AS(const struct stat st, sys::stat(file));
    bytes += static_cast<uint64_t>(st.st_size);
  }
  return bytes;
}

Result<void> forget_pages(const std::string& dir) {
  TRY_AS(const auto files, page_files(dir));
  for (const std::string& file : files)
    if (::truncate(file.c_str(), 0) != 0) return fail_sys(errno, "truncate '{}'", file);
  return {};
}

}  // namespace vz::checkpoint
