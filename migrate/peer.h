// The other host: one ssh connection for our messages, shared by rsync.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "migrate/wire.h"
#include "sys/process.h"

namespace vz::migrate {

struct Copy {
  std::string files_from = {};         // a list (NUL between the names) of what may differ; empty: all may
  std::vector<std::string> gone = {};  // removed there before all else
  bool by_content = false;             // files are read on both sides to see whether they differ
  bool make_room = false;              // what is only there goes before anything is copied
  std::optional<int> progress = {};    // where rsync says how far it is (migrate/progress.h)
  uint64_t bytes_per_second = 0;       // not faster; 0: any
  bool into_mounts = false;            // also what is mounted below, on either side
  std::string run_by = {};             // there, a command that rsync's is given to; empty: none
};

struct Address {
  std::string target;                    // "[user@]host"; root when no user is named and SUDO does not do it
  std::vector<std::string> ssh_options;  // words of --ssh
  std::vector<std::string> rsync_options = {};
  bool sudo = false;  // the user is not root there: sudo(8) makes it so
};

class Peer {
 public:
  // Starts "vzmigrate receive" there. Code::connect_failed with ssh's own words.
  static Result<std::unique_ptr<Peer>> connect(const Address& address, const std::string& run_dir);
  ~Peer();

  const Wire& wire() const { return *wire_; }
  bool sudo() const { return address_.sudo; }
  // Another program there, through the same connection: what is written to the socket is its standard input, what it
  // prints is read.
  Result<sys::UniqueFd> open_channel(const std::string& command);
  // Makes the directory DESTINATION there equal to SOURCE here: owners, modes, links, xattrs, ACLs, holes.
  // Code::copy_failed.
  Result<void> rsync(const std::string& source, const std::string& destination, const Copy& how) const;

 private:
  Peer() = default;
  std::vector<std::string> ssh() const;  // ssh with our options, without the target

  Address address_;
  std::string control_path_;
  sys::Forked child_, channel_;
  sys::UniqueFd to_, from_;
  std::unique_ptr<Wire> wire_;
};

// rsync's options for a whole tree, or for a list of files on its standard input.
std::vector<std::string> rsync_options(const Copy& how);

// Any command there by a connection of its own; its exit status and output. Gives up after some seconds.
Result<sys::Output> run_there(const Address& to, const std::string& command);

// Words of an option string as a shell splits them: blanks, quotes, backslashes. Code::usage on an open quote.
Result<std::vector<std::string>> split_words(std::string_view text);

}  // namespace vz::migrate
