// Suspending a container to disk and bringing it back: `vzctl suspend` and `resume`, and the two halves of a live move.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::checkpoint {

constexpr std::string_view kFirstImage = "inventory.img";

// criu reads images as the container's root, which is nobody here, through an open descriptor: the directory lets
// everybody in, the one above it nobody (0700).
constexpr unsigned kImageDirMode = 0755;

struct DumpOptions {
  std::string dir = {};  // exists, empty; gets criu's images and our own files beside them
  // Called in this order; an error of any lets the CT go on as if nothing had happened. Empty: success.
  std::function<Result<void>()> when_prepared = {};  // our own files are there, the CT still runs
  std::function<Result<void>()> when_frozen = {};  // the CT stands still; criu waits for this before it begins to dump
  std::function<Result<void>()> when_dumped = {};  // everything is written; success ends the CT here
  std::string parent = {};  // of the last pre_dump(), relative to DIR: only what was written since is dumped
  // Mount points in the CT's own namespace whose file systems somebody else takes over, see RestoreOptions::mounts.
  std::vector<std::string> left_out = {};
  // Memory that can wait is not written; until when_dumped returns it can be read from the CT, see page_source.h.
  bool leave_memory = false;
};
// Code::checkpoint_failed, Code::not_running. On error the CT runs on.
Result<void> dump(const runtime::Host& host, const runtime::Container& ct, const DumpOptions& options);
// After a dump: criu gave names in the guest's file system to files that are open but had none (--link-remap), after
// when_frozen. It takes them away again if the CT goes on.
bool made_links(const std::string& dir);

struct RestoreOptions {
  std::string dir = {};
  // criu is started while its images are still on their way: what it reads first, kFirstImage, is a FIFO in DIR, into
  // which somebody writes it when all others are there. Our own files are in DIR from the beginning.
  bool images_follow = false;
  // Called when the CT is whole again but still stands still and nobody outside has heard of it; an error undoes it.
  std::function<Result<void>()> before_release = {};
  // The memory is not in DIR but comes from a LazyPages that serves it.
  bool lazy_pages = false;
  // Directories, below DIR, that are mounted where the dump left something out, in that order.
  std::vector<std::string> mounts = {};
  // Descriptors of segments that its processes share, whole, by the names that name_segments() gave them.
  std::map<uint64_t, int> segments = {};
  // The CT's control group is there, with its limits: something counts as its own already.
  bool has_group = false;
  // The death of the calling process, too, undoes it until at_release.
  bool tied_to_caller = false;
  // Called last of all before the network hears of it; an error undoes it still. After that nothing does.
  std::function<Result<void>()> at_release = {};
};
// The CT is not running; it gets mounted when it is not. A supervisor is its parent afterwards. Code::restore_failed;
// on error nothing of it is left.
Result<void> restore(const runtime::Host& host, const runtime::Container& ct, const RestoreOptions& options);

// suspend: dump into DUMPDIR/Dump.CTID, clean up, unmount. resume: restore from there and remove it. Both say what
// vzctl says.
Result<void> suspend(const runtime::Host& host, const runtime::Container& ct);
Result<void> resume(const runtime::Host& host, const runtime::Container& ct);

// `suspend --suspend | --resume | --kill`: freeze in memory, go on, end the frozen one. The latter two:
// Code::checkpoint_failed when it is not frozen.
Result<void> freeze(const runtime::Host& host, const runtime::Container& ct);
Result<void> thaw(const runtime::Host& host, const runtime::Container& ct);
Result<void> kill_frozen(const runtime::Host& host, const runtime::Container& ct);

}  // namespace vz::checkpoint
