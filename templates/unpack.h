// The parts of unpacking that cli/unpack_main.cpp and the import need.
#pragma once

#include <string>

#include "base/result.h"
#include "templates/tar_stream.h"
#include "templates/templates.h"
#include "templates/tree_model.h"

namespace vz::templates {

// unpack() for a process that has nothing else to do: it opens FILE and DIR, shuts itself in (confine.h), and unpacks.
Result<void> unpack_confined(const std::string& file, const std::string& dir);

// Reads the tarball at FD to its end and holds every entry against the rules of unpack(), making nothing. Returns what
// unpack() would make.
Result<TreeModel> check_archive(int fd, const UnpackLimits& limits, TarStream::Sink sink = {});

// Exit status of vz-unpack when the disk or the quota is full; 1 for everything else.
constexpr int kExitNoSpace = 2;

}  // namespace vz::templates
