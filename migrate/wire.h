// Messages between the two ends of a move, over the standard input and output of one ssh. A message is a verb and a
// body:
//   u32 verb length, u64 body length (big endian), verb, body
// Both sides speak in turn; "error CODE TEXT" may stand for any answer. What arrives is foreign: lengths are bounded,
// end of file and anything unexpected are errors (Code::peer).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vz::migrate {

constexpr uint32_t kProtocol = 7;
// A destination that hears nothing for so long takes the source for gone; before the freeze "alive" is said meanwhile.
constexpr auto kSilence = std::chrono::seconds(20);
constexpr size_t kMaxVerb = 300;
constexpr size_t kMaxBody = 4u << 20;

struct Message {
  std::string verb;
  std::string body;
};

class Wire {
 public:
  Wire(int read_fd, int write_fd) : in_(read_fd), out_(write_fd) {}

  Result<void> send(std::string_view verb, std::string_view body = {}) const;
  Result<void> send_error(const Error& error) const;
  Result<Message> receive() const;
  // The next message must be VERB; the peer's own error is returned as it is.
  Result<std::string> expect(std::string_view verb) const;
  // Until something can be received. Code::timeout.
  Result<void> wait(std::chrono::milliseconds timeout) const;
  // The other side sends no more.
  bool hung_up() const;
  Result<std::string> ask(std::string_view verb, std::string_view body, std::string_view answer) const;

 private:
  Error last_words() const;

  int in_, out_;
};

}  // namespace vz::migrate
