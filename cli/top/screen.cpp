#include "cli/top/screen.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/strings.h"
#include "sys/unique_fd.h"

// Without it functions of common names are macros.
#define NCURSES_NOMACROS
#include <ncurses.h>

namespace vz::cli::top {

namespace {

constexpr std::chrono::milliseconds kLeastDelay{100}, kMostDelay{3600 * 1000};
constexpr int kEscape = 27, kEnter = '\r', kDelete = 127;
constexpr short kAlarmPair = 1, kBusyPair = 2;
constexpr int kHeadLines = 5;  // summary, what is shown, header

// Signals that end, stop or resize us come by a descriptor: none is lost between a look and a wait.
class Signals {
 public:
  static Result<Signals> block() {
    Signals s;
    ::sigemptyset(&s.set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) ::sigaddset(&s.set_, signal);
    // With a handler of its own ncurses ignores a Ctrl-Z while it draws. It leaves alone what is not the default.
    if (::signal(SIGTSTP, [](int) {}) == SIG_IGN)
      ::signal(SIGTSTP, SIG_IGN);
    else
      ::sigaddset(&s.set_, SIGTSTP);
    if (::sigprocmask(SIG_BLOCK, &s.set_, &s.old_) != 0) return fail_sys(errno, "block signals");
    s.fd_ = sys::UniqueFd(::signalfd(-1, &s.set_, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!s.fd_) return fail_sys(errno, "signalfd");
    return s;
  }
  Signals(Signals&&) = default;
  Signals& operator=(Signals&&) = delete;
  ~Signals() {
    if (fd_) ::sigprocmask(SIG_SETMASK, &old_, nullptr);
  }
  int fd() const { return fd_.get(); }
  // Stops this process, as it would have been without us, until it is told to go on.
  static void stop() {
    sigset_t one, blocked;
    ::sigemptyset(&one);
    ::sigaddset(&one, SIGTSTP);
    const auto handler = ::signal(SIGTSTP, SIG_DFL);
    ::raise(SIGTSTP);
    ::sigprocmask(SIG_UNBLOCK, &one, &blocked);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ::signal(SIGTSTP, handler);
  }
  std::optional<int> next() const {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  Signals() = default;
  sigset_t set_{}, old_{};
  sys::UniqueFd fd_;
};

// ncurses's mode of the terminal, as long as it lives.
class Terminal {
 public:
  static Result<Terminal> open() {
    SCREEN* screen = ::newterm(nullptr, stdout, stdin);
    const char* name = std::getenv("TERM");
    if (!screen)
      return fail(Code::unsupported, "terminal '{}' is not known here (TERM); use -b", printable(name ? name : ""));
    ::set_term(screen);
    ::cbreak();
    ::noecho();
    ::nonl();
    ::keypad(stdscr, true);
    ::nodelay(stdscr, true);
    ::set_escdelay(50);
    ::curs_set(0);
    Terminal terminal(screen);
    const char* no_color = std::getenv("NO_COLOR");
    terminal.colors_ = (!no_color || !*no_color) && ::has_colors() && ::start_color() == OK;
    if (terminal.colors_ && ::use_default_colors() == OK) {
      ::init_pair(kAlarmPair, COLOR_YELLOW, -1);
      ::init_pair(kBusyPair, COLOR_GREEN, -1);
    }
    return terminal;
  }
  Terminal(Terminal&& other) noexcept : screen_(std::exchange(other.screen_, nullptr)), colors_(other.colors_) {}
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal() {
    if (!screen_) return;
    ::endwin();
    ::delscreen(screen_);
  }
  attr_t look(Mood mood) const {
    switch (mood) {
      case Mood::alarm:
        return A_BOLD | (colors_ ? static_cast<attr_t>(COLOR_PAIR(kAlarmPair)) : 0);
      case Mood::busy:
        return colors_ ? static_cast<attr_t>(COLOR_PAIR(kBusyPair)) : A_NORMAL;
      case Mood::idle:
        return A_DIM;
      case Mood::usual:
        break;
    }
    return A_NORMAL;
  }
  static void resize() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
      ::resizeterm(size.ws_row, size.ws_col);
    ::clearok(curscr, true);
  }

 private:
  explicit Terminal(SCREEN* screen) : screen_(screen) {}
  SCREEN* screen_;
  bool colors_ = false;
};

// TEXT has been made printable.
void put(int line, const std::string& text, attr_t look = A_NORMAL) {
  if (line >= LINES) return;
  ::attrset(static_cast<int>(look));
  ::mvaddnstr(line, 0, text.c_str(), COLS);
  ::attrset(A_NORMAL);
}

class Screen {
 public:
  Screen(Session& session, const Pace& pace, const Signals& signals, const Terminal& terminal)
      : session_(session), pace_(pace), signals_(signals), terminal_(terminal) {}

  Result<int> run() {
    TRY(session_.sample());
    next_ = Clock::now() + first_delay(pace_);
    uint64_t shown = 0;
    show();
    while (!over_) {
      TRY(wait());
      if (over_) break;
      if (Clock::now() < next_) continue;
      TRY(session_.sample());
      show();
      if (pace_.iterations && ++shown >= *pace_.iterations) break;
      next_ = Clock::now() + pace_.delay;
    }
    return signal_;
  }

 private:
  struct Key {
    int key;
    void (Screen::*act)(int key);
    const char* help = nullptr;  // a line of the help screen: further keys of the same kind have none
  };
  static std::span<const Key> keys();

  // Until the next sample is due or something has happened, which is then on the screen.
  Result<void> wait() {
    pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.fd(), POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_ - Clock::now()).count();
    const int happened = ::poll(fds, std::size(fds), static_cast<int>(std::max<int64_t>(left, 0)));
    if (happened < 0 && errno != EINTR) return fail_sys(errno, "wait for a key");
    if (happened <= 0) return {};
    while (const auto signal = signals_.next()) take_signal(*signal);
    if (over_) return {};
    bool pressed = false;
    for (int key = ::getch(); key != ERR && !over_; key = ::getch()) {
      pressed = true;
      TRY(take_key(key));
    }
    // The terminal is gone, or standard input is at its end.
    if (!pressed && (fds[0].revents & (POLLIN | POLLHUP | POLLERR))) over_ = true;
    if (!over_) show();
    return {};
  }

  void take_signal(int signal) {
    if (signal == SIGTSTP) {
      ::endwin();
      Signals::stop();
    }
    if (signal == SIGTSTP || signal == SIGWINCH) return Terminal::resize();
    over_ = true;
    signal_ = signal == SIGINT ? 0 : signal;
  }

  Result<void> take_key(int key) {
    if (help_ && key != 'q') {
      help_ = false;
      return {};
    }
    wanted_ = session_.choice();
    const auto all = keys();
    const auto known = std::find_if(all.begin(), all.end(), [key](const Key& k) { return k.key == key; });
    if (known == all.end()) return {};
    (this->*known->act)(key);
    const bool elsewhere = wanted_.processes != session_.choice().processes || wanted_.only != session_.choice().only;
    if (elsewhere) {
      cursor_.reset();
      first_ = 0;
      next_ = std::min(next_, Clock::now() + first_delay(pace_));
    }
    return session_.choose(wanted_);
  }

  // ---- keys ---------------------------------------------------------------------------------------------------------

  void quit(int) { over_ = true; }
  void help(int) { help_ = true; }
  void now(int) { next_ = Clock::now(); }
  void slower(int) { pace_.delay = std::min(pace_.delay * 2, kMostDelay); }
  void faster(int) { pace_.delay = std::max(pace_.delay / 2, kLeastDelay); }
  void reverse(int) { wanted_.reversed = !wanted_.reversed; }
  void all(int) { wanted_.all = !wanted_.all; }
  void command_lines(int) { wanted_.command_lines = !wanted_.command_lines; }
  void containers(int) {
    wanted_.processes = false;
    wanted_.only.reset();
  }
  void processes(int) {
    wanted_.processes = true;
    wanted_.only.reset();
  }
  void enter(int) {
    if (wanted_.processes || !cursor_ || session_.rows() == 0) return;
    wanted_.only = static_cast<config::CtId>(session_.id_of(place()));
    wanted_.processes = true;
  }
  void sort(int key) {
    constexpr std::pair<int, const char*> kOrders[] = {{'P', "cpu"},  {'M', "memory"}, {'N', ""},
                                                       {'T', "time"}, {'I', "read"},   {'D', "disk"}};
    for (const auto& [letter, column] : kOrders) {
      if (letter != key) continue;
      const std::string name = *column ? column : wanted_.processes ? "pid" : "ctid";
      if (is_column(wanted_.processes, name)) wanted_.sort = name;
    }
  }
  void next_column(int key) {
    const auto names = column_names(wanted_.processes);
    const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), wanted_.sort) - names.begin());
    wanted_.sort = names[(at + (key == '>' ? 1 : names.size() - 1)) % names.size()];
  }
  void move(int key) {
    if (session_.rows() == 0) return;
    const auto page = static_cast<int64_t>(std::max(1, LINES - kHeadLines));
    const auto last = static_cast<int64_t>(session_.rows()) - 1;
    const std::pair<int, int64_t> steps[] = {{KEY_UP, -1},      {KEY_DOWN, 1},     {KEY_PPAGE, -page},
                                             {KEY_NPAGE, page}, {KEY_HOME, -last}, {KEY_END, last}};
    int64_t to = static_cast<int64_t>(place());
    for (const auto& [which, step] : steps)
      if (which == key && (cursor_ || step != 1)) to += step;
    cursor_ = session_.id_of(static_cast<size_t>(std::clamp<int64_t>(to, 0, last)));
  }

  // ---- what is seen -------------------------------------------------------------------------------------------------

  // Of the cursor; the first row without one.
  size_t place() const { return cursor_ ? session_.find(*cursor_).value_or(0) : 0; }

  std::string state_line() const {
    const Choice& c = session_.choice();
    const double seconds = std::chrono::duration<double>(pace_.delay).count();
    return fmt::format("Sorted by {}{}, every {:.4g} s.  h: help, q: quit", c.sort, c.reversed ? ", reversed" : "",
                       seconds);
  }

  void show_help() {
    int line = 0;
    put(line++, "vztop " VESSEL_VERSION ": what containers and their processes use.  Any key goes back.", A_BOLD);
    ++line;
    for (const Key& k : keys())
      if (k.help) put(line++, k.help);
    ++line;
    put(line++, "Bold, yellow: near a limit of memory, processes or disk; a process that waits");
    put(line++, "for a disk, or has ended. Green: it runs. Dim: a container that does not.");
    put(line++, "%CPU: of one CPU. '-': not known, not yet known, or no limit.");
  }

  void show_list() {
    const auto width = static_cast<size_t>(std::max(1, COLS));
    const int head = LINES > kHeadLines + 2 ? kHeadLines : 1;
    if (head == kHeadLines) {
      int line = 0;
      for (const std::string& text : session_.summary(width)) put(line++, text);
      put(line, state_line().substr(0, width));
    }
    const auto room = static_cast<size_t>(std::max(1, LINES - head));
    const size_t at = place();
    if (cursor_ && at < first_) first_ = at;
    if (cursor_ && at >= first_ + room) first_ = at - room + 1;
    first_ = std::min(first_, session_.rows() > room ? session_.rows() - room : 0);
    const Picture picture = session_.picture(first_, room, width);
    std::string header = picture.header;
    header.resize(width, ' ');
    put(head - 1, header, A_REVERSE);
    for (size_t i = 0; i < picture.lines.size(); ++i) {
      std::string text = picture.lines[i];
      const bool chosen = cursor_ && first_ + i == at;
      if (chosen) text.resize(width, ' ');
      put(head + static_cast<int>(i), text, terminal_.look(session_.mood(first_ + i)) | (chosen ? A_REVERSE : 0));
    }
  }

  void show() {
    ::erase();
    if (help_)
      show_help();
    else
      show_list();
    ::refresh();
  }

  Session& session_;
  Pace pace_;
  Clock::time_point next_;
  const Signals& signals_;
  const Terminal& terminal_;
  Choice wanted_;
  std::optional<uint64_t> cursor_;  // CTID or PID
  size_t first_ = 0;                // the row on top
  bool help_ = false, over_ = false;
  int signal_ = 0;
};

std::span<const Screen::Key> Screen::keys() {
  static constexpr Key kKeys[] = {
      {'q', &Screen::quit, "q            quit"},
      {'h', &Screen::help, "h ?          this help"},
      {'?', &Screen::help},
      {'c', &Screen::containers, "c Esc        containers"},
      {kEscape, &Screen::containers},
      {KEY_BACKSPACE, &Screen::containers},
      {kDelete, &Screen::containers},
      {'p', &Screen::processes, "p            processes, of all containers and the host"},
      {kEnter, &Screen::enter, "Enter        processes of the container that is marked"},
      {KEY_ENTER, &Screen::enter},
      {KEY_UP, &Screen::move, "arrows       mark a row; Page Up, Page Down, Home, End"},
      {KEY_DOWN, &Screen::move},
      {KEY_PPAGE, &Screen::move},
      {KEY_NPAGE, &Screen::move},
      {KEY_HOME, &Screen::move},
      {KEY_END, &Screen::move},
      {'a', &Screen::all, "a            containers that do not run, too"},
      {'l', &Screen::command_lines, "l            command lines of processes, or their names"},
      {'P', &Screen::sort, "P M N        sort by %CPU, by memory, by CTID or PID"},
      {'M', &Screen::sort},
      {'N', &Screen::sort},
      {'T', &Screen::sort, "T I D        sort by time, by what is read, by disk space"},
      {'I', &Screen::sort},
      {'D', &Screen::sort},
      {'<', &Screen::next_column, "< >          sort by the next column to the left, to the right"},
      {'>', &Screen::next_column},
      {'r', &Screen::reverse, "r            the other way round"},
      {'+', &Screen::slower, "+ -          less often, more often"},
      {'-', &Screen::faster},
      {' ', &Screen::now, "Space        now"},
  };
  return kKeys;
}

}  // namespace

std::chrono::milliseconds first_delay(const Pace& pace) { return std::min(pace.delay, std::chrono::milliseconds(500)); }

Result<int> run_screen(Session& session, const Pace& pace) {
  TRY_AS(const Signals signals, Signals::block());
  // An exception on its way to terminate() need not pass through destructors: here it does.
  try {
    TRY_AS(const Terminal terminal, Terminal::open());
    return Screen(session, pace, signals, terminal).run();
  } catch (const std::exception& e) {
    return fail(Code::system, "{}", printable(e.what()));
  }
}

}  // namespace vz::cli::top
