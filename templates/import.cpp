#include "templates/import.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/rollback.h"
#include "base/strings.h"
#include "sys/cancel.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/process.h"
#include "templates/archive_writer.h"
#include "templates/cache.h"
#include "templates/confine.h"
#include "templates/programs.h"
#include "templates/unpack.h"
#include "templates/utf8_names.h"

namespace vz::templates {

namespace {

constexpr auto kProgressStep = std::chrono::milliseconds(100);
constexpr int kDone = 1;
constexpr std::string_view kZstMagic = "\x28\xb5\x2f\xfd";
constexpr size_t kCopyBlock = 1u << 20;

Result<bool> is_zst(int fd) {
  char magic[kZstMagic.size()] = {};
  const ssize_t n = ::pread(fd, magic, sizeof magic, 0);
  if (n < 0) return fail_sys(errno, "read");
  return std::string_view(magic, static_cast<size_t>(n)) == kZstMagic;
}

Result<void> check_programs_in(const TreeModel& tree) {
  auto found = check_programs([&](const char* path) { return tree.is_program(path); });
  return found ? Result<void>() : std::move(found).error().with_code(Code::invalid);
}

// The copy is checked, not the source, which somebody may be writing to.
Result<void> copy_and_check(int from, int to) {
  std::string buffer(kCopyBlock, '\0');
  for (;;) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_sys(errno, "read");
    if (n == 0) break;
    TRY(sys::write_all(to, std::string_view(buffer).substr(0, static_cast<size_t>(n))));
  }
  if (::lseek(to, 0, SEEK_SET) != 0) return fail_sys(errno, "rewind the copy");
  TRY_AS(const TreeModel tree, check_archive(to, {}));
  return check_programs_in(tree);
}

// The bytes of the tarball stay as they are; only the compression changes.
Result<void> recompress_and_check(int from, int to) {
  TRY_AS(ZstWriter writer, ZstWriter::open(to));
  TRY_AS(const TreeModel tree,
         check_archive(from, {}, [&writer](std::string_view bytes) { return writer.write(bytes); }));
  TRY(check_programs_in(tree));
  return writer.close();
}

Result<void> transfer(int from, int to) {
  TRY_AS(const bool zst, is_zst(from));
  if (::lseek(from, 0, SEEK_SET) != 0) return fail_sys(errno, "rewind the archive");
  const Utf8Names names;
  TRY(confine());
  return zst ? copy_and_check(from, to) : recompress_and_check(from, to);
}

[[noreturn]] void transfer_child(int from, int to, const sys::Channel& channel) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  auto r = transfer(from, to);
  const auto told = r ? channel.post(kDone) : channel.post_error(r.error());
  ::_exit(told ? 0 : 1);
}

// In a process of its own, since the archive is foreign and its parsers are large.
Result<void> transfer_apart(int from, int to, uint64_t total, const Progress& progress) {
  TRY_AS(sys::Channel::Pair channel, sys::Channel::make());
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    transfer_child(from, to, channel.child);
  }
  channel.child.close();
  Rollback undo;
  undo.add("stop reading the archive", [pid = child.pid, fd = child.pidfd.get()]() -> Result<void> {
    TRY(sys::send_signal(fd, SIGKILL));
    TRY(sys::wait_child(pid));
    return {};
  });
  for (bool ended = false; !ended;) {
    TRY(sys::check_cancelled());
    TRY_AS(ended, sys::wait_ended(child.pidfd.get(), kProgressStep));
    // The child reads through the same open file, so its position is ours.
    const off_t at = ::lseek(from, 0, SEEK_CUR);
    if (progress && at > 0) progress(std::min(static_cast<uint64_t>(at), total), total);
  }
  undo.commit();
  TRY_AS(const sys::ExitStatus status, sys::wait_child(child.pid));
  const auto done = channel.parent.expect(kDone);
  if (done) return {};
  if (done.error().code == Code::peer) return fail(Code::system, "reading the archive: {}", status.text());
  // Its words, but it has dealt with foreign bytes.
  const Code code = done.error().code == Code::invalid ? Code::invalid : Code::system;
  return Error{code, done.error().sys_errno, printable(done.error().text)};
}

}  // namespace

Result<Template> import_fd(const std::string& cache_dir, int fd, const std::string& name, const Progress& progress) {
  if (!valid_name(name)) return fail(Code::invalid, "'{}' is no name for a template", name);
  struct ::stat st {};
  if (::fstat(fd, &st) != 0) return fail_sys(errno, "stat");
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, "it is no regular file");
  TRY(sys::make_dirs(cache_dir));
  const std::string path = cache_dir + "/" + name + kExtension;
  const std::string aside = cache_dir + "/." + name + kExtension + ".new";
  TRY_AS(const sys::UniqueFd out, open_locked(aside));
  Rollback undo;
  undo.add("remove " + aside, [aside] { return sys::remove_file(aside); });
  if (::ftruncate(out.get(), 0) != 0) return fail_sys(errno, "truncate '{}'", aside);
  TRY(transfer_apart(fd, out.get(), static_cast<uint64_t>(st.st_size), progress));
  if (::fsync(out.get()) != 0) return fail_sys(errno, "sync '{}'", aside);
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_sys(errno, "rename '{}' to '{}'", aside, path);
  undo.commit();
  TRY(remove_other_forms(cache_dir, name));
  return find(cache_dir, name);
}

Result<Template> import(const std::string& cache_dir, const std::string& file, const std::string& name,
                        const Progress& progress) {
  TRY_AS(const sys::UniqueFd fd, sys::open(file, O_RDONLY));
  TRY_AS(Template made, import_fd(cache_dir, fd.get(), name, progress), "import '{}'", file);
  return made;
}

Result<Template> import(const std::string& cache_dir, const std::string& file, const std::string& name) {
  return import(cache_dir, file, name, {});
}

}  // namespace vz::templates
