#include "cgroups/v2/devices.h"

#include <fcntl.h>

#include <cerrno>
#include <cstddef>

#include "cgroups/v2/bpf.h"
#include "sys/files.h"

namespace vz::cgroups::v2 {

namespace {

enum Register : uint8_t { kAnswer = BPF_REG_0, kContext = BPF_REG_1, kType, kAccess, kMajor, kMinor };

bpf_insn load(uint8_t to, size_t offset) { return instruction(BPF_LDX | BPF_MEM | BPF_W, to, kContext, offset, 0); }
bpf_insn compute(int how, uint8_t to, uint32_t value) { return instruction(BPF_ALU | how | BPF_K, to, 0, 0, value); }
bpf_insn jump_if(int how, uint8_t what, uint32_t value, size_t over) {
  return instruction(BPF_JMP | how | BPF_K, what, 0, over, value);
}

void answer(std::vector<bpf_insn>& program, uint32_t value) {
  program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, kAnswer, 0, 0, value));
  program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}
constexpr size_t kAnswerSize = 2;

Error refused(const std::string& group) {
  const int why = errno;
  const bool missing = why == ENOSYS || why == EINVAL;
  return fail_sys(why, "hold '{}' to its devices{}", group, missing ? " (a kernel without CONFIG_CGROUP_BPF?)" : "")
      .with_code(missing ? Code::unsupported : Code::system);
}

// The program that is there already; none.
sys::UniqueFd attached(int group) {
  uint32_t id = 0;
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(group);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uintptr_t>(&id);
  query.query.prog_cnt = 1;
  if (bpf(BPF_PROG_QUERY, query) != 0 || query.query.prog_cnt == 0) return sys::UniqueFd();
  bpf_attr get{};
  get.prog_id = id;
  return sys::UniqueFd(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, get)));
}

}  // namespace

std::vector<bpf_insn> device_program(std::span<const Device> allowed) {
  std::vector<bpf_insn> p = {load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
                             load(kAccess, offsetof(bpf_cgroup_dev_ctx, access_type)),
                             load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
                             load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
                             compute(BPF_AND, kType, 0xffff),
                             compute(BPF_RSH, kAccess, 16),
                             jump_if(BPF_JEQ, kType, BPF_DEVCG_DEV_CHAR, kAnswerSize)};
  answer(p, 0);
  p.push_back(jump_if(BPF_JSET, kAccess, BPF_DEVCG_ACC_MKNOD, 1));
  p.push_back(instruction(BPF_JMP | BPF_JA, 0, 0, kAnswerSize, 0));
  answer(p, 0);
  for (const Device& d : allowed) {
    constexpr uint32_t kRead = BPF_DEVCG_ACC_READ, kWrite = BPF_DEVCG_ACC_WRITE;
    const bool any = d.minor == kAnyMinor;
    const uint32_t forbidden = (d.read ? 0 : kRead) | (d.write ? 0 : kWrite);
    const size_t access_check = forbidden ? 1 : 0;
    p.push_back(jump_if(BPF_JNE, kMajor, d.major, kAnswerSize + access_check + (any ? 0 : 1)));
    if (!any) p.push_back(jump_if(BPF_JNE, kMinor, d.minor, kAnswerSize + access_check));
    if (forbidden) p.push_back(jump_if(BPF_JSET, kAccess, forbidden, kAnswerSize));
    answer(p, 1);
  }
  answer(p, 0);
  return p;
}

Result<void> set_up_devices(const std::string& group, std::span<const Device> more) {
  TRY_AS(const sys::UniqueFd dir, sys::open(group, O_RDONLY | O_DIRECTORY));
  std::vector<Device> allowed(kDevices.begin(), kDevices.end());
  allowed.insert(allowed.end(), more.begin(), more.end());
  const std::vector<bpf_insn> program = device_program(allowed);
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<uintptr_t>(program.data());
  load.insn_cnt = static_cast<uint32_t>(program.size());
  load.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  const sys::UniqueFd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
  if (loaded.get() < 0) return refused(group);
  const sys::UniqueFd old = attached(dir.get());
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(dir.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;  // those of groups above are asked as well
  if (old) {
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<uint32_t>(old.get());
  }
  if (bpf(BPF_PROG_ATTACH, attach) != 0) return refused(group);
  return {};
}

}  // namespace vz::cgroups::v2
