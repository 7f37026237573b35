// A directory for one test case, removed at its end; on a disk, since tests of storage need its extended attributes.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <string>

#include "sys/files.h"

namespace vz::tests {

struct TempDir {
  std::string path = "/var/tmp/vessel-unit-XXXXXX";
  TempDir() {
    if (!::mkdtemp(path.data())) std::abort();
  }
  ~TempDir() { (void)sys::remove_tree(path); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
};

}  // namespace vz::tests
