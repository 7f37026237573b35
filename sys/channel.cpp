#include "sys/channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vz::sys {

namespace {
struct Header {
  int step;
  int code;
  int sys_errno;
};
}  // namespace

Result<Channel::Pair> Channel::make() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return fail_sys(errno, "socketpair");
  return Pair{Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

Result<void> Channel::post(int step, int fd) const {
  Header h{step, 0, 0};
  iovec iov{&h, sizeof h};
  msghdr m{};
  m.msg_iov = &iov;
  m.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
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
  UniqueFd fd;
};

Result<Message> receive(int fd) {
  std::array<char, 4096> buf;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
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
    int got = -1;
    std::memcpy(&got, CMSG_DATA(c), sizeof got);
    msg.fd.reset(got);
  }
  return msg;
}

Error peer_error(const Message& m) { return Error{static_cast<Code>(m.header.code), m.header.sys_errno, m.text}; }

}  // namespace

Result<UniqueFd> Channel::expect(int step) const {
  TRY_AS(Message m, receive(fd_.get()));
  if (m.eof) return fail(Code::peer, "the other side died before step {}", step);
  if (m.header.step == 0) return peer_error(m);
  if (m.header.step != step) return fail(Code::peer, "start channel: step {} where {} was due", m.header.step, step);
  return std::move(m.fd);
}

Result<void> Channel::expect_exec() const {
  TRY_AS(Message m, receive(fd_.get()));
  if (m.eof) return {};
  if (m.header.step == 0) return peer_error(m);
  return fail(Code::peer, "start channel: step {} where exec was due", m.header.step);
}

}  // namespace vz::sys
