#include "runtime/root_tree.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;
enum TreeStep : int { kTree = 1 };

struct Piece {
  std::string path;  // below VE_ROOT
  UniqueFd mount;
};

Result<std::vector<Piece>> clone_pieces(const Container& ct, int user_ns) {
  TRY_AS(auto mounts, sys::mounts_below(ct.area.root_dir));
  std::reverse(mounts.begin(), mounts.end());  // outer ones first
  TRY_AS(const std::string top, sys::real_path(ct.area.root_dir));
  std::vector<Piece> pieces;
  for (const sys::MountPoint& m : mounts) {
    TRY_AS(UniqueFd clone, sys::clone_tree(m.path));
    if (!m.idmapped && !sys::add_idmap(clone.get(), user_ns))
      log::warn("the ids of '{}' ({}) cannot be mapped: the CT sees its files as nobody's", m.path, m.type);
    pieces.push_back({m.path.substr(top.size() + 1), std::move(clone)});
  }
  return pieces;
}

// A detached mount takes no other one before Linux 6.15: they are put together in a mount namespace for that alone.
Result<UniqueFd> put_together(const std::string& at, int root, const std::vector<Piece>& pieces) {
  TRY(sys::attach(root, at));
  TRY_AS(const UniqueFd top, sys::open(at, O_PATH | O_DIRECTORY));
  for (const Piece& p : pieces) {
    TRY_AS(const UniqueFd place, sys::open_in(top.get(), p.path, O_PATH | O_NOFOLLOW));
    TRY(sys::attach(p.mount.get(), place.get()), "'{}/{}'", at, p.path);
  }
  return sys::clone_tree(at, true);
}

}  // namespace

Result<UniqueFd> idmapped_root(const Container& ct, int user_ns) {
  TRY_AS(UniqueFd tree, sys::clone_tree(ct.area.root_dir));
  TRY(sys::set_idmap(tree.get(), user_ns), "'{}'", ct.area.root_dir);
  return tree;
}

Result<UniqueFd> whole_root(const Container& ct, int user_ns) {
  TRY_AS(UniqueFd tree, sys::clone_tree(ct.area.root_dir, true));
  if (sys::set_idmaps(tree.get(), user_ns)) return tree;
  TRY_AS(const UniqueFd root, idmapped_root(ct, user_ns));
  TRY_AS(const std::vector<Piece> pieces, clone_pieces(ct, user_ns));
  return made_apart([&] { return put_together(ct.area.root_dir, root.get(), pieces); });
}

Result<UniqueFd> made_apart(const std::function<Result<UniqueFd>()>& make) {
  TRY_AS(sys::Channel::Pair channel, sys::Channel::make());
  TRY_AS(const sys::Forked helper, sys::fork_process());
  if (helper.pid == 0) {
    const auto made = [&]() -> Result<UniqueFd> {
      if (::unshare(CLONE_NEWNS) != 0) return fail_sys(errno, "mount namespace");
      TRY(sys::make_private("/"));
      return make();
    }();
    const int fd = made ? made->get() : -1;
    (void)(made ? channel.child.post(kTree, {&fd, 1}) : channel.child.post_error(made.error()));
    ::_exit(0);
  }
  channel.child.close();
  auto tree = channel.parent.expect_fd(kTree);
  TRY(sys::wait_child(helper.pid));
  return tree;
}

}  // namespace vz::runtime
