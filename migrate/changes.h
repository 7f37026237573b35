// Which files of a tree changed since a moment, by change time: the last copy, in the freeze, looks at nothing else.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace vz::migrate {

using Visit = std::function<void(const std::string& path, const struct ::stat&)>;
// VISIT for PATH ("": all; "." is its path then), a directory below ROOT, and everything in it on the same file system,
// each directory before what is in it.
Result<void> walk(const std::string& root, const std::string& path, const Visit& visit);
bool not_before(const timespec& t, const timespec& since);

// Paths relative to the root by inode.
using Directories = std::unordered_map<ino_t, std::string>;
Result<Directories> directories_of(const std::string& root);

// What the last copy looks at, relative to the root: "FILE"; "DIRECTORY" for itself alone; "DIRECTORY/" for itself and
// everything in it, which is a lot to compare; a name that is not there any more for its removal.
using Names = std::set<std::string>;
// PATH, as it has to be in the list: with the directory it lies in, whose times the copy changes by writing the file.
void add_name(Names& names, const std::string& path, bool directory);
// For rsync --from0 --files-from --dirs.
std::string list_of(const Names& names);
// Out of NAMES those that are not there (any more) in ROOT. Were they too many for a command line, their directories
// come into NAMES with everything in them. rsync's own --delete-missing-args is refused by Debian 12's
// (3.2.7-1+deb12u6).
std::vector<std::string> take_gone(const std::string& root, Names& names);
// Removes NAMES, with what is in them, from the directory ROOT, in which a guest has made any links: none is followed.
Result<void> remove_names(const std::string& root, const std::vector<std::string>& names);

// Everything whose status changed at or after SINCE. With a directory that was elsewhere BEFORE (at SINCE), or nowhere,
// comes all that is in it: renaming it changes nothing of that. Never leaves the file system.
Result<Names> changed_since(const std::string& root, timespec since, const Directories& before);
// The clock that change times are stamped with (coarse: up to a tick behind).
timespec change_clock();

}  // namespace vz::migrate
