#include "sys/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "sys/files.h"
#include "sys/unique_fd.h"

namespace vz::sys {

static_assert(sizeof(sock_filter) == sizeof(uint64_t));

namespace {

struct Release {
  void operator()(void* c) const { ::seccomp_release(c); }
};
using Filter = std::unique_ptr<void, Release>;

Result<void> add(void* filter, const SyscallRule& rule) {
  const int nr = ::seccomp_syscall_resolve_name(std::string(rule.name).c_str());
  if (nr == __NR_SCMP_ERROR) return {};
  const auto action = SCMP_ACT_ERRNO(static_cast<uint32_t>(rule.error));
  if (!rule.forbidden_bits) {
    const int r = ::seccomp_rule_add(filter, action, nr, 0);
    return r == 0 ? Result<void>() : fail_sys(-r, "seccomp rule for '{}'", rule.name);
  }
  for (uint64_t bit = 1; bit && bit <= rule.forbidden_bits; bit <<= 1) {
    if (!(rule.forbidden_bits & bit)) continue;
    const scmp_arg_cmp has_bit{rule.arg, SCMP_CMP_MASKED_EQ, bit, bit};
    if (const int r = ::seccomp_rule_add_array(filter, action, nr, 1, &has_bit); r != 0)
      return fail_sys(-r, "seccomp rule for '{}'", rule.name);
  }
  return {};
}

}  // namespace

Result<std::vector<uint64_t>> compile_filter(const std::vector<SyscallRule>& rules) {
  Filter filter{::seccomp_init(SCMP_ACT_ALLOW)};
  if (!filter) return fail(Code::system, "seccomp: out of memory");
#if defined(__x86_64__)
  for (const uint32_t arch : {SCMP_ARCH_X86, SCMP_ARCH_X32})
    if (const int r = ::seccomp_arch_add(filter.get(), arch); r != 0 && r != -EEXIST)
      return fail_sys(-r, "seccomp architecture");
#endif
  for (const SyscallRule& rule : rules) TRY(add(filter.get(), rule));
  UniqueFd memory{::memfd_create("seccomp", MFD_CLOEXEC)};
  if (!memory) return fail_sys(errno, "memfd");
  if (const int r = ::seccomp_export_bpf(filter.get(), memory.get()); r != 0) return fail_sys(-r, "seccomp export");
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return fail_sys(errno, "memfd");
  TRY_AS(std::string bytes, read_fd(memory.get()));
  std::vector<uint64_t> program(bytes.size() / sizeof(uint64_t));
  std::memcpy(program.data(), bytes.data(), program.size() * sizeof(uint64_t));
  return program;
}

Result<void> load_filter(const std::vector<uint64_t>& program) {
  std::vector<uint64_t> copy = program;
  sock_fprog prog{static_cast<unsigned short>(copy.size()), reinterpret_cast<sock_filter*>(copy.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0)
    return fail_sys(errno, "load the system call filter");
  return {};
}

}  // namespace vz::sys
