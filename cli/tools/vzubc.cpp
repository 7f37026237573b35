// vzubc: beancounters of containers, for people; vzubc(8).
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "cli/beancounters.h"
#include "cli/tool.h"
#include "state/state.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

using config::UbcRow;
using config::UbcTable;

constexpr const char* kStore = "/tmp/vzubc.store";
constexpr Option kOptions[] = {{"watch", false, 'w'},
                               {"watch-differences"},
                               {"watch-notitle"},
                               {"watch-interval", true},
                               {"quiet", false, 'q'},
                               {"quiet-held", true},
                               {"quiet-maxheld", true},
                               {"verbose", false, 'v'},
                               {"relative", false, 'r'},
                               {"relative-clear"},
                               {"relative-dir", true},
                               {"incremental", false, 'i'},
                               {"incremental-clear"},
                               {"incremental-dir", true},
                               {"color", false, 'c'},
                               {"file", true, 'f'},
                               {"json", false, 'j'},
                               {"help", false, 'h'},
                               {"version"}};
constexpr const char* kUsage =
    "Usage: vzubc [OPTION...] [CTID|NAME...]\n"
    "Shows beancounters of the running containers.\n"
    "  -w, --watch                again and again, by watch(1)\n"
    "      -wd, --watch-differences  and mark what differs\n"
    "      -wt, --watch-notitle      without its title\n"
    "      -wn, --watch-interval SEC\n"
    "  -q, --quiet                only what was refused or is near a limit:\n"
    "      -qh, --quiet-held RATIO     held, 0.5 of the limit\n"
    "      -qm, --quiet-maxheld RATIO  ever held, 0.8 of the limit\n"
    "  -v, --verbose              also what has no limit\n"
    "  -r, --relative             what was refused since the last time\n"
    "  -i, --incremental          what is held more or less than the last time\n"
    "      -rc, -ic, --relative-clear, --incremental-clear  forget the last time\n"
    "      -rd, -id, --relative-dir, --incremental-dir DIR  where that is kept\n"
    "  -c, --color                mark what -q would show\n"
    "  -f, --file FILE            beancounters of an OpenVZ host; '-': standard input\n"
    "  -j, --json                 a JSON array\n"
    "  -h, --help, --version\n";

// Two letters behind one dash.
constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
    {"-wd", "--watch-differences"}, {"-wt", "--watch-notitle"},     {"-wn", "--watch-interval"},
    {"-qh", "--quiet-held"},        {"-qm", "--quiet-maxheld"},     {"-rc", "--relative-clear"},
    {"-rd", "--relative-dir"},      {"-ic", "--incremental-clear"}, {"-id", "--incremental-dir"},
};

bool any_of(const Parsed& options, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return options.has(name); });
}

// ---- what the last run left ----------------------------------------------------------------------------------------

// In a directory that may lie in /tmp: nobody else's, and no link of anybody's.
class Store {
 public:
  static Result<Store> open(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_sys(errno, "make '{}'", path);
    TRY_AS(sys::UniqueFd dir, sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct ::stat info {};
    if (::fstat(dir.get(), &info) != 0) return fail_sys(errno, "look at '{}'", path);
    if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
      return fail(Code::denied, "'{}' may be written by others", path);
    return Store(std::move(dir));
  }
  // What was stored under NAME, nullopt the first time; stores NOW.
  Result<std::optional<uint64_t>> swap(const std::string& name, uint64_t now) const {
    TRY_AS(const sys::UniqueFd file, sys::open_at(dir_.get(), name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    TRY_AS(const std::string old, sys::read_fd(file.get()));
    if (::ftruncate(file.get(), 0) != 0 || ::lseek(file.get(), 0, SEEK_SET) != 0) return fail_sys(errno, "{}", name);
    TRY(sys::write_all(file.get(), std::to_string(now) + "\n"));
    return parse_u64(trim(old));
  }
  Result<void> clear() const {
    TRY_AS(const auto names, sys::list_dir(dir_.get()));
    for (const std::string& name : names)
      if (name.starts_with("ubc.") && ::unlinkat(dir_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
        return fail_sys(errno, "remove '{}'", name);
    return {};
  }

 private:
  explicit Store(sys::UniqueFd dir) : dir_(std::move(dir)) {}
  sys::UniqueFd dir_;
};

// ---- what is shown ------------------------------------------------------------------------------------------------

struct View {
  bool verbose = false, quiet = false, relative = false, incremental = false, color = false;
  double held = 0.5, maxheld = 0.8;
};

struct Shown {
  UbcRow row;
  int64_t refused = 0;  // with relative: since the last time
  int64_t grown = 0;
  bool alarming = false;
};

Result<double> ratio(const Parsed& options, std::string_view name, double otherwise) {
  const auto text = options.value(name);
  if (!text) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  if (text->empty() || *end != '\0' || !(value >= 0 && value <= 1e6))
    return fail(Code::usage, "Invalid --{} '{}'", name, printable(*text));
  return value > 1 ? value / 100 : value;
}

bool is_near(const UbcRow& row, const View& view) {
  const auto most = static_cast<double>(config::first_limit(row));
  return most > 0 &&
         (static_cast<double>(row.held) >= view.held * most || static_cast<double>(row.maxheld) >= view.maxheld * most);
}

Result<std::vector<Shown>> select(const UbcTable& table, const View& view, const std::optional<Store>& store) {
  std::vector<Shown> out;
  for (const UbcRow& row : table.rows) {
    Shown s{.row = row, .refused = static_cast<int64_t>(row.failcnt)};
    const std::string name = fmt::format("ubc.{}.{}", table.ct, row.name);
    if (store && view.relative) {
      TRY_AS(const auto last, store->swap(name + ".failcnt", row.failcnt));
      s.refused -= static_cast<int64_t>(std::min(last.value_or(row.failcnt), row.failcnt));
    }
    if (store && view.incremental) {
      TRY_AS(const auto last, store->swap(name + ".held", row.held));
      s.grown = static_cast<int64_t>(row.held - last.value_or(row.held));
    }
    s.alarming = s.refused > 0 || is_near(row, view);
    if (view.quiet ? s.alarming : view.verbose || s.alarming || config::first_limit(row) != 0) out.push_back(s);
  }
  return out;
}

std::string size_of(const UbcRow& row, uint64_t value) { return config::scaled_size(config::in_bytes(row, value)); }

std::string percent_of(uint64_t value, uint64_t limit) {
  if (limit == 0 || limit >= config::kUnlimited) return "-";
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(value) / static_cast<double>(limit));
}

std::string signed_size(const UbcRow& row, int64_t value) {
  if (value == 0) return "-";
  const uint64_t size = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  return (value < 0 ? "-" : "+") + size_of(row, size);
}

void print_frame(const View& view) {
  fmt::print("{:-<13}+{:-<17}+{:-<17}+{:-<5}+{:-<5}+{:-<6}", "", "", "", "", "", "");
  fmt::print("{}\n", view.incremental ? "+-------" : "");
}

void print_table(const UbcTable& table, const std::vector<Shown>& rows, const View& view) {
  print_frame(view);
  fmt::print("{:<13}| HELD  Bar%  Lim%| MAXH  Bar%  Lim%| BAR | LIM |{}{}\n", "CT " + table.ct,
             view.relative ? " +FAIL" : " FAIL", view.incremental ? (view.relative ? "| +/-" : " | +/-") : "");
  print_frame(view);
  for (const Shown& s : rows) {
    const UbcRow& r = s.row;
    fmt::print("{}{:>13}|{:>5} {:>5} {:>5}|{:>5} {:>5} {:>5}|{:>5}|{:>5}| {:>5}{}{}\n",
               view.color && s.alarming ? "\033[1m" : "", r.name, size_of(r, r.held), percent_of(r.held, r.barrier),
               percent_of(r.held, r.limit), size_of(r, r.maxheld), percent_of(r.maxheld, r.barrier),
               percent_of(r.maxheld, r.limit), size_of(r, r.barrier), size_of(r, r.limit),
               config::scaled_size(static_cast<uint64_t>(s.refused)),
               view.incremental ? fmt::format("| {:>6}", signed_size(r, s.grown)) : "",
               view.color && s.alarming ? "\033[0m" : "");
  }
}

Json as_json(const UbcTable& table, const std::vector<Shown>& rows, const View& view) {
  const auto limit = [](uint64_t v) { return v >= config::kUnlimited ? Json() : Json(v); };
  Json resources = Json::object();
  for (const Shown& s : rows) {
    Json one = {{"held", s.row.held},
                {"maxheld", s.row.maxheld},
                {"barrier", limit(s.row.barrier)},
                {"limit", limit(s.row.limit)},
                {"failcnt", s.row.failcnt}};
    if (view.relative) one["failcnt_growth"] = s.refused;
    if (view.incremental) one["held_growth"] = s.grown;
    resources[s.row.name] = std::move(one);
  }
  return {{"ctid", ctid_json(table.ct)}, {"resources", std::move(resources)}};
}

// ---- what is asked for --------------------------------------------------------------------------------------------

Result<std::vector<UbcTable>> chosen(const Parsed& options) {
  TRY_AS(auto all, read_beancounters(options.value("file")));
  std::vector<std::string> wanted;
  for (const std::string& word : options.rest) {
    const auto id = state::resolve({}, word);
    const std::string name = id ? std::to_string(*id) : word;
    if (std::none_of(all.begin(), all.end(), [&](const UbcTable& t) { return t.ct == name; }))
      return fail(Code::not_found, "There are no beancounters of '{}'", printable(word));
    wanted.push_back(name);
  }
  std::erase_if(all, [&](const UbcTable& t) {
    return !wanted.empty() && std::find(wanted.begin(), wanted.end(), t.ct) == wanted.end();
  });
  return all;
}

Result<View> view_of(const Parsed& options) {
  View v{.verbose = options.has("verbose"),
         .quiet = any_of(options, {"quiet", "quiet-held", "quiet-maxheld"}),
         .relative = any_of(options, {"relative", "relative-clear", "relative-dir"}),
         .incremental = any_of(options, {"incremental", "incremental-clear", "incremental-dir"}),
         .color = options.has("color")};
  if (v.quiet && v.verbose) return fail(Code::usage, "Use either -q or -v");
  TRY_AS(v.held, ratio(options, "quiet-held", v.held));
  TRY_AS(v.maxheld, ratio(options, "quiet-maxheld", v.maxheld));
  return v;
}

Result<std::optional<Store>> store_of(const Parsed& options, const View& view) {
  if (!view.relative && !view.incremental) return std::optional<Store>();
  const auto place = options.value(options.has("relative-dir") ? "relative-dir" : "incremental-dir");
  TRY_AS(Store store, Store::open(place.value_or(kStore)));
  if (any_of(options, {"relative-clear", "incremental-clear"})) TRY(store.clear());
  return std::optional(std::move(store));
}

// watch(1), which runs us without a shell.
Result<int> watch(const Parsed& options) {
  TRY_AS(const std::string self, sys::read_link("/proc/self/exe"));
  std::vector<std::string> words = {"watch", "--exec"};
  if (options.has("watch-differences")) words.emplace_back("--differences");
  if (options.has("watch-notitle")) words.emplace_back("--no-title");
  if (const auto seconds = options.value("watch-interval")) words.push_back("--interval=" + *seconds);
  words.insert(words.end(), {"--", self});
  for (const Parsed::Item& item : options.items) {
    if (item.name.starts_with("watch")) continue;
    const auto row =
        std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option& o) { return o.name == item.name; });
    words.push_back(fmt::format("--{}{}{}", item.name, row->has_value ? "=" : "", item.value));
  }
  words.emplace_back("--");
  words.insert(words.end(), options.rest.begin(), options.rest.end());
  return sys::exec(std::move(words));
}

Result<int> run(const Parsed& options) {
  TRY_AS(const View view, view_of(options));
  if (any_of(options, {"watch", "watch-differences", "watch-notitle", "watch-interval"})) {
    if (any_of(options, {"color", "json"})) return fail(Code::usage, "Use either -w, -c or -j");
    return watch(options);
  }
  TRY_AS(const auto tables, chosen(options));
  TRY_AS(const auto store, store_of(options, view));
  Json list = Json::array();
  for (const UbcTable& table : tables) {
    TRY_AS(const auto rows, select(table, view, store));
    if (options.has("json"))
      list.push_back(as_json(table, rows, view));
    else if (!rows.empty())
      print_table(table, rows, view);
  }
  if (options.has("json")) fmt::print("{}\n", pretty_json(list));
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : args)
    for (const auto& [pair, name] : kPairs)
      if (word == pair) word = name;
  return run_tool({.name = "vzubc", .usage = kUsage, .options = kOptions, .run = run}, args);
}
