// Netlink messages and sockets over libnl3's core. A socket belongs to the network namespace it was opened in, wherever
// the thread goes afterwards.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace vz::net {

// One request under construction. Running out of room is remembered and reported when it is sent.
class Message {
 public:
  template <class Header>
  requires std::is_trivially_copyable_v<Header> Message(int type, int flags, const Header& header, size_t room = 4096)
      : Message(type, flags, std::string_view(reinterpret_cast<const char*>(&header), sizeof header), room) {}
  Message(int type, int flags, std::string_view header, size_t room);

  Message& put(int attr, std::string_view bytes);
  Message& put_u8(int attr, uint8_t v) { return put(attr, {reinterpret_cast<const char*>(&v), sizeof v}); }
  Message& put_u32(int attr, uint32_t v) { return put(attr, {reinterpret_cast<const char*>(&v), sizeof v}); }
  Message& put_text(int attr, const std::string& v) { return put(attr, {v.c_str(), v.size() + 1}); }
  template <class Body>
  Message& nest(int attr, Body body) {
    nlattr* start = ok_ ? nla_nest_start(msg_.get(), attr) : nullptr;
    ok_ = start != nullptr;
    body();
    if (ok_) nla_nest_end(msg_.get(), start);
    return *this;
  }
  // A fixed structure without attribute header, inside a nest (the peer's ifinfomsg of a veth).
  Message& raw(std::string_view bytes);

  nl_msg* get() const { return msg_.get(); }
  bool ok() const { return ok_; }

 private:
  struct Free {
    void operator()(nl_msg* m) const { nlmsg_free(m); }
  };
  std::unique_ptr<nl_msg, Free> msg_;
  bool ok_ = true;
};

struct Record;
Message record_message(int type, int flags, const Record& record, size_t more_room = 0);

class Netlink {
 public:
  static Result<Netlink> open(int protocol = NETLINK_ROUTE);
  static Result<Netlink> open_in(int netns, int protocol = NETLINK_ROUTE);

  // Sends and waits for the kernel's answer. The error's sys_errno is the kernel's; its own words are added in
  // parentheses.
  Result<void> request(const Message& message);
  // Each for itself, many at a time: how many were refused.
  Result<size_t> request_each(const std::vector<Message>& messages);
  // The one object asked for: what follows its nlmsghdr.
  Result<std::string> get(const Message& message);
  // All objects, each as what follows its nlmsghdr. Repeated while the kernel says that they changed meanwhile.
  Result<std::vector<std::string>> dump(const Message& message);
  // For a batch() of megabytes. Takes CAP_NET_ADMIN outside all containers: whoever gives that up calls it before.
  void make_room();
  // A netfilter batch: all messages in one transaction of SUBSYSTEM. The error says which one was refused.
  Result<void> batch(const std::vector<Message>& messages, int subsystem);

 private:
  struct Free {
    void operator()(nl_sock* s) const { nl_socket_free(s); }
  };
  struct Answer;
  explicit Netlink(nl_sock* s) : sock_(s) {}
  Result<void> send(const Message& message);
  void append(const Message& message, std::string& datagram);
  Result<void> send_together(const std::string& datagram);
  Result<void> receive(Answer& answer);

  std::unique_ptr<nl_sock, Free> sock_;
};

// Attributes of a message from the kernel, by type.
class Attributes {
 public:
  Attributes(std::string_view payload, size_t header_size);
  explicit Attributes(std::string_view nested) : Attributes(nested, 0) {}
  bool has(int type) const { return find(type) != nullptr; }
  std::string_view bytes(int type) const;  // empty when absent
  uint32_t u32(int type, uint32_t otherwise = 0) const;
  std::string text(int type) const;                   // up to the first NUL
  std::vector<std::string_view> all(int type) const;  // of a list

 private:
  struct Entry {
    int type;
    std::string_view data;
  };
  const Entry* find(int type) const;
  std::vector<Entry> entries_;
};

// The family header in front of a message's attributes; zeroes when the message is too short.
template <class Header>
Header header_of(std::string_view payload) {
  Header h{};
  if (payload.size() >= sizeof h) __builtin_memcpy(&h, payload.data(), sizeof h);
  return h;
}

}  // namespace vz::net
