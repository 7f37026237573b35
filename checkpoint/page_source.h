// Sends memory of a container to a PageStore on another host: what is due, and what is asked for first.
//
//   source to store    Piece and its pages, packed (packing.h) or not; a mark, which is a Piece without pages
//   store to source    Piece: this first; a mark when it has everything that came before that
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "checkpoint/memory.h"
#include "checkpoint/packing.h"

namespace vz::checkpoint {

// As it is on the wire, in the byte order of the processor (a container moves only between processors of one kind).
struct Piece {
  uint64_t task = 0, address = 0, pages = 0;  // a mark has its number in place of the task
  uint64_t bytes = 0;                         // that follow: fewer than the pages have when they are packed
};
constexpr uint64_t kMostPages = 24;  // of one piece: larger ones cost malloc a mapping each
constexpr uint64_t kWhole = 0;       // the mark behind the last page of all

// Memory by process.
using Contents = std::map<uint64_t, Ranges>;
// All that can be restored lazily.
Result<Contents> all_memory(const Tasks& tasks);

std::vector<Piece> pieces(uint64_t task, const Ranges& ranges);

// Until the store has all of CONTENTS. Code::peer when it hangs up before, Code::system when memory cannot be read.
// CHOICE learns, and knows already what it learned from others that sent through the same link.
Result<void> send_memory(int socket, const Tasks& tasks, const Contents& contents, PackingChoice& choice);

class Sender {
 public:
  Sender(int socket, const Tasks& tasks, PackingChoice& choice) : socket_(socket), memory_(tasks), choice_(&choice) {}
  // The bytes that it took. Code::peer; sys_errno EIO: it is not there (any more).
  Result<size_t> send(const Piece& piece);
  Result<void> send_mark(uint64_t number);
  // What the store asks for, until it asks for no more or, with UNTIL, has got that mark.
  Result<void> answer(std::optional<uint64_t> until = {});

 private:
  int socket_;
  Memory memory_;
  Packer packer_;
  PackingChoice* choice_;
  std::optional<std::chrono::steady_clock::time_point> began_;  // the last piece
  uint64_t last_ = 0;                                           // its bytes, unpacked
};

}  // namespace vz::checkpoint
