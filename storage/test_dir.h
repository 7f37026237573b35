// A temporary directory for the tests of this folder.
#pragma once

#include <cstdlib>
#include <string>

#include "sys/files.h"

namespace vz::storage {

struct TestDir {
  std::string path = "/var/tmp/vz-storage-test-XXXXXX";
  TestDir() {
    if (!::mkdtemp(path.data())) std::abort();
  }
  ~TestDir() { (void)sys::remove_tree(path); }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;
};

}  // namespace vz::storage
