// vzfsync: files written to their disk; vzfsync(8).
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr int kFailed = 2;
constexpr Option kOptions[] = {
    {"sync", false, 's'}, {"datasync", false, 'd'}, {"dontneed", false, 'n'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzfsync -s|-d [-n] FILE...\n"
    "Writes what is in memory of files to their disk.\n"
    "  -s, --sync      with all that is known of them\n"
    "  -d, --datasync  with what it takes to read them again\n"
    "  -n, --dontneed  and gives the memory back\n"
    "  -h, --help, --version\n";

// O_NONBLOCK: a FIFO would make us wait.
Result<void> write_back(const std::string& file, const Parsed& options) {
  TRY_AS(const sys::UniqueFd fd, sys::open(file, O_RDONLY | O_NONBLOCK));
  if ((options.has("sync") ? ::fsync(fd.get()) : ::fdatasync(fd.get())) != 0) return fail_sys(errno, "sync '{}'", file);
  if (!options.has("dontneed")) return {};
  if (const int err = ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED)) return fail_sys(err, "drop '{}'", file);
  return {};
}

Result<int> run(const Parsed& options) {
  if (options.has("sync") == options.has("datasync")) return fail(Code::usage, "Use either -s or -d");
  if (options.rest.empty()) return fail(Code::usage, "A file expected; see vzfsync --help");
  int status = 0;
  for (const std::string& file : options.rest)
    if (const auto r = write_back(file, options); !r) {
      log::error("{}", r.error().text);
      status = kFailed;
    }
  return status;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzfsync", .usage = kUsage, .options = kOptions, .run = run, .failed = kFailed}, argc, argv);
}
