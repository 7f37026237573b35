#include "net/netlink.h"

#include <linux/netfilter/nfnetlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "net/netns.h"
#include "net/record.h"

namespace vz::net {

namespace {

constexpr size_t kDumpLimit = 64u << 20;
constexpr int kBufferSize = 8 << 20;

std::string_view bytes_of(const nlmsghdr* h) {
  return {static_cast<const char*>(nlmsg_data(h)), static_cast<size_t>(nlmsg_datalen(h))};
}

// Extended acknowledgement: the kernel's own sentence behind the error.
std::string kernel_words(const nlmsgerr* e) {
  const nlmsghdr* outer = reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(e) - NLMSG_HDRLEN);
  if (!(outer->nlmsg_flags & NLM_F_ACK_TLVS)) return {};
  const size_t echoed = outer->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - NLMSG_HDRLEN;
  const size_t skip = sizeof *e + NLMSG_ALIGN(echoed);
  const std::string_view all = bytes_of(outer);
  return skip <= all.size() ? Attributes(all.substr(skip)).text(NLMSGERR_ATTR_MSG) : std::string();
}

}  // namespace

// ---- messages -----------------------------------------------------------------------------------------------------

Message::Message(int type, int flags, std::string_view header, size_t room)
    : msg_(nlmsg_alloc_size(room + NLMSG_HDRLEN + header.size())) {
  ok_ = msg_ && nlmsg_put(msg_.get(), NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags | NLM_F_REQUEST) != nullptr;
  raw(header);
}

Message& Message::put(int attr, std::string_view bytes) {
  ok_ = ok_ && nla_put(msg_.get(), attr, static_cast<int>(bytes.size()), bytes.data()) == 0;
  return *this;
}

Message& Message::raw(std::string_view bytes) {
  ok_ = ok_ && nlmsg_append(msg_.get(), const_cast<char*>(bytes.data()), bytes.size(), NLMSG_ALIGNTO) == 0;
  return *this;
}

Message record_message(int type, int flags, const Record& record, size_t more_room) {
  const std::string bytes = record_bytes(record);
  Message m(type, flags, record.header, bytes.size() + more_room);
  m.raw(std::string_view(bytes).substr(std::min(bytes.size(), size_t{NLMSG_ALIGN(record.header.size())})));
  return m;
}

// ---- sockets ------------------------------------------------------------------------------------------------------

struct Netlink::Answer {
  bool done = false, interrupted = false;
  int error = 0;
  uint32_t refused = 0;  // sequence number of the message that the error is about
  size_t refusals = 0;
  std::optional<uint32_t> last;  // of many messages the one whose answer is waited for
  std::string words;
  std::vector<std::string> objects;
  size_t size = 0;
  int remaining = 1;  // acknowledgements to wait for

  void fail(int err, std::string text) {
    if (error == 0) {
      error = err;
      words = std::move(text);
    }
  }
};

Result<Netlink> Netlink::open(int protocol) {
  Netlink n(nl_socket_alloc());
  if (!n.sock_) return fail_sys(ENOMEM, "netlink socket");
  if (const int err = nl_connect(n.sock_.get(), protocol); err < 0)
    return fail(Code::unsupported, "netlink socket of protocol {}: {}", protocol, nl_geterror(err));
  const int fd = nl_socket_get_fd(n.sock_.get()), on = 1;
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  nl_socket_disable_auto_ack(n.sock_.get());
  nl_socket_disable_seq_check(n.sock_.get());
  (void)nl_socket_set_msg_buf_size(n.sock_.get(), 1 << 16);
  nl_socket_disable_msg_peek(n.sock_.get());
  return n;
}

Result<Netlink> Netlink::open_in(int netns, int protocol) {
  TRY_AS([[maybe_unused]] NetnsVisit visit, NetnsVisit::enter(netns));
  return open(protocol);
}

Result<void> Netlink::send(const Message& message) {
  if (!message.ok()) return fail_sys(EMSGSIZE, "netlink request");
  if (const int err = nl_send_auto(sock_.get(), message.get()); err < 0)
    return fail(Code::system, "netlink request: {}", nl_geterror(err));
  return {};
}

void Netlink::append(const Message& message, std::string& datagram) {
  nl_complete_msg(sock_.get(), message.get());
  const nlmsghdr* h = nlmsg_hdr(message.get());
  datagram.append(reinterpret_cast<const char*>(h), h->nlmsg_len);
  datagram.resize(NLMSG_ALIGN(datagram.size()));
}

Result<void> Netlink::send_together(const std::string& datagram) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = ::sendto(nl_socket_get_fd(sock_.get()), datagram.data(), datagram.size(), 0,
                                reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  return sent < 0 ? fail_sys(errno, "send a batch of {} bytes", datagram.size()) : Result<void>();
}

Result<void> Netlink::receive(Answer& answer) {
  std::unique_ptr<nl_cb, void (*)(nl_cb*)> cb(nl_cb_alloc(NL_CB_CUSTOM), nl_cb_put);
  if (!cb) return fail_sys(ENOMEM, "netlink answer");
  nl_cb_set(
      cb.get(), NL_CB_VALID, NL_CB_CUSTOM,
      [](nl_msg* m, void* arg) -> int {
        auto& a = *static_cast<Answer*>(arg);
        const std::string_view object = bytes_of(nlmsg_hdr(m));
        if (a.size += object.size(); a.size > kDumpLimit)
          a.fail(EFBIG, {});
        else
          a.objects.emplace_back(object);
        if (!(nlmsg_hdr(m)->nlmsg_flags & NLM_F_MULTI) && a.remaining == 0) a.done = true;
        return NL_OK;
      },
      &answer);
  nl_cb_set(
      cb.get(), NL_CB_FINISH, NL_CB_CUSTOM,
      [](nl_msg* m, void* arg) -> int {
        auto& a = *static_cast<Answer*>(arg);
        a.done = true;
        const int err = bytes_of(nlmsg_hdr(m)).size() >= sizeof(int) ? *static_cast<int*>(nlmsg_data(nlmsg_hdr(m))) : 0;
        if (err < 0) a.fail(-err, {});
        return NL_STOP;
      },
      &answer);
  nl_cb_set(
      cb.get(), NL_CB_ACK, NL_CB_CUSTOM,
      [](nl_msg*, void* arg) -> int {
        auto& a = *static_cast<Answer*>(arg);
        a.done = --a.remaining <= 0;
        return NL_OK;
      },
      &answer);
  nl_cb_set(
      cb.get(), NL_CB_DUMP_INTR, NL_CB_CUSTOM,
      [](nl_msg*, void* arg) -> int {
        static_cast<Answer*>(arg)->interrupted = true;
        return NL_OK;
      },
      &answer);
  nl_cb_err(
      cb.get(), NL_CB_CUSTOM,
      [](sockaddr_nl*, nlmsgerr* e, void* arg) -> int {
        auto& a = *static_cast<Answer*>(arg);
        if (a.error == 0) a.refused = e->msg.nlmsg_seq;
        a.fail(-e->error, kernel_words(e));
        ++a.refusals;
        const bool of_all = e->error == -EPERM;  // the kernel looks no further than the first message
        if (a.last && *a.last != e->msg.nlmsg_seq && !of_all) return NL_SKIP;
        a.done = --a.remaining <= 0;
        return NL_SKIP;
      },
      &answer);
  while (!answer.done)
    if (const int err = nl_recvmsgs(sock_.get(), cb.get()); err < 0)
      return fail(Code::system, "netlink answer: {}", nl_geterror(err));
  if (answer.error == 0) return {};
  Error e = fail_sys(answer.error, "the kernel refused");
  if (!answer.words.empty()) e.text += " (" + answer.words + ")";
  return e;
}

Result<void> Netlink::request(const Message& message) {
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_ACK;
  TRY(send(message));
  Answer answer;
  return receive(answer);
}

Result<size_t> Netlink::request_each(const std::vector<Message>& messages) {
  constexpr size_t kTogether = 32;  // requests, and the refusals of them all, fit into a socket's usual buffers
  size_t refused = 0;
  for (size_t at = 0; at < messages.size(); at += kTogether) {
    const size_t end = std::min(at + kTogether, messages.size());
    nlmsg_hdr(messages[end - 1].get())->nlmsg_flags |= NLM_F_ACK;
    std::string bytes;
    for (size_t i = at; i < end; ++i) {
      if (!messages[i].ok()) return fail_sys(EMSGSIZE, "netlink request");
      append(messages[i], bytes);
    }
    TRY(send_together(bytes));
    Answer answer;
    answer.last = nlmsg_hdr(messages[end - 1].get())->nlmsg_seq;
    auto r = receive(answer);
    if (!r && (!answer.done || answer.error == EPERM)) return std::move(r).error();
    refused += answer.refusals;
  }
  return refused;
}

Result<std::string> Netlink::get(const Message& message) {
  TRY(send(message));
  Answer answer;
  answer.remaining = 0;
  TRY(receive(answer));
  if (answer.objects.empty()) return fail(Code::not_found, "the kernel gave no answer");
  return std::move(answer.objects.front());
}

Result<std::vector<std::string>> Netlink::dump(const Message& message) {
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_DUMP;
  for (int tries = 0; tries < 10; ++tries) {
    TRY(send(message));
    Answer answer;
    TRY(receive(answer));
    if (!answer.interrupted) return std::move(answer.objects);
  }
  return fail_sys(EAGAIN, "the objects kept changing while they were read");
}

// The transaction is one datagram, and its answers must all fit, too.
void Netlink::make_room() {
  for (const int buffer : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
    (void)::setsockopt(nl_socket_get_fd(sock_.get()), SOL_SOCKET, buffer, &kBufferSize, sizeof kBufferSize);
}

Result<void> Netlink::batch(const std::vector<Message>& messages, int subsystem) {
  if (messages.empty()) return {};
  make_room();
  const nfgenmsg mark{AF_UNSPEC, NFNETLINK_V0, htons(static_cast<uint16_t>(subsystem))};
  std::string bytes;
  append(Message(NFNL_MSG_BATCH_BEGIN, 0, mark), bytes);
  for (const Message& m : messages) {
    if (!m.ok()) return fail_sys(EMSGSIZE, "netlink batch");
    if (&m == &messages.back()) nlmsg_hdr(m.get())->nlmsg_flags |= NLM_F_ACK;
    append(m, bytes);
  }
  append(Message(NFNL_MSG_BATCH_END, 0, mark), bytes);
  TRY(send_together(bytes));
  Answer answer;
  auto r = receive(answer);
  for (size_t i = 0; !r && i < messages.size(); ++i)
    if (nlmsg_hdr(messages[i].get())->nlmsg_seq == answer.refused)
      return std::move(r.error()).context(fmt::format("message {} of {} (type {})", i + 1, messages.size(),
                                                      nlmsg_hdr(messages[i].get())->nlmsg_type & 0xff));
  return r;
}

// ---- attributes ---------------------------------------------------------------------------------------------------

Attributes::Attributes(std::string_view payload, size_t header_size) {
  const size_t start = NLMSG_ALIGN(header_size);
  if (payload.size() < start) return;
  const auto* head = reinterpret_cast<const nlattr*>(payload.data() + start);
  auto rest = static_cast<int>(payload.size() - start);
  for (const nlattr* a = head; nla_ok(a, rest); a = nla_next(a, &rest))
    entries_.push_back({nla_type(a), {static_cast<const char*>(nla_data(a)), static_cast<size_t>(nla_len(a))}});
}

const Attributes::Entry* Attributes::find(int type) const {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.type == type; });
  return at == entries_.end() ? nullptr : &*at;
}

std::string_view Attributes::bytes(int type) const {
  const Entry* e = find(type);
  return e ? e->data : std::string_view();
}

uint32_t Attributes::u32(int type, uint32_t otherwise) const {
  const std::string_view b = bytes(type);
  uint32_t v = otherwise;
  if (b.size() >= sizeof v) std::memcpy(&v, b.data(), sizeof v);
  return v;
}

std::string Attributes::text(int type) const {
  const std::string_view b = bytes(type);
  return std::string(b.substr(0, b.find('\0')));
}

std::vector<std::string_view> Attributes::all(int type) const {
  std::vector<std::string_view> out;
  for (const Entry& e : entries_)
    if (e.type == type) out.push_back(e.data);
  return out;
}

}  // namespace vz::net
