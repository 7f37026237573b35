// Serves runtime/proc_tree.h as a file system (fuse(4)). Texts are made in processes of their own, at each read of a
// beginning: one that hangs, on a file system below a container for example, is an error to its reader and nothing to
// others.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace vz::cli {

class ProcServer {
 public:
  // On the directory POINT, for reading, for all users. Code::unsupported: this host has no FUSE.
  static Result<std::unique_ptr<ProcServer>> mount(const std::string& point);
  virtual ~ProcServer() = default;
  // Until SIGTERM, SIGINT or SIGHUP, or until somebody unmounts it. Who reads meanwhile gets an error; the mount stays.
  // WORK, if any, is done every PERIOD.
  virtual Result<void> serve(const std::function<void()>& work, std::chrono::milliseconds period) = 0;
};

}  // namespace vz::cli
