#include "migrate/peer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

constexpr auto kCopyTimeout = std::chrono::hours(48);
constexpr int kVanished = 24;  // rsync: files vanished while they were copied; a running guest does that

std::string with_user(const Address& to) {
  return to.sudo || to.target.find('@') != std::string::npos ? to.target : "root@" + to.target;
}

std::string as_root(const Address& to, const std::string& command) { return (to.sudo ? "sudo -n " : "") + command; }

// "root@fd77::1" as rsync takes it.
std::string in_brackets(const std::string& target) {
  const size_t host = target.rfind('@') + 1;
  return target.find(':', host) == std::string::npos ? target
                                                     : target.substr(0, host) + "[" + target.substr(host) + "]";
}

std::string last_line(std::string_view text) {
  const auto lines = split(trim(text), '\n');
  return lines.empty() ? "" : printable(lines.back());
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote ? c == quote : c == '\'' || c == '"') {
      quote = quote ? 0 : c;
      in_word = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (!quote && (c == ' ' || c == '\t' || c == '\n')) {
      if (in_word) out.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote) return fail(Code::usage, "unbalanced quote in '{}'", printable(text));
  if (in_word) out.push_back(word);
  return out;
}

std::vector<std::string> rsync_options(const Copy& how) {
  // A file rewritten in the same second keeps its size and its whole-second time.
  std::vector<std::string> out = {how.into_mounts ? "-aHAX" : "-aHAXx", "--numeric-ids", "--sparse",
                                  "--modify-window=-1"};
  out.emplace_back(how.make_room ? "--delete-before" : "--delete");
  if (how.by_content) out.emplace_back("--checksum");
  if (how.files_from.empty()) return out;
  // What is missing was removed since the list was made: the next list says so.
  out.insert(out.end(),
             {"--from0", "--files-from=-", "--no-recursive", "--dirs", "--no-implied-dirs", "--ignore-missing-args"});
  if (!how.by_content) out.emplace_back("--ignore-times");
  return out;
}

std::vector<std::string> Peer::ssh() const {
  std::vector<std::string> argv = {"ssh", "-o", "BatchMode=yes", "-o", "ControlPath=" + control_path_};
  argv.insert(argv.end(), address_.ssh_options.begin(), address_.ssh_options.end());
  // Behind the caller's own: ssh takes the first. With AES instructions some times faster than the default.
  for (const char* word : {"-o", "Ciphers=^aes128-gcm@openssh.com"}) argv.emplace_back(word);
  // A link that was cut is noticed; a frozen container waits for that.
  for (const char* word : {"-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3"}) argv.emplace_back(word);
  return argv;
}

Result<std::unique_ptr<Peer>> Peer::connect(const Address& address, const std::string& run_dir) {
  std::unique_ptr<Peer> peer(new Peer);
  peer->address_ = address;
  peer->address_.target = with_user(address);
  if (peer->address_.target.front() == '-') return fail(Code::usage, "Bad host name '{}'", printable(address.target));
  TRY(sys::make_dirs(run_dir, 0700));
  peer->control_path_ = fmt::format("{}/ssh-{}", run_dir, ::getpid());
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  sys::UniqueFd in_read(in[0]);
  peer->to_.reset(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  sys::UniqueFd out_write(out[1]);
  peer->from_.reset(out[0]);
  sys::Program program;
  program.argv = peer->ssh();
  for (const char* word : {"-o", "ControlMaster=yes", "-o", "ControlPersist=no", "--"}) program.argv.emplace_back(word);
  program.argv.push_back(peer->address_.target);
  program.argv.push_back(as_root(address, "vzmigrate receive"));
  program.stdin_fd = in_read.get();
  program.stdout_fd = out_write.get();
  program.stderr_fd = 2;  // ssh says itself what is wrong with the connection
  // Ctrl-C is ours to handle: the connection is needed to undo what was done there.
  program.before_exec = []() -> Result<void> {
    ::setsid();
    return {};
  };
  TRY_AS(peer->child_, sys::start(program));
  peer->wire_ = std::make_unique<Wire>(peer->from_.get(), peer->to_.get());
  return peer;
}

Result<sys::UniqueFd> Peer::open_channel(const std::string& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_sys(errno, "socketpair");
  sys::UniqueFd ours(ends[0]);
  const sys::UniqueFd its(ends[1]);
  sys::Program program;
  program.argv = ssh();
  program.argv.insert(program.argv.end(), {"--", address_.target, as_root(address_, command)});
  program.stdin_fd = program.stdout_fd = its.get();
  program.stderr_fd = 2;
  program.before_exec = []() -> Result<void> {
    ::setsid();
    return {};
  };
  TRY_AS(channel_, sys::start(program));
  return ours;
}

Peer::~Peer() {
  if (channel_.pid > 0) {
    (void)sys::send_signal(channel_.pidfd.get(), SIGTERM);
    (void)sys::wait_child(channel_.pid);
  }
  to_.reset();  // end of file: the receiver undoes what was not finished, and ends
  if (!child_.pidfd) return;
  const auto ended = sys::wait_ended(child_.pidfd.get(), std::chrono::seconds(20));
  if (!ended || !*ended) (void)sys::send_signal(child_.pidfd.get(), SIGKILL);
  (void)sys::wait_child(child_.pid);
  (void)sys::remove_file(control_path_);
}

Result<void> Peer::rsync(const std::string& source, const std::string& destination, const Copy& how) const {
  std::vector<std::string> words = ssh();
  // Only through the connection that is there: a container waits frozen, and a new one may take long to fail.
  if (!how.files_from.empty()) words.insert(words.end(), {"-o", "ProxyCommand=false"});
  std::string shell;
  for (const std::string& word : words) shell += (shell.empty() ? "" : " ") + shell_quote(word);
  sys::Program program{.argv = {"rsync"}};
  for (std::string& word : rsync_options(how)) program.argv.push_back(std::move(word));
  // Never onto the disk below: the other side may have given up. Standing in it keeps it mounted.
  std::string there = fmt::format("cd {} && mountpoint -q . && ", shell_quote(destination));
  if (!how.gone.empty()) there += "vzmigrate remove";
  for (const std::string& name : how.gone) there += " " + shell_quote(name);
  there += fmt::format("{}exec {} rsync \"$@\"", how.gone.empty() ? "" : " && ", how.run_by);
  program.argv.insert(program.argv.end(),
                      {"-e", shell, "--rsync-path=" + as_root(address_, "sh -c " + shell_quote(there) + " rsync")});
  if (how.progress) program.argv.insert(program.argv.end(), {"--info=progress2", "--no-human-readable"});
  program.stdout_fd = how.progress;
  if (how.bytes_per_second > 0) program.argv.push_back(fmt::format("--bwlimit={}", how.bytes_per_second / 1024));
  program.argv.insert(program.argv.end(), address_.rsync_options.begin(), address_.rsync_options.end());
  program.argv.push_back("--");
  program.argv.push_back(source + "/");
  program.argv.push_back(in_brackets(address_.target) + ":" + destination + "/");
  program.input = how.files_from;
  program.timeout = kCopyTimeout;
  TRY_AS(sys::Output out, sys::run(program));
  if (out.status.ok() || (out.status.code == kVanished && out.status.signal == 0)) return {};
  return fail(Code::copy_failed, "rsync failed ({}): {}", out.status.text(), last_line(out.err));
}

Result<sys::Output> run_there(const Address& to, const std::string& command) {
  sys::Program program{.argv = {"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"}};
  program.argv.insert(program.argv.end(), to.ssh_options.begin(), to.ssh_options.end());
  program.argv.push_back("--");
  program.argv.push_back(with_user(to));
  program.argv.push_back(as_root(to, command));
  program.timeout = std::chrono::seconds(30);
  return sys::run(program);
}

}  // namespace vz::migrate
