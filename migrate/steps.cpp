#include "migrate/steps.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/strings.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

constexpr Step kSteps[] = {
    {"source", "begun", "the source has its record; nothing is touched there"},
    {"destination", "reserved", "the destination has its record"},
    {"destination", "prepared", "the copy's file system is mounted there"},
    {"source", "copied", "all files are over once"},
    {"source", "memory-copied", "memory is over once, where it is copied beforehand"},
    {"source", "dump-prepared", "network and cgroups are saved; the destination gets its groups, root and criu ready"},
    {"source", "frozen", "the container stands still and is out of the network"},
    {"source", "dumped", "memory is dumped; files and images are on their way"},
    {"source", "sent", "everything is over"},
    {"destination", "synced", "everything is on the disk there"},
    {"destination", "restored", "the container is whole there, standing still"},
    {"source", "ready", "the source knows that"},
    {"source", "handed", "the source has given it up, by its record; the word is not yet given"},
    {"destination", "told", "the destination has the word"},
    {"destination", "active", "the destination has taken it over, by its record"},
    {"destination", "settled", "it has its name and configuration there"},
    {"destination", "released", "it runs there"},
    {"source", "gone", "the source knows that"},
    {"source", "retired", "nothing of it is left on the source"},
    {"destination", "forgotten", "the destination knows that, and has forgotten the move"},
};

}  // namespace

std::span<const Step> steps() { return kSteps; }

void at(const runtime::Host& host, std::string_view name) {
  const std::string path = host.paths.run_dir + "/fault";
  const auto text = sys::read_file(path, 256);
  if (!text) return;
  const auto parts = words(*text);
  if (parts.size() != 2 || parts[0] != name) return;
  log::detail("at step {}: {}", name, parts[1]);
  (void)sys::replace_file(path + ".reached", std::to_string(::getpid()), 0600);
  if (parts[1] == "kill") ::raise(SIGKILL);
  if (parts[1] != "pause") return;
  while (sys::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace vz::migrate
