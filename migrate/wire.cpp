#include "migrate/wire.h"

#include <endian.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::migrate {

namespace {

constexpr size_t kHeader = 12;

Result<void> read_exactly(int fd, char* out, size_t size) {
  while (size) {
    const ssize_t n = ::read(fd, out, size);
    if (n < 0 && errno == EINTR) {
      TRY(sys::check_cancelled());
      continue;
    }
    if (n < 0) return fail_sys(errno, "read from the other host");
    if (n == 0) return fail(Code::peer, "the connection to the other host was lost");
    out += n;
    size -= static_cast<size_t>(n);
  }
  return {};
}

Error unexpected(const Message& m) {
  if (!m.verb.starts_with("error ")) return fail(Code::peer, "the other host said '{}' out of turn", printable(m.verb));
  const uint64_t code = parse_u64(m.verb.substr(6)).value_or(0);
  const bool known = code <= static_cast<uint64_t>(kLastCode);
  return Error{known ? static_cast<Code>(code) : Code::peer, 0, "the other host: " + printable(m.body)};
}

}  // namespace

Result<void> Wire::send(std::string_view verb, std::string_view body) const {
  const uint32_t verb_size = htobe32(static_cast<uint32_t>(verb.size()));
  const uint64_t body_size = htobe64(body.size());
  std::string frame(kHeader, 0);
  std::memcpy(frame.data(), &verb_size, 4);
  std::memcpy(frame.data() + 4, &body_size, 8);
  frame += verb;
  auto sent = sys::write_all(out_, frame);
  if (sent && !body.empty()) sent = sys::write_all(out_, body);
  return sent ? Result<void>() : last_words();
}

// Nobody reads any more there. It may have said why, and not have been heard because it was not its turn.
Error Wire::last_words() const {
  const auto said = receive();
  return said ? unexpected(*said) : Error{Code::peer, 0, "the connection to the other host was lost"};
}

Result<void> Wire::send_error(const Error& error) const {
  return send(fmt::format("error {}", static_cast<int>(error.code)), std::string_view(error.text).substr(0, 4000));
}

Result<Message> Wire::receive() const {
  char header[kHeader];
  TRY(read_exactly(in_, header, kHeader));
  uint32_t verb_size = 0;
  uint64_t body_size = 0;
  std::memcpy(&verb_size, header, 4);
  std::memcpy(&body_size, header + 4, 8);
  verb_size = be32toh(verb_size);
  body_size = be64toh(body_size);
  if (verb_size == 0 || verb_size > kMaxVerb || body_size > kMaxBody)
    return fail(Code::peer, "the other host does not speak Vessel's protocol (does its login shell print something?)");
  Message m{std::string(verb_size, 0), std::string(body_size, 0)};
  TRY(read_exactly(in_, m.verb.data(), verb_size));
  TRY(read_exactly(in_, m.body.data(), body_size));
  return m;
}

Result<std::string> Wire::expect(std::string_view verb) const {
  TRY_AS(Message m, receive());
  if (m.verb == verb) return std::move(m.body);
  return unexpected(m);
}

Result<std::string> Wire::ask(std::string_view verb, std::string_view body, std::string_view answer) const {
  TRY(send(verb, body));
  return expect(answer);
}

Result<void> Wire::wait(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    pollfd p{in_, POLLIN, 0};
    const int n = ::poll(&p, 1, static_cast<int>(sys::time_left(deadline).count()));
    if (n > 0) return {};
    if (n == 0) return fail(Code::timeout, "the other host did not answer in time");
    if (errno != EINTR) return fail_sys(errno, "poll");
    TRY(sys::check_cancelled());
  }
}

bool Wire::hung_up() const {
  pollfd p{in_, POLLIN | POLLRDHUP, 0};
  return ::poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP));
}

}  // namespace vz::migrate
