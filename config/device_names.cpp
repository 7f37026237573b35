// The host's devices, as DEVNODES and DEVICES name them.
#include <algorithm>

#include <fmt/core.h>

#include "base/strings.h"
#include "config/codecs.h"

namespace vz::config {

namespace {

constexpr size_t kLongestNode = 64;

bool proper_node_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  const auto parts = split(name, '/');
  return !name.empty() && name.size() <= kLongestNode &&
         std::all_of(parts.begin(), parts.end(), [&](std::string_view p) {
           return !p.empty() && p[0] != '.' && std::all_of(p.begin(), p.end(), fits);
         });
}

// What every CT has there, made of other things.
bool taken_node_name(std::string_view name) {
  constexpr std::string_view kTaken[] = {"fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm", "mqueue", "console"};
  const std::string_view top = name.substr(0, name.find('/'));
  return std::find(std::begin(kTaken), std::end(kTaken), top) != std::end(kTaken);
}

struct Rights {
  bool read = false, write = false;
};
// "r", "w", "rw", with a q behind for a quota on it, of old files; "none".
std::optional<Rights> parse_rights(std::string_view mode) {
  if (mode == "none") return Rights{};
  if (mode.ends_with('q')) mode.remove_suffix(1);
  const Rights rights{mode.starts_with('r'), mode.ends_with('w')};
  if (mode.empty() || mode.size() != static_cast<size_t>(rights.read) + rights.write) return std::nullopt;
  return rights;
}

}  // namespace

bool valid_node_name(std::string_view name) { return proper_node_name(name) && !taken_node_name(name); }

Result<DevNode> parse_devnode(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string name(text.substr(0, colon));
  if (!proper_node_name(name))
    return fail(Code::invalid, "'{}' is not the name of a device below /dev", printable(name));
  if (taken_node_name(name)) return fail(Code::invalid, "'{}' is in every container's /dev", name);
  const auto rights = parse_rights(text.substr(std::min(colon + 1, text.size())));
  if (!rights) return fail(Code::invalid, "'{}' is not NAME:r, NAME:w, NAME:rw or NAME:none", printable(text));
  return DevNode{name, rights->read, rights->write};
}

std::string DeviceNumber::number() const {
  return fmt::format("{}:{}:{}", block ? 'b' : 'c', major, minor ? std::to_string(*minor) : "all");
}

Result<DeviceNumber> parse_device(std::string_view text) {
  constexpr uint64_t kMostMajor = (1u << 12) - 1, kMostMinor = (1u << 20) - 1;  // linux/kdev_t.h
  constexpr uint32_t kLoop = 7;
  const auto parts = split(text, ':');
  const auto rights = parts.size() == 4 ? parse_rights(parts[3]) : std::nullopt;
  if (!rights || (parts[0] != "b" && parts[0] != "c"))
    return fail(Code::invalid, "'{}' is not b|c:MAJOR:MINOR|all:r|w|rw|none", printable(text));
  DeviceNumber d;
  d.block = parts[0] == "b";
  d.read = rights->read;
  d.write = rights->write;
  TRY_AS(const uint64_t major, codec::parse_in_range(parts[1], 0, kMostMajor));
  d.major = static_cast<uint32_t>(major);
  if (d.block && d.major == kLoop)
    return fail(Code::invalid, "'{}': loop devices hold the containers' disks, none is given away", printable(text));
  if (parts[2] == "all") return d;
  TRY_AS(const uint64_t minor, codec::parse_in_range(parts[2], 0, kMostMinor));
  d.minor = static_cast<uint32_t>(minor);
  return d;
}

}  // namespace vz::config
