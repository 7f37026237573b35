// The files of a dump, to the other side: while they are written, and what is left at the end.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "base/result.h"
#include "migrate/wire.h"

namespace vz::migrate {

class ImageSender {
 public:
  ImageSender(const Wire& wire, std::string dir) : wire_(wire), dir_(std::move(dir)) {}

  // What has not been sent of any file but logs; the one that criu reads first goes last.
  Result<void> send_all();
  // Each file when its writer closes it, until ENOUGH is readable; then all that is left.
  Result<void> follow(int enough);

 private:
  Result<void> send_rest(const std::string& name);

  const Wire& wire_;
  std::string dir_;
  std::map<std::string, off_t> sent_;  // bytes of each file
};

}  // namespace vz::migrate
