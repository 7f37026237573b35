// Makes entries below one directory. Every name is resolved by openat2(2) beneath that directory without following any
// symbolic link, so that nothing an archive holds leads out of it, whatever the rules before have missed.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "sys/unique_fd.h"
#include "templates/entry.h"
#include "templates/tar_stream.h"

namespace vz::templates {

class TreeWriter {
 public:
  // ROOT_FD becomes root's, mode 0755, unless the archive says otherwise.
  explicit TreeWriter(int root_fd);

  // Makes ENTRY; the data of a file comes from STREAM, which stands at it.
  Result<void> add(const Entry& entry, TarStream& stream);
  // Attributes of directories, last: default ACLs must not be inherited by what the archive puts below, and making
  // files changes times.
  Result<void> finish();

 private:
  struct Place {
    int dir;
    std::string name;
  };
  Result<Place> place_of(const std::string& path);
  Result<sys::UniqueFd> open_directory(const std::string& path);
  Result<void> make_directory(const std::string& path);
  Result<void> add_directory(const Entry& entry);
  Result<void> add_file(const Entry& entry, TarStream& stream);
  Result<void> add_symlink(const Entry& entry);
  Result<void> add_hardlink(const Entry& entry);
  Result<void> add_fifo(const Entry& entry);

  int root_;
  std::string parent_path_;  // of parent_, the directory of the newest entry
  sys::UniqueFd parent_;
  std::map<std::string, Attributes, std::greater<>> directories_;  // children before their parents
};

}  // namespace vz::templates
