// Who has an address? I have it. Both on one device of the host, by ARP and neighbour discovery.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::net {

// A device of the host. MACs and addresses as in frames.h.
struct Device {
  int index = 0;
  std::string mac;
  std::vector<std::string> addresses;  // of both families
  bool has(const std::string& address) const;
};
// Code::not_found; Code::unsupported when it is down or no Ethernet device.
Result<Device> find_device(const std::string& name);
// Does it forward IPv6?
bool is_router(const std::string& device);

// "I am ADDRESS": the caches' two ways of believing it.
Result<void> send_announcement(const sys::UniqueFd& fd, int index, const std::string& mac, const std::string& address,
                               bool router);

// It hears answers to questions.
Result<sys::UniqueFd> question_socket(bool v6);
// SENDER may be all zeroes, but an answering proxy only answers to an address.
Result<void> send_question(const sys::UniqueFd& fd, int index, const std::string& mac, const std::string& sender,
                           const std::string& target);
struct Answer {
  int index = 0;
  std::string address, mac;
};
// The next answer about one of TARGETS; nullopt: none until DEADLINE.
std::optional<Answer> hear_answer(const sys::UniqueFd& fd, const std::vector<std::string>& targets,
                                  std::chrono::steady_clock::time_point deadline);

}  // namespace vz::net
