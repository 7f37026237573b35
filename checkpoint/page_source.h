// Sends the memory of a frozen container to a PageStore on another host: all of it, and what is asked for first.
//
//   source to store    Piece and its pages; a Piece without pages: that was all
//   store to source    Piece: this first; a Piece without pages: everything is where it belongs
#pragma once

#include <cstdint>

#include "base/result.h"
#include "checkpoint/memory.h"

namespace vz::checkpoint {

// As it is on the wire, in the byte order of the processor (a container moves only between processors of one kind).
struct Piece {
  uint64_t task = 0, address = 0, pages = 0;
};
constexpr uint64_t kMostPages = 24;  // of one piece: larger ones cost malloc a mapping each

// Until the store has everything. Code::peer when it hangs up before, Code::system when memory cannot be read.
Result<void> send_memory(int socket, const Tasks& tasks);

}  // namespace vz::checkpoint
