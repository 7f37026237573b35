#include "runtime/wait.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "base/strings.h"
#include "runtime/exec.h"
#include "sys/files.h"

namespace vz::runtime {

using namespace std::chrono_literals;

namespace {

std::string exe_name(pid_t pid) {
  return sys::base_name(sys::read_link(fmt::format("/proc/{}/exe", pid)).value_or(""));
}

uint64_t signal_mask(std::string_view status, std::string_view field) {
  const size_t at = status.find(field);
  if (at == std::string_view::npos) return 0;
  const std::string_view hex = trim(status.substr(at + field.size(), status.find('\n', at) - at - field.size()));
  uint64_t mask = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), mask, 16);
  return mask;
}

// What a process in sigwaitinfo(2) waits for: meanwhile the kernel shows those as neither blocked nor caught.
// "/proc/PID/syscall" is the number and the arguments; the first one points to the set (proc(5)).
uint64_t awaited_signals(pid_t pid) {
  const std::string text = sys::read_file(fmt::format("/proc/{}/syscall", pid)).value_or("");
  const auto call = words(text);
  if (call.size() < 2 || call[0] != std::to_string(SYS_rt_sigtimedwait) || !call[1].starts_with("0x")) return 0;
  uintptr_t address = 0;
  std::from_chars(call[1].data() + 2, call[1].data() + call[1].size(), address, 16);
  uint64_t set = 0;
  const iovec here{&set, sizeof set}, there{reinterpret_cast<void*>(address), sizeof set};
  return ::process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof set ? set : 0;
}

bool booted(std::string_view state) { return state == "running" || state == "degraded" || state == "maintenance"; }

}  // namespace

bool handles_signal(std::string_view proc_status, int signal) {
  const uint64_t handled = signal_mask(proc_status, "SigBlk:") | signal_mask(proc_status, "SigCgt:");
  return handled & (1ull << (signal - 1));
}

int poweroff_signal(pid_t init) {
  const std::string status = sys::read_file(fmt::format("/proc/{}/status", init)).value_or("");
  const uint64_t awaited = awaited_signals(init);
  auto hears = [&](int signal) { return handles_signal(status, signal) || (awaited & (1ull << (signal - 1))); };
  if (hears(SIGRTMIN + 4)) return SIGRTMIN + 4;
  if (exe_name(init) == "busybox" && hears(SIGUSR2)) return SIGUSR2;
  return 0;
}

Result<void> wait_until_up(const Host& host, const Container& ct) {
  const auto deadline = std::chrono::steady_clock::now() + 1h;
  auto pause = 5ms;
  for (;;) {
    const auto running = state::running(host.paths, ct.id);
    if (!running) return fail(Code::wait_failed, "Container wait failed: it stopped while booting");
    if (exe_name(running->init) != "systemd") return {};
    // --wait blocks until the job queue is empty; it fails at once while systemd's socket is not there yet.
    const auto asked = capture_inside(host, ct, {"systemctl", "is-system-running", "--wait"}, 1h);
    if (asked && booted(trim(asked->out))) return {};
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::wait_failed, "Container wait failed - timeout expired");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, 50ms);
  }
}

}  // namespace vz::runtime
