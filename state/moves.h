// The hand-over journal of moves between hosts. Each of the two hosts keeps a record of a move on its disk that says
// whose the container is there: MOVES_DIR/CTID.NAME, KEY="VALUE" lines. A record changes under a lock and only from the
// state that the writer believes it to be in, so that of two that decide at once one decides.
//
//   source        moving -> handed -> gone          (back from handed to moving when the destination gave it up)
//   destination   receiving -> active -> released   (to aborted from the first two)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "state/state.h"

namespace vz::state {

enum class MoveState {
  moving,     // the CT is this host's
  handed,     // the word may have been given: only the destination knows whose it is
  gone,       // the other's; what is left of it here is to be removed
  receiving,  // not this host's
  active,     // this host's, but nobody has heard of it yet: given up when it dies before it is released
  released,   // this host's
  aborted,    // never will be this host's; what is left of it here is to be removed
};
std::string_view text(MoveState s);

struct Move {
  config::CtId id = 0;
  std::string name;  // of this move: 32 hexadecimal digits, drawn by the source
  MoveState state = MoveState::moving;
  std::string peer;            // source: [USER@]HOST
  std::string ssh_options;     // source: as given
  bool sudo = false;           // source: --sudo
  bool start_again = false;    // source: it is to be stopped for the move
  bool was_mounted = false;    // source: before the move
  bool remove_area = true;     // source: -r
  bool keep_copy = false;      // destination: --keep-dst
  pid_t process = 0;           // that carries it out on this host
  uint64_t process_start = 0;  // its start_time()
  std::string boot;            // boot id of the last change
};

bool is_source(const Move& m);
// Lives the process that carries it out?
bool in_progress(const Move& m);

std::string new_move_name();
bool valid_move_name(std::string_view name);

// Makes the record, on the disk when this returns. It is carried out by the calling process.
Result<void> begin_move(const Paths& paths, Move move);
// FROM -> TO, on the disk when this returns unless DURABLE is false (what then is lost with the power alone).
// Code::in_doubt when the record is in another state, Code::not_found when there is none.
Result<void> advance_move(const Paths& paths, config::CtId id, std::string_view name, MoveState from, MoveState to,
                          bool durable = true);
Result<Move> load_move(const Paths& paths, config::CtId id, std::string_view name);  // Code::not_found
Result<void> forget_move(const Paths& paths, config::CtId id, std::string_view name);
// All records of a CT (ID 0: of all), in no order. What cannot be read as a record is left out.
std::vector<Move> moves(const Paths& paths, config::CtId id);

}  // namespace vz::state
