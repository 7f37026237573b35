// bpf(2) for our few and short programs, written instruction by instruction.
#pragma once

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace vz::cgroups::v2 {

inline bpf_insn instruction(int code, uint8_t to, uint8_t from, size_t offset, uint32_t value) {
  bpf_insn i{};
  i.code = static_cast<uint8_t>(code);
  i.dst_reg = to & 0xf;
  i.src_reg = from & 0xf;
  i.off = static_cast<int16_t>(offset);
  i.imm = static_cast<int32_t>(value);
  return i;
}

inline long bpf(int command, bpf_attr& attr) { return ::syscall(SYS_bpf, command, &attr, sizeof attr); }

}  // namespace vz::cgroups::v2
