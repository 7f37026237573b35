// The character devices that processes of every CT may read and write, whichever node they come by; no block device,
// and none may be made. A user namespace cannot make device nodes: the list is for those that reach a CT by other ways.
#pragma once

#include <array>
#include <cstdint>

namespace vz::cgroups {

struct Device {
  uint32_t major;
  uint32_t minor;
  bool read = true, write = true;
};
constexpr uint32_t kAnyMinor = ~0u;

constexpr auto kDevices = std::to_array<Device>({
    {1, 3},            // null
    {1, 5},            // zero
    {1, 7},            // full
    {1, 8},            // random
    {1, 9},            // urandom
    {5, 0},            // tty
    {5, 1},            // console
    {5, 2},            // ptmx
    {136, kAnyMinor},  // pts
    {10, 200},         // net/tun
    {10, 229},         // fuse
});

}  // namespace vz::cgroups
