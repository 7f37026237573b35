// The other host: one ssh connection for our messages, shared by rsync.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "migrate/wire.h"
#include "sys/process.h"

namespace vz::migrate {

struct Address {
  std::string target;                    // "[user@]host"; root when no user is named
  std::vector<std::string> ssh_options;  // words of --ssh
  std::vector<std::string> rsync_options;
};

class Peer {
 public:
  // Starts "vzmigrate receive" there. Code::connect_failed with ssh's own words.
  static Result<std::unique_ptr<Peer>> connect(const Address& address, const std::string& run_dir);
  ~Peer();

  const Wire& wire() const { return *wire_; }
  // Makes the directory DESTINATION there equal to SOURCE here: owners, modes, links, xattrs, ACLs, holes. FILES_FROM,
  // when not empty, is a list (NUL between the names) of what may differ: nothing else is looked at. Code::copy_failed.
  Result<void> rsync(const std::string& source, const std::string& destination,
                     const std::string& files_from = "") const;
  // Any command there by a connection of its own (after ours was lost); its exit status and output.
  Result<sys::Output> run_there(const std::string& command) const;

 private:
  Peer() = default;
  std::vector<std::string> ssh() const;  // ssh with our options, without the target

  Address address_;
  std::string control_path_;
  sys::Forked child_;
  sys::UniqueFd to_, from_;
  std::unique_ptr<Wire> wire_;
};

// Words of an option string as a shell splits them: blanks, quotes, backslashes. Code::usage on an open quote.
Result<std::vector<std::string>> split_words(std::string_view text);

}  // namespace vz::migrate
