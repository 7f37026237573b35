// arpsend: who has an address on a device's network, and who is to be known to have it; arpsend(8).
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "net/ask.h"
#include "net/frames.h"
#include "net/link.h"
#include "net/packet_socket.h"

namespace vz::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFailed = 2, kDetected = 3, kNoAnswer = 4;
constexpr uint64_t kMostRounds = 1000, kMostSeconds = 3600;
constexpr Option kOptions[] = {{"update", false, 'U'},
                               {"detect", false, 'D'},
                               {"request", false, 'Q'},
                               {"reply", false, 'P'},
                               {"count", true, 'c'},
                               {"timeout", true, 'w'},
                               {"src-hw", true, 's'},
                               {"trg-hw", true, 't'},
                               {"src-arp", true, 'S'},
                               {"trg-arp", true, 'T'},
                               {"src-ip", true, 'i'},
                               {"trg-ip", true, 'e'},
                               {"at-once", false, 'o'},
                               {"verbose", false, 'v'},
                               {"json", false, 'j'},
                               {"help", false, 'h'},
                               {"version"}};
constexpr const char* kUsage =
    "Usage: arpsend -U -i ADDRESS [OPTION...] DEVICE\n"
    "       arpsend -D | -Q -e ADDRESS [-e ADDRESS...] [OPTION...] DEVICE\n"
    "       arpsend -P -i ADDRESS -e ADDRESS [OPTION...] DEVICE\n"
    "  -U, --update         tell all that this host has the address\n"
    "  -D, --detect         fail when another host has it\n"
    "  -Q, --request        fail when no other host has it\n"
    "  -P, --reply          answer a question that nobody asked\n"
    "  -i, --src-ip ADDR    the sender's address\n"
    "  -e, --trg-ip ADDR    the address asked for, or told to\n"
    "  -c, --count N        times, 1\n"
    "  -w, --timeout SEC    for answers, and between the times, 1\n"
    "  -o, --at-once        the first answer is enough\n"
    "  -s, --src-hw MAC, -t, --trg-hw MAC    of the Ethernet frame\n"
    "  -S, --src-arp MAC, -T, --trg-arp MAC  of the ARP packet\n"
    "  -v, --verbose\n"
    "  -j, --json           -D and -Q: a JSON object with the answers\n"
    "  -h, --help, --version\n"
    "-U, -D and -Q take IPv6 addresses as well.\n";

struct Order {
  std::string device;
  std::vector<std::string> sources, targets;  // addresses, as in net/frames.h
  uint64_t rounds = 1;
  std::chrono::seconds wait{1};
  bool at_once = false, verbose = false, json = false;
};

Result<std::vector<std::string>> addresses(const Parsed& options, std::string_view option) {
  std::vector<std::string> out;
  for (const Parsed::Item& item : options.items) {
    if (item.name != option) continue;
    const auto ip = config::parse_ip(item.value);
    if (!ip || ip->prefix) return fail(Code::usage, "'{}' is no IP address", printable(item.value));
    TRY_AS(out.emplace_back(), net::address_bytes(*ip));
  }
  return out;
}

// Any MAC, also the broadcast one.
Result<std::string> mac(const Parsed& options, std::string_view option, std::string_view otherwise) {
  const auto text = options.value(option);
  if (!text) return std::string(otherwise);
  std::string out;
  for (const std::string_view part : split(*text, ':')) {
    const auto byte = part.size() <= 2 ? parse_hex(part) : std::nullopt;
    if (byte) out += static_cast<char>(*byte);
    if (!byte) return fail(Code::usage, "'{}' is no MAC", printable(*text));
  }
  if (out.size() != 6) return fail(Code::usage, "'{}' is no MAC", printable(*text));
  return out;
}

bool is_v6(const std::string& address) { return address.size() == 16; }

void tell(const Order& order, const char* what, const std::string& address) {
  if (order.verbose) fmt::print("{} {} on {}\n", what, net::address_text(address), order.device);
}

// ---- telling ------------------------------------------------------------------------------------------------------

struct Macs {
  std::string from, to, sender, target;
};
Result<Macs> macs(const Parsed& options, const net::Device& device, bool reply) {
  Macs m;
  TRY_AS(m.from, mac(options, "src-hw", device.mac));
  TRY_AS(m.to, mac(options, "trg-hw", net::kBroadcast));
  TRY_AS(m.sender, mac(options, "src-arp", device.mac));
  TRY_AS(m.target, mac(options, "trg-arp", reply ? m.sender : net::kZeroMac));
  return m;
}

Result<void> send_arp(const sys::UniqueFd& fd, const Parsed& options, const net::Device& device, bool reply,
                      const std::string& source, const std::string& target) {
  TRY_AS(const Macs m, macs(options, device, reply));
  return net::send_frame(fd, device.index, net::arp_frame({reply, m.from, m.to, m.sender, source, m.target, target}));
}

Result<int> update(const Order& order, const Parsed& options, const net::Device& device) {
  if (order.sources.empty()) return fail(Code::usage, "-U takes an address by -i");
  TRY_AS(const sys::UniqueFd fd, net::packet_socket(0));
  for (uint64_t round = 0; round < order.rounds; ++round) {
    if (round != 0) ::sleep(static_cast<unsigned>(order.wait.count()));
    for (const std::string& source : order.sources) {
      tell(order, "announce", source);
      if (is_v6(source)) {
        TRY(net::send_announcement(fd, device.index, device.mac, source,
                                   device.has(source) && net::is_router(order.device)));
        continue;
      }
      const std::string& target = order.targets.empty() || is_v6(order.targets[0]) ? source : order.targets[0];
      for (const bool reply : {false, true}) TRY(send_arp(fd, options, device, reply, source, target));
    }
  }
  return 0;
}

Result<int> answer(const Order& order, const Parsed& options, const net::Device& device) {
  if (order.sources.size() != 1 || order.targets.size() != 1 || is_v6(order.sources[0]) || is_v6(order.targets[0]))
    return fail(Code::usage, "-P takes one IPv4 address by -i and one by -e");
  TRY_AS(const sys::UniqueFd fd, net::packet_socket(0));
  for (uint64_t round = 0; round < order.rounds; ++round) {
    if (round != 0) ::sleep(static_cast<unsigned>(order.wait.count()));
    tell(order, "answer about", order.sources[0]);
    TRY(send_arp(fd, options, device, true, order.sources[0], order.targets[0]));
  }
  return 0;
}

// ---- asking -------------------------------------------------------------------------------------------------------

// The sender's address: as given, else one of the device's own, else none.
std::string sender_for(const Order& order, const net::Device& device, const std::string& target) {
  const auto fits = [&](const std::string& a) { return a.size() == target.size(); };
  for (const auto* from : {&order.sources, &device.addresses})
    if (const auto it = std::find_if(from->begin(), from->end(), fits); it != from->end()) return *it;
  return std::string(target.size(), '\0');
}

struct Found {
  std::vector<net::Answer> answers;
  bool has(const std::string& address) const {
    return std::any_of(answers.begin(), answers.end(), [&](const net::Answer& a) { return a.address == address; });
  }
};

Result<void> ask(const Order& order, const Parsed& options, const net::Device& device, bool v6, Found& found) {
  std::vector<std::string> targets;
  std::copy_if(order.targets.begin(), order.targets.end(), std::back_inserter(targets),
               [&](const std::string& a) { return is_v6(a) == v6; });
  TRY_AS(const sys::UniqueFd fd, net::question_socket(v6));
  const auto enough = [&] {
    if (order.at_once && !found.answers.empty()) return true;
    return std::all_of(targets.begin(), targets.end(), [&](const std::string& t) { return found.has(t); });
  };
  for (uint64_t round = 0; round < order.rounds && !enough(); ++round) {
    for (const std::string& target : targets) {
      tell(order, "ask for", target);
      const std::string sender = sender_for(order, device, target);
      TRY(v6 ? net::send_question(fd, device.index, device.mac, sender, target)
             : send_arp(fd, options, device, false, sender, target));
    }
    const auto deadline = Clock::now() + order.wait;
    while (!enough()) {
      const auto heard = net::hear_answer(fd, targets, deadline);
      if (!heard) break;
      if (heard->index == device.index && heard->mac != device.mac && !found.has(heard->address))
        found.answers.push_back(*heard);
    }
  }
  return {};
}

Result<Found> ask_all(const Order& order, const Parsed& options, const net::Device& device) {
  if (order.targets.empty()) return fail(Code::usage, "-D and -Q take addresses by -e");
  Found found;
  for (const bool v6 : {false, true})
    if (std::any_of(order.targets.begin(), order.targets.end(), [&](const std::string& t) { return is_v6(t) == v6; }))
      TRY(ask(order, options, device, v6, found));
  return found;
}

void print_json(const Order& order, const Found& found) {
  Json answers = Json::array();
  for (const net::Answer& a : found.answers)
    answers.push_back({{"address", net::address_text(a.address)}, {"mac", to_lower(net::mac_text(a.mac))}});
  fmt::print("{}\n", pretty_json({{"device", order.device}, {"answers", answers}}));
}

Result<int> detect(const Order& order, const Parsed& options, const net::Device& device) {
  TRY_AS(const Found found, ask_all(order, options, device));
  if (order.json) {
    print_json(order, found);
    return found.answers.empty() ? 0 : kDetected;
  }
  for (const net::Answer& a : found.answers)
    fmt::print(stderr, "arpsend: {} is detected on another computer : {}\n", net::address_text(a.address),
               to_lower(net::mac_text(a.mac)));
  return found.answers.empty() ? 0 : kDetected;
}

Result<int> request(const Order& order, const Parsed& options, const net::Device& device) {
  TRY_AS(const Found found, ask_all(order, options, device));
  if (order.json) print_json(order, found);
  for (const net::Answer& a : found.answers)
    if (!order.json) fmt::print("{} is at {}\n", net::address_text(a.address), to_lower(net::mac_text(a.mac)));
  if (order.at_once && !found.answers.empty()) return 0;
  const bool all = std::all_of(order.targets.begin(), order.targets.end(),
                               [&](const std::string& target) { return found.has(target); });
  return all ? 0 : kNoAnswer;
}

// ---- the command line ----------------------------------------------------------------------------------------------

struct Mode {
  std::string_view option;
  Result<int> (*run)(const Order&, const Parsed&, const net::Device&);
};
constexpr Mode kModes[] = {{"update", update}, {"detect", detect}, {"request", request}, {"reply", answer}};

Result<int> run(const Parsed& options) {
  const Mode* mode = nullptr;
  for (const Mode& m : kModes) {
    if (!options.has(m.option)) continue;
    if (mode) return fail(Code::usage, "Use one of -U, -D, -Q and -P");
    mode = &m;
  }
  if (!mode) return fail(Code::usage, "One of -U, -D, -Q and -P expected; see arpsend --help");
  Order order;
  order.at_once = options.has("at-once");
  order.verbose = options.has("verbose");
  order.json = options.has("json");
  if (order.json && !options.has("detect") && !options.has("request"))
    return fail(Code::usage, "--json goes with -D and -Q, which have answers to tell");
  if (order.json && order.verbose) return fail(Code::usage, "Use either -j or -v");
  TRY_AS(order.device, one_word(options, "One device"));
  if (!net::valid_ifname(order.device)) return fail(Code::usage, "'{}' is no device", printable(order.device));
  TRY_AS(order.sources, addresses(options, "src-ip"));
  TRY_AS(order.targets, addresses(options, "trg-ip"));
  TRY_AS(const auto rounds, number_option(options, "count", 1));
  TRY_AS(const auto seconds, number_option(options, "timeout"));
  order.rounds = std::min(rounds.value_or(1), kMostRounds);
  order.wait = std::chrono::seconds(std::min(seconds.value_or(1), kMostSeconds));
  TRY_AS(const net::Device device, net::find_device(order.device));
  TRY(macs(options, device, false));
  return mode->run(order, options, device);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "arpsend", .usage = kUsage, .options = kOptions, .run = run, .failed = kFailed}, argc, argv);
}
