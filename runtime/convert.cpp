#include "runtime/convert.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "config/codecs.h"
#include "runtime/cleanup.h"
#include "runtime/root_tree.h"
#include "runtime/status.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::runtime {

namespace {

constexpr auto kCopyTime = std::chrono::hours(24);

storage::Area beside(const storage::Area& area, config::Layout layout) {
  storage::Area out = area;
  out.private_dir = sys::real_path(area.private_dir).value_or(area.private_dir) + ".converting";
  out.layout = layout;
  return out;
}

Result<sys::UniqueFd> open_tree_of(const storage::Area& area) {
  if (area.layout == config::Layout::dir) return sys::open(area.private_dir, O_RDONLY | O_DIRECTORY);
  return made_apart([&]() -> Result<sys::UniqueFd> {
    TRY(storage::mount(area));
    return sys::clone_tree(area.root_dir);
  });
}

std::string path_of(const sys::UniqueFd& tree) { return fmt::format("/proc/self/fd/{}/.", tree.get()); }

Error copy_error(const sys::Output& out, const storage::Area& to) {
  const auto lines = split(trim(out.err), '\n');
  const std::string first = lines.empty() ? out.status.text() : printable(lines.front());
  if (out.err.find(std::strerror(ENOSPC)) == std::string::npos)
    return fail(Code::convert_failed, "the files could not be copied: {}", first);
  return fail(Code::no_space, "the files do not fit{}: {}",
              to.layout == config::Layout::image ? "; is DISKSPACE or DISKINODES too small, or the host's disk full?"
                                                 : " onto the host's disk",
              first);
}

Result<void> copy_files(const storage::Area& from, const storage::Area& to) {
  TRY_AS(const sys::UniqueFd source, open_tree_of(from));
  TRY_AS(const sys::UniqueFd target, open_tree_of(to));
  // Not rsync, which goes to its destination by chdir(2), and from there to what getcwd(3) calls it: "/", for a mount
  // that is attached nowhere.
  sys::Program copy{.argv = {"cp", "-dRxT", "--preserve=mode,ownership,timestamps,links,xattr", "--", path_of(source),
                             path_of(target)}};
  copy.inherit = {source.get(), target.get()};
  copy.timeout = kCopyTime;
  copy.before_exec = []() -> Result<void> {
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? Result<void>() : fail_sys(errno, "death signal");
  };
  TRY_AS(const sys::Output out, sys::run(copy));
  if (!out.status.ok()) return copy_error(out, to);
  return sys::sync_fs(path_of(target));
}

Result<void> exchange(const std::string& a, const std::string& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0)
    return fail_sys(errno, "exchange '{}' and '{}'", a, b);
  return sys::sync_fs(sys::parent_dir(a));
}

Result<void> check_at_rest(const Host& host, const Container& ct) {
  const Status status = status_of(host, ct);
  if (!status.exists) return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  if (status.running) return fail(Code::running, "CT is running (stop it first)");
  if (status.mounted) return fail(Code::mounted, "CT is mounted (umount it first)");
  if (status.suspended) return fail(Code::convert_failed, "CT is suspended: its memory knows the files as they are");
  return {};
}

Result<void> replace_area(const Host& host, const Container& ct, const storage::Area& fresh) {
  TRY_AS(const std::string place, sys::real_path(ct.area.private_dir));
  Container converted = ct;
  TRY(converted.file.set("VE_LAYOUT", config::codec::LayoutName::print(fresh.layout)));
  TRY(sys::sync_fs(sys::parent_dir(place)));  // the image, whose loop device has let go of it
  Rollback undo;
  TRY(exchange(place, fresh.private_dir));
  undo.add("take the old private area again", [place, other = fresh.private_dir] { return exchange(place, other); });
  TRY(save_container(host, converted));
  undo.commit();
  return {};
}

}  // namespace

Result<void> remove_half_converted(const Container& ct) {
  storage::Area half = beside(ct.area, config::Layout::dir);
  const auto layout = storage::detect_layout(half.private_dir);
  if (!layout) return sys::remove_tree(half.private_dir);
  half.layout = *layout;
  half.root_dir.clear();  // it is ct.area's
  return storage::destroy(half);
}

Result<void> convert(const Host& host, const Container& ct, config::Layout layout) {
  TRY(check_at_rest(host, ct));
  TRY(clean_up(host, ct, Leave::nothing));
  TRY(remove_half_converted(ct));
  const storage::Area fresh = beside(ct.area, layout);
  Rollback undo;
  undo.add("remove the half-made private area", [ct] { return remove_half_converted(ct); });
  auto done = [&]() -> Result<void> {
    TRY(storage::create(fresh, ct.quota()));
    TRY(copy_files(ct.area, fresh));
    return replace_area(host, ct, fresh);
  }();
  if (!done && done.error().code == Code::system) return std::move(done).error().with_code(Code::convert_failed);
  return done;  // what is beside it now, old or new, is removed
}

Result<void> compact(const Container& ct) {
  if (!storage::area_exists(ct.area.private_dir))
    return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  storage::Area area = ct.area;
  sys::UniqueFd tree;
  if (!storage::is_mounted(area)) {
    TRY_AS(tree, open_tree_of(area));
    area.root_dir = path_of(tree);
  }
  TRY_AS(const storage::DiskUsage usage, storage::usage(area));
  TRY_AS(const storage::Compacted done, storage::compact(area));
  log::info("{} KiB given back to the host: the image takes {} KiB of it, {} KiB of files in {} KiB",
            done.before_kib - std::min(done.before_kib, done.after_kib), done.after_kib, usage.space_kib,
            usage.space_limit_kib);
  return {};
}

}  // namespace vz::runtime
