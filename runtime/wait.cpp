#include "runtime/wait.h"

#include <signal.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "base/strings.h"
#include "runtime/exec.h"
#include "sys/files.h"

namespace vz::runtime {

using namespace std::chrono_literals;

namespace {

std::string exe_name(pid_t pid) { return sys::base_name(sys::read_link(fmt::format("/proc/{}/exe", pid)).value_or("")); }

uint64_t signal_mask(std::string_view status, std::string_view field) {
  const size_t at = status.find(field);
  if (at == std::string_view::npos) return 0;
  const std::string_view hex = trim(status.substr(at + field.size(), status.find('\n', at) - at - field.size()));
  uint64_t mask = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), mask, 16);
  return mask;
}

bool booted(std::string_view state) { return state == "running" || state == "degraded" || state == "maintenance"; }

}  // namespace

bool handles_signal(std::string_view proc_status, int signal) {
  const uint64_t handled = signal_mask(proc_status, "SigBlk:") | signal_mask(proc_status, "SigCgt:");
  return handled & (1ull << (signal - 1));
}

int poweroff_signal(pid_t init) {
  const std::string status = sys::read_file(fmt::format("/proc/{}/status", init)).value_or("");
  const int poweroff = SIGRTMIN + 4;
  if (handles_signal(status, poweroff)) return poweroff;
  if (exe_name(init) == "busybox" && handles_signal(status, SIGUSR2)) return SIGUSR2;
  return 0;
}

Result<void> wait_until_up(const Host& host, const Container& ct) {
  const auto deadline = std::chrono::steady_clock::now() + 1h;
  auto pause = 5ms;
  for (;;) {
    const auto running = state::running(host.paths, ct.id);
    if (!running) return fail(Code::wait_failed, "Container wait failed: it stopped while booting");
    const std::string exe = exe_name(running->init);
    if (exe == "systemd") {
      // --wait blocks until the job queue is empty; it fails at once while systemd's socket is not there yet.
      const auto asked = capture_inside(host, ct, {"systemctl", "is-system-running", "--wait"}, 1h);
      if (asked && booted(trim(asked->out))) return {};
    } else if (exe != "vzctl" && exe != "vz-supervisor") {
      return {};
    }
    if (std::chrono::steady_clock::now() > deadline) return fail(Code::wait_failed, "Container wait failed - timeout expired");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, 50ms);
  }
}

}  // namespace vz::runtime
