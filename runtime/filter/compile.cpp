// Prints the guest's system call filter as C++; see runtime/CMakeLists.txt.
#include <cinttypes>
#include <cstdio>

#include "runtime/confinement.h"
#include "sys/seccomp.h"

int main() {
  const auto program = vz::sys::compile_filter(vz::runtime::syscall_rules());
  if (!program) {
    std::fprintf(stderr, "%s\n", program.error().text.c_str());
    return 1;
  }
  std::puts(
      "#include \"runtime/confinement.h\"\n\nnamespace vz::runtime {\n\nconst std::vector<uint64_t>& guest_filter() {\n"
      "  static const std::vector<uint64_t> program = {");
  for (const uint64_t instruction : *program) std::printf("      0x%016" PRIx64 ",\n", instruction);
  std::puts("  };\n  return program;\n}\n\n}  // namespace vz::runtime");
  return 0;
}
