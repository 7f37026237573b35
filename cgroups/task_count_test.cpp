#include "cgroups/task_count.h"

#include <linux/btf.h>

#include "tests/catch.h"

using namespace vz;
using namespace vz::cgroups;

namespace {

// Type information, put together by hand.
struct Types {
  std::string strings = std::string(1, '\0'), types;
  uint32_t count = 0;
  uint32_t word(std::string_view text) {
    const auto at = static_cast<uint32_t>(strings.size());
    strings += std::string(text) + '\0';
    return text.empty() ? 0 : at;
  }
  void put(std::initializer_list<uint32_t> numbers) {
    for (const uint32_t n : numbers) types.append(reinterpret_cast<const char*>(&n), sizeof n);
  }
  // Its number.
  uint32_t type(uint32_t kind, std::string_view name, uint32_t members, uint32_t size) {
    put({word(name), kind << 24 | members, size});
    return ++count;
  }
  void member(std::string_view name, uint32_t of, uint32_t bytes) { put({word(name), of, bytes * 8}); }
  std::string text() const {
    btf_header h{};
    h.magic = BTF_MAGIC;
    h.version = BTF_VERSION;
    h.hdr_len = sizeof h;
    h.type_len = static_cast<uint32_t>(types.size());
    h.str_off = h.type_len;
    h.str_len = static_cast<uint32_t>(strings.size());
    return std::string(reinterpret_cast<const char*>(&h), sizeof h) + types + strings;
  }
};

std::string kernel() {
  Types t;
  const uint32_t number = t.type(BTF_KIND_INT, "unsigned int", 0, 4);
  t.put({32});
  const uint32_t inner = t.type(BTF_KIND_STRUCT, "", 1, 8);
  t.member("cgroups", number, 4);
  t.type(BTF_KIND_STRUCT, "task_struct", 2, 100);
  t.member("__state", number, 24);
  t.member("", inner, 32);
  t.type(BTF_KIND_STRUCT, "css_set", 1, 16);
  t.member("dfl_cgrp", number, 8);
  t.type(BTF_KIND_STRUCT, "cgroup", 1, 16);
  t.member("kn", number, 16);
  t.type(BTF_KIND_STRUCT, "kernfs_node", 1, 16);
  t.member("id", number, 96);
  t.type(BTF_KIND_FUNC, "bpf_iter_task", 0, number);
  return t.text();
}

}  // namespace

TEST_CASE("the kernel's types: members, also of nameless structures, and functions") {
  const std::string bytes = kernel();
  const auto btf = Btf::parse(bytes);
  REQUIRE(btf);
  CHECK(btf->offset("task_struct", "__state") == 24u);
  CHECK(btf->offset("task_struct", "cgroups") == 36u);
  CHECK(btf->offset("kernfs_node", "id") == 96u);
  CHECK_FALSE(btf->offset("task_struct", "id"));
  CHECK_FALSE(btf->offset("no_such", "id"));
  CHECK(btf->function("bpf_iter_task") == 7u);
  CHECK_FALSE(btf->function("task_struct"));
  const auto at = task_offsets(*btf);
  REQUIRE(at);
  CHECK(at->state == 24);
  CHECK(at->cgroups == 36);
  CHECK(at->group == 8);
  CHECK(at->node == 16);
  CHECK(at->number == 96);
}

TEST_CASE("the kernel's types: cut off or strange, an error") {
  const std::string bytes = kernel();
  for (size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(Btf::parse(std::string_view(bytes).substr(0, size)));
  Types strange;
  strange.type(31, "later", 0, 0);
  CHECK_FALSE(Btf::parse(strange.text()));
  Types itself;  // a structure within itself
  itself.type(BTF_KIND_STRUCT, "task_struct", 1, 8);
  itself.member("", 1, 0);
  const std::string loop = itself.text();
  CHECK_FALSE(Btf::parse(loop)->offset("task_struct", "x"));
  const std::string empty = Types().text();
  CHECK_FALSE(task_offsets(*Btf::parse(empty)));
}

TEST_CASE("the program that looks at tasks: every jump ends within it") {
  const auto p = task_program({.state = 24, .cgroups = 36, .group = 8, .node = 16, .number = 96});
  const auto last = static_cast<int>(p.size()) - 1;
  CHECK(p.back().code == (BPF_JMP | BPF_EXIT));
  int jumps = 0;
  for (int i = 0; i <= last; ++i) {
    const int how = BPF_OP(p[i].code);
    if (BPF_CLASS(p[i].code) != BPF_JMP || how == BPF_CALL || how == BPF_EXIT) continue;
    const int to = i + 1 + p[i].off;
    CHECK(to > i);
    CHECK((to == 8 || to == last - 1));  // writes the group, or is through
    ++jumps;
  }
  CHECK(jumps == 5);
}
