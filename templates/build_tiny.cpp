#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/process.h"
#include "templates/archive_writer.h"
#include "templates/build.h"

namespace vz::templates {

namespace {

constexpr const char* kBusyboxes[] = {"/bin/busybox", "/usr/bin/busybox"};
constexpr const char* kInit = "tiny-init";
constexpr size_t kMaxProgram = 64u << 20;

struct Directory {
  const char* path;
  mode_t mode;
};
// Parents first.
constexpr Directory kDirectories[] = {{"./", 0755},
                                      {"bin", 0755},
                                      {"dev", 0755},
                                      {"etc", 0755},
                                      {"etc/network", 0755},
                                      {"home", 0755},
                                      {"lib", 0755},
                                      {"mnt", 0755},
                                      {"opt", 0755},
                                      {"proc", 0555},
                                      {"root", 0700},
                                      {"run", 0755},
                                      {"sbin", 0755},
                                      {"srv", 0755},
                                      {"sys", 0555},
                                      {"tmp", 01777},
                                      {"usr", 0755},
                                      {"usr/bin", 0755},
                                      {"usr/lib", 0755},
                                      {"usr/sbin", 0755},
                                      {"usr/local", 0755},
                                      {"usr/local/bin", 0755},
                                      {"usr/local/sbin", 0755},
                                      {"var", 0755},
                                      {"var/cache", 0755},
                                      {"var/lib", 0755},
                                      {"var/log", 0755},
                                      {"var/spool", 0755},
                                      {"var/tmp", 01777}};

struct File {
  const char* path;
  mode_t mode;
  std::string_view text;
};
constexpr File kFiles[] = {
    {"etc/passwd", 0644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
    {"etc/shadow", 0600, "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"},
    {"etc/group", 0644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
    {"etc/hostname", 0644, "tiny\n"},
    {"etc/hosts", 0644, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/resolv.conf", 0644, ""},
    {"etc/shells", 0644, "/bin/sh\n/bin/ash\n"},
    {"etc/profile", 0644, "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"},
    {"etc/os-release", 0644, "ID=vessel-tiny\nNAME=\"Vessel tiny\"\nPRETTY_NAME=\"Vessel tiny\"\n"}};

// No program interpreter among the program headers: nothing else has to be in the template.
template <class Ehdr, class Phdr>
bool no_interpreter(std::string_view elf) {
  Ehdr h{};
  if (elf.size() < sizeof h) return false;
  std::memcpy(&h, elf.data(), sizeof h);
  if (h.e_phentsize != sizeof(Phdr) || h.e_phoff > elf.size()) return false;
  for (size_t i = 0; i < h.e_phnum; ++i) {
    Phdr p{};
    const size_t at = h.e_phoff + i * sizeof p;
    if (elf.size() - h.e_phoff < (i + 1) * sizeof p) return false;
    std::memcpy(&p, elf.data() + at, sizeof p);
    if (p.p_type == PT_INTERP) return false;
  }
  return true;
}

bool is_static_elf(std::string_view elf) {
  if (elf.size() < EI_NIDENT || elf.substr(0, SELFMAG) != std::string_view(ELFMAG, SELFMAG)) return false;
  return elf[EI_CLASS] == ELFCLASS64 ? no_interpreter<Elf64_Ehdr, Elf64_Phdr>(elf)
                                     : no_interpreter<Elf32_Ehdr, Elf32_Phdr>(elf);
}

struct Busybox {
  std::string path, bytes;
};

Result<Busybox> find_busybox() {
  for (const char* path : kBusyboxes) {
    auto bytes = sys::read_file(path, kMaxProgram);
    if (bytes && is_static_elf(*bytes)) return Busybox{path, std::move(*bytes)};
  }
  return fail(Code::unsupported, "no statically linked '{}'; install the package busybox-static", kBusyboxes[0]);
}

Result<std::string> read_init() {
  TRY_AS(std::string bytes, sys::read_file(sys::helper_path(kInit), kMaxProgram));
  if (!is_static_elf(bytes)) return fail(Code::unsupported, "'{}' is not statically linked", sys::helper_path(kInit));
  return bytes;
}

// The names it knows, as paths: "bin/ls", "usr/sbin/chroot".
Result<void> add_applets(TarWriter& tar, const std::string& busybox) {
  sys::Program ask;
  ask.argv = {busybox, "--list-full"};
  TRY_AS(const std::string paths, sys::run_ok(ask));
  for (const std::string_view path : split(trim(paths), '\n'))
    if (path != "bin/busybox" && path != "sbin/init" && path != "linuxrc")
      TRY(tar.symlink(std::string(path), "/bin/busybox"));
  return {};
}

Result<void> write_tiny(int fd) {
  TRY_AS(const Busybox busybox, find_busybox());
  TRY_AS(const std::string init, read_init());
  TRY_AS(TarWriter tar, TarWriter::open(fd, std::time(nullptr)));
  for (const Directory& d : kDirectories) TRY(tar.directory(d.path, d.mode));
  for (const File& f : kFiles) TRY(tar.file(f.path, f.text, f.mode));
  TRY(tar.symlink("var/run", "../run"));
  TRY(tar.file("bin/busybox", busybox.bytes, 0755));
  TRY(tar.file("sbin/init", init, 0755));
  TRY(add_applets(tar, busybox.path));
  return tar.close();
}

}  // namespace

Result<Template> build_tiny(const BuildOptions& options) {
  if (!options.packages.empty()) return fail(Code::usage, "tiny takes no packages");
  const sys::UniqueFd tar(::memfd_create("tiny.tar", MFD_CLOEXEC));
  if (!tar) return fail_sys(errno, "make a file in memory");
  TRY(write_tiny(tar.get()));
  if (::lseek(tar.get(), 0, SEEK_SET) != 0) return fail_sys(errno, "rewind");
  return import_fd(options.cache_dir, tar.get(), options.name, options.progress);
}

}  // namespace vz::templates
