#include "state/moves.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/strings.h"
#include "config/config.h"
#include "state/identity.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::state {

namespace {

using config::CtId;

constexpr std::array<std::string_view, 7> kStates = {"moving", "handed",   "gone",   "receiving",
                                                     "active", "released", "aborted"};
constexpr size_t kNameLength = 32;

std::string path_of(const Paths& paths, CtId id, std::string_view name) {
  return fmt::format("{}/{}.{}", paths.moves_dir, id, name);
}

bool yes(const config::File& file, std::string_view key) { return file.get(key) == "yes"; }

std::optional<Move> parse(CtId id, std::string_view name, std::string_view text) {
  const config::File file = config::File::parse(text);
  const auto state = std::find(kStates.begin(), kStates.end(), file.get("STATE").value_or(""));
  if (state == kStates.end()) return std::nullopt;
  Move m;
  m.id = id;
  m.name = name;
  m.state = static_cast<MoveState>(state - kStates.begin());
  m.peer = file.get("PEER").value_or("");
  m.ssh_options = file.get("SSH_OPTIONS").value_or("");
  m.sudo = yes(file, "SUDO");
  m.start_again = yes(file, "START_AGAIN");
  m.was_mounted = yes(file, "WAS_MOUNTED");
  m.remove_area = yes(file, "REMOVE_AREA");
  m.keep_copy = yes(file, "KEEP_COPY");
  m.process = static_cast<pid_t>(parse_u64(file.get("PROCESS").value_or("")).value_or(0));
  m.process_start = parse_u64(file.get("PROCESS_START").value_or("")).value_or(0);
  m.boot = file.get("BOOT_ID").value_or("");
  return m;
}

Result<std::string> print(const Move& m) {
  config::File file;
  TRY(file.set("STATE", text(m.state)));
  TRY(file.set("PEER", m.peer));
  TRY(file.set("SSH_OPTIONS", m.ssh_options));
  for (const auto& [key, value] : {std::pair{"SUDO", m.sudo},
                                   {"START_AGAIN", m.start_again},
                                   {"WAS_MOUNTED", m.was_mounted},
                                   {"REMOVE_AREA", m.remove_area},
                                   {"KEEP_COPY", m.keep_copy}})
    TRY(file.set(key, value ? "yes" : "no"));
  TRY(file.set("PROCESS", std::to_string(m.process)));
  TRY(file.set("PROCESS_START", std::to_string(m.process_start)));
  TRY(file.set("BOOT_ID", boot_id()));
  return file.text();
}

// In place, which needs no new block. STATE comes first, in the first sector: it is there or it is not.
Result<void> write_over(const std::string& path, std::string text, bool durable) {
  TRY_AS(const sys::UniqueFd fd, sys::open(path, O_WRONLY | O_NOFOLLOW));
  TRY_AS(const auto st, sys::stat(path));
  text.resize(std::max(text.size(), static_cast<size_t>(st.st_size)), '\n');
  TRY(sys::write_once(fd.get(), text), "'{}'", path);
  return durable && ::fdatasync(fd.get()) != 0 ? fail_sys(errno, "sync '{}'", path) : Result<void>();
}

// A move must be able to end on a full disk, too: a container stands still until its record says whose it is.
Result<void> save(const Paths& paths, const Move& m, bool durable) {
  TRY_AS(const std::string text, print(m));
  const std::string path = path_of(paths, m.id, m.name);
  auto saved = sys::replace_file(path, text, 0600, durable);
  return saved || !saved.error().disk_full() || !sys::exists(path) ? saved : write_over(path, text, durable);
}

// Held while a record is read and changed.
Result<sys::UniqueFd> lock_journal(const Paths& paths) {
  TRY(sys::make_dirs(paths.moves_dir, 0700));
  TRY_AS(sys::UniqueFd dir, sys::open(paths.moves_dir, O_RDONLY | O_DIRECTORY));
  if (::flock(dir.get(), LOCK_EX) != 0) return fail_sys(errno, "lock '{}'", paths.moves_dir);
  return dir;
}

// "101.0123...": the two parts of a record's file name.
std::optional<std::pair<CtId, std::string>> parse_file_name(std::string_view file) {
  const size_t dot = file.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto id = parse_u64(file.substr(0, dot));
  const std::string_view name = file.substr(dot + 1);
  if (!id || *id == 0 || *id > config::kMaxCtId || !valid_move_name(name)) return std::nullopt;
  return std::pair{static_cast<CtId>(*id), std::string(name)};
}

}  // namespace

std::string_view text(MoveState s) { return kStates[static_cast<size_t>(s)]; }

bool is_source(const Move& m) { return m.state <= MoveState::gone; }

bool in_progress(const Move& m) {
  return m.boot == boot_id() && m.process > 0 && sys::start_time(m.process) == m.process_start;
}

std::string new_move_name() {
  std::array<unsigned char, kNameLength / 2> bytes{};
  (void)!::getrandom(bytes.data(), bytes.size(), 0);  // so few come whole (getrandom(2))
  std::string out;
  for (const unsigned char b : bytes) out += fmt::format("{:02x}", b);
  return out;
}

bool valid_move_name(std::string_view name) {
  return name.size() == kNameLength && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<void> begin_move(const Paths& paths, Move move) {
  if (!valid_move_name(move.name)) return fail(Code::invalid, "bad name of a move '{}'", printable(move.name));
  move.process = ::getpid();
  move.process_start = sys::start_time(move.process).value_or(0);
  TRY_AS(const sys::UniqueFd lock, lock_journal(paths));
  return save(paths, move, true);
}

Result<Move> load_move(const Paths& paths, CtId id, std::string_view name) {
  if (!valid_move_name(name)) return fail(Code::invalid, "bad name of a move '{}'", printable(name));
  auto text = sys::read_file(path_of(paths, id, name), 65536);
  if (!text && text.error().sys_errno == ENOENT) return std::move(text.error()).with_code(Code::not_found);
  if (!text) return std::move(text).error();
  auto move = parse(id, name, *text);
  if (!move) return fail(Code::invalid, "'{}' is no record of a move", path_of(paths, id, name));
  return std::move(*move);
}

Result<void> advance_move(const Paths& paths, CtId id, std::string_view name, MoveState from, MoveState to,
                          bool durable) {
  TRY_AS(const sys::UniqueFd lock, lock_journal(paths));
  TRY_AS(Move m, load_move(paths, id, name));
  if (m.state != from)
    return fail(Code::in_doubt, "the move of CT {} is {}, not {}: somebody else decided", id, text(m.state),
                text(from));
  m.state = to;
  return save(paths, m, durable);
}

Result<void> forget_move(const Paths& paths, CtId id, std::string_view name) {
  return sys::remove_file(path_of(paths, id, name));
}

std::vector<Move> moves(const Paths& paths, CtId id) {
  std::vector<Move> out;
  for (const std::string& file : sys::list_dir(paths.moves_dir).value_or({})) {
    const auto parts = parse_file_name(file);
    if (!parts || (id != 0 && parts->first != id)) continue;
    if (auto move = load_move(paths, parts->first, parts->second)) out.push_back(std::move(*move));
  }
  return out;
}

}  // namespace vz::state
