#include "cgroups/task_count.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "cgroups/tree.h"
#include "cgroups/v2/bpf.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

using v2::instruction;

constexpr const char* kBtf = "/sys/kernel/btf/vmlinux";
constexpr size_t kMaxBtf = 64u << 20;

Error no_counter(std::string_view what) {
  return fail_sys(errno, "count the tasks of containers: {}", what).with_code(Code::unsupported);
}

}  // namespace

Result<TaskOffsets> task_offsets(const Btf& btf) {
  TaskOffsets at;
  struct Wanted {
    uint32_t TaskOffsets::*to;
    const char *structure, *member, *older;
  };
  for (const Wanted& w : {Wanted{&TaskOffsets::state, "task_struct", "__state", "state"},  // renamed in Linux 5.14
                          {&TaskOffsets::cgroups, "task_struct", "cgroups", nullptr},
                          {&TaskOffsets::group, "css_set", "dfl_cgrp", nullptr},
                          {&TaskOffsets::node, "cgroup", "kn", nullptr},
                          {&TaskOffsets::number, "kernfs_node", "id", nullptr}}) {
    auto found = btf.offset(w.structure, w.member);
    if (!found && w.older) found = btf.offset(w.structure, w.older);
    if (!found || *found > INT16_MAX)
      return fail(Code::unsupported, "this kernel's {} has no {} within reach", w.structure, w.member);
    at.*w.to = *found;
  }
  return at;
}

// if (task && (state == RUNNING || (state & UNINTERRUPTIBLE && !(state & NOLOAD)))) write(task->cgroups->...->id);
std::vector<bpf_insn> task_program(const TaskOffsets& at) {
  constexpr uint8_t kSeq = BPF_REG_1, kFrom = BPF_REG_2, kSize = BPF_REG_3, kContext = BPF_REG_6, kTask = BPF_REG_7,
                    kState = BPF_REG_8, kPointer = BPF_REG_9;
  constexpr uint32_t kUninterruptible = 0x2, kNoLoad = 0x400;
  constexpr size_t kMetaAt = 0, kTaskAt = 8, kSeqAt = 0, kOnStack = static_cast<size_t>(-8);
  const auto load = [](uint8_t to, uint8_t from, size_t offset, int size = BPF_DW) {
    return instruction(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
  };
  const auto move = [](uint8_t to, uint8_t from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); };
  const auto jump = [](int how, uint8_t what, uint32_t value, size_t over) {
    return instruction(BPF_JMP | how | BPF_K, what, 0, over, value);
  };
  const std::vector<bpf_insn> write = {
      load(kPointer, kTask, at.cgroups),
      load(kPointer, kPointer, at.group),
      load(kPointer, kPointer, at.node),
      load(kPointer, kPointer, at.number),
      instruction(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, kPointer, kOnStack, 0),
      load(kSeq, kContext, kMetaAt),
      load(kSeq, kSeq, kSeqAt),
      move(kFrom, BPF_REG_10),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, kFrom, 0, 0, static_cast<uint32_t>(-8)),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, kSize, 0, 0, sizeof(uint64_t)),
      instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write),
  };
  const size_t n = write.size();
  std::vector<bpf_insn> p = {
      move(kContext, BPF_REG_1),
      load(kTask, kContext, kTaskAt),
      jump(BPF_JEQ, kTask, 0, n + 5),  // behind the last one
      load(kState, kTask, at.state, BPF_W),
      jump(BPF_JEQ, kState, 0, 3),
      jump(BPF_JSET, kState, kNoLoad, n + 2),
      jump(BPF_JSET, kState, kUninterruptible, 1),
      jump(BPF_JA, 0, 0, n),
  };
  p.insert(p.end(), write.begin(), write.end());
  p.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0));
  p.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return p;
}

Result<TaskCounter> TaskCounter::open(const Host& host) {
  TaskCounter counter;
  counter.mount_ = host.v2_mount;
  TRY_AS(counter.mount_fd_, sys::open(host.v2_mount, O_RDONLY | O_DIRECTORY));
  auto bytes = sys::read_file(kBtf, kMaxBtf);
  if (!bytes) return std::move(bytes).error().with_code(Code::unsupported);
  TRY_AS(const Btf btf, Btf::parse(*bytes));
  TRY_AS(const TaskOffsets at, task_offsets(btf));
  const auto hook = btf.function("bpf_iter_task");
  if (!hook) return fail(Code::unsupported, "this kernel has no BPF iterator over tasks (Linux 5.8)");
  const std::vector<bpf_insn> program = task_program(at);
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_TRACING;
  load.expected_attach_type = BPF_TRACE_ITER;
  load.attach_btf_id = *hook;
  load.insns = reinterpret_cast<uintptr_t>(program.data());
  load.insn_cnt = static_cast<uint32_t>(program.size());
  // The kernel lets no other program read its structures.
  load.license = reinterpret_cast<uintptr_t>("Dual MIT/GPL");
  const sys::UniqueFd loaded(static_cast<int>(v2::bpf(BPF_PROG_LOAD, load)));
  if (!loaded) return no_counter("load a BPF program");
  bpf_attr link{};
  link.link_create.prog_fd = static_cast<uint32_t>(loaded.get());
  link.link_create.attach_type = BPF_TRACE_ITER;
  counter.link_.reset(static_cast<int>(v2::bpf(BPF_LINK_CREATE, link)));
  if (!counter.link_) return no_counter("attach a BPF program");
  return counter;
}

// The number of a group is what its file handle is made of (exportfs.h, FILEID_KERNFS).
config::CtId TaskCounter::container(uint64_t group) {
  constexpr int kKernfs = 0xfe;
  constexpr size_t kMostKnown = 65536;
  if (const auto known = known_.find(group); known != known_.end()) return known->second;
  alignas(file_handle) char buffer[sizeof(file_handle) + sizeof group];
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = sizeof group;
  handle->handle_type = kKernfs;
  std::memcpy(handle->f_handle, &group, sizeof group);
  const sys::UniqueFd dir(::open_by_handle_at(mount_fd_.get(), handle, O_PATH | O_CLOEXEC));
  if (!dir) return 0;  // it is gone, or above our part of the tree
  const std::string path = sys::read_link(fmt::format("/proc/self/fd/{}", dir.get())).value_or("");
  const std::string ours = mount_ + "/vz/";
  config::CtId id = 0;
  if (path.starts_with(ours)) {
    const auto number = parse_u64(split(std::string_view(path).substr(ours.size()), '/').front());
    if (number && *number <= config::kMaxCtId) id = static_cast<config::CtId>(*number);
  }
  if (known_.size() >= kMostKnown) known_.clear();
  known_.emplace(group, id);
  return id;
}

Result<std::map<config::CtId, uint64_t>> TaskCounter::count() {
  std::map<config::CtId, uint64_t> counts;
  const auto top = sys::open(mount_ + "/vz", O_RDONLY | O_DIRECTORY);
  if (!top) return top.error().sys_errno == ENOENT ? Result<std::map<config::CtId, uint64_t>>(counts) : top.error();
  TRY_AS(const auto names, sub_directories(top->get()));
  for (const std::string& name : names)
    if (const auto id = parse_u64(name); id && *id <= config::kMaxCtId) counts[static_cast<config::CtId>(*id)] = 0;
  if (counts.empty()) return counts;
  bpf_attr walk{};
  walk.iter_create.link_fd = static_cast<uint32_t>(link_.get());
  const sys::UniqueFd tasks(static_cast<int>(v2::bpf(BPF_ITER_CREATE, walk)));
  if (!tasks) return no_counter("walk the tasks");
  TRY_AS(const std::string groups, sys::read_fd(tasks.get()));
  for (size_t at = 0; at + sizeof(uint64_t) <= groups.size(); at += sizeof(uint64_t)) {
    uint64_t group = 0;
    std::memcpy(&group, groups.data() + at, sizeof group);
    if (const auto found = counts.find(container(group)); found != counts.end()) ++found->second;
  }
  return counts;
}

}  // namespace vz::cgroups
