#include "sys/channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vz::sys {

namespace {
struct Header {
  int step;
  int code;
  int sys_errno;
};

constexpr size_t kControlSize = CMSG_SPACE(Channel::kMaxFds * sizeof(int));
}  // namespace

Result<Channel::Pair> Channel::make() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return fail_sys(errno, "socketpair");
  return Pair{Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

Result<void> Channel::post(int step, std::span<const int> fds) const {
  if (fds.size() > kMaxFds) return fail_sys(E2BIG, "start channel, step {}", step);
  Header h{step, 0, 0};
  iovec iov{&h, sizeof h};
  msghdr m{};
  m.msg_iov = &iov;
  m.msg_iovlen = 1;
  alignas(cmsghdr) char control[kControlSize] = {};
  if (!fds.empty()) {
    m.msg_control = control;
    m.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  if (::sendmsg(fd_.get(), &m, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof h))
    return fail_sys(errno, "start channel, step {}", step);
  return {};
}

Result<void> Channel::post_error(const Error& error) const {
  Header h{0, static_cast<int>(error.code), error.sys_errno};
  std::string message(reinterpret_cast<const char*>(&h), sizeof h);
  message += error.text.substr(0, 3000);
  if (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) return fail_sys(errno, "start channel");
  return {};
}

namespace {

struct Message {
  bool eof = false;
  Header header{};
  std::string text;
  std::vector<UniqueFd> fds;
};

Result<Message> receive(int fd) {
  std::array<char, 4096> buf;
  alignas(cmsghdr) char control[kControlSize] = {};
  iovec iov{buf.data(), buf.size()};
  msghdr m{};
  m.msg_iov = &iov;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = sizeof control;
  ssize_t n;
  while ((n = ::recvmsg(fd, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (n < 0) return fail_sys(errno, "start channel");
  Message msg;
  if (n == 0) {
    msg.eof = true;
    return msg;
  }
  if (static_cast<size_t>(n) < sizeof(Header)) return fail(Code::peer, "start channel: short message");
  std::memcpy(&msg.header, buf.data(), sizeof(Header));
  msg.text.assign(buf.data() + sizeof(Header), static_cast<size_t>(n) - sizeof(Header));
  if (cmsghdr* c = CMSG_FIRSTHDR(&m); c && c->cmsg_type == SCM_RIGHTS) {
    std::array<int, Channel::kMaxFds> got;
    const size_t bytes = c->cmsg_len - CMSG_LEN(0);
    std::memcpy(got.data(), CMSG_DATA(c), bytes);
    for (size_t i = 0; i < bytes / sizeof(int); ++i) msg.fds.emplace_back(got[i]);
  }
  return msg;
}

Error peer_error(const Message& m) { return Error{static_cast<Code>(m.header.code), m.header.sys_errno, m.text}; }

}  // namespace

Result<std::vector<UniqueFd>> Channel::expect(int step) const {
  TRY_AS(Message m, receive(fd_.get()));
  if (m.eof) return fail(Code::peer, "the other side died before step {}", step);
  if (m.header.step == 0) return peer_error(m);
  if (m.header.step != step) return fail(Code::peer, "start channel: step {} where {} was due", m.header.step, step);
  return std::move(m.fds);
}

Result<UniqueFd> Channel::expect_fd(int step) const {
  TRY_AS(std::vector<UniqueFd> fds, expect(step));
  if (fds.size() != 1) return fail(Code::peer, "start channel: step {} without its descriptor", step);
  return std::move(fds.front());
}

Result<void> Channel::expect_exec() const {
  TRY_AS(Message m, receive(fd_.get()));
  if (m.eof) return {};
  if (m.header.step == 0) return peer_error(m);
  return fail(Code::peer, "start channel: step {} where exec was due", m.header.step);
}

}  // namespace vz::sys
