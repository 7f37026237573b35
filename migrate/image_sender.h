// The files of a dump, to the other side: while they are written, and what is left at the end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/result.h"
#include "migrate/pace.h"
#include "migrate/progress.h"
#include "migrate/shared_ahead.h"
#include "migrate/wire.h"

namespace vz::migrate {

class ImageSender {
 public:
  // The destination knows each by PREFIX and its name.
  ImageSender(const Wire& wire, std::string dir, std::string prefix = "", Pace pace = Pace())
      : wire_(wire), dir_(std::move(dir)), prefix_(std::move(prefix)), pace_(pace) {}

  // Images of what SHARED knows are not sent; instead follow() calls CHANGES once, after go_ahead() or at the latest at
  // its end. It writes to the same connection.
  void leave_out(const SharedAhead& shared, std::function<Result<void>()> changes) {
    shared_ = &shared;
    changes_ = std::move(changes);
  }
  // To whom follows, in another process: all stands still.
  Result<void> go_ahead() const;
  // send_all() of what is there, at its pace, with a line of WHAT on the terminal.
  Result<void> send_shown(const std::string& what);
  // What has not been sent of any file in the directory itself but logs; the one that criu reads first goes last.
  Result<void> send_all();
  // Each file when its writer closes it, until ENOUGH is readable; then all that is left.
  Result<void> follow(int enough);

 private:
  Result<void> send_rest(const std::string& name);
  Result<void> send_closed(const std::string& name);
  Result<void> pass_over(const std::string& pagemap);
  Result<void> send_changes();

  const Wire& wire_;
  std::string dir_, prefix_;
  Pace pace_;
  const Progress* progress_ = nullptr;
  const SharedAhead* shared_ = nullptr;
  std::function<Result<void>()> changes_;
  uint64_t sum_ = 0;
  std::map<std::string, off_t> sent_;  // bytes of each file
};

}  // namespace vz::migrate
