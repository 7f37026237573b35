// vztmpl: the OS template cache (vztmpl(8)).
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "runtime/host.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "templates/build.h"
#include "templates/import.h"
#include "templates/templates.h"

namespace vz::cli {

namespace {

constexpr std::string_view kUsage = R"(Usage: vztmpl [--cache DIR] [--verbose|--quiet] COMMAND

  list [-j|--json]                          templates in the cache
  build DISTRIBUTION [--name NAME] [--include PACKAGE,..] [--mirror URI] [--force]
                                            make a template: debian-12, debian-13 or tiny
  import FILE [--name NAME] [--force]       check a tarball and put it into the cache
  remove NAME..                             remove templates
  --help, --version

Without --cache, the cache is the directory "cache" in TEMPLATE of vz.conf.
)";

constexpr Option kOptions[] = {
    {"cache", true},   {"verbose", false, 'v'}, {"quiet", false, 'q'}, {"json", false, 'j'}, {"name", true},
    {"include", true}, {"mirror", true},        {"force", false},      {"help", false, 'h'}, {"version", false}};
constexpr std::string_view kEverywhere[] = {"cache", "verbose", "quiet"};

struct Job {
  std::string cache_dir;
  std::vector<std::string> words;  // after the command
  const Parsed& options;
};

struct Verb {
  std::string_view name;
  std::vector<std::string_view> options;
  Result<void> (*run)(const Job&);
};

std::string human_size(uint64_t bytes) {
  constexpr double kMiB = 1u << 20;
  return fmt::format("{:.1f}M", static_cast<double>(bytes) / kMiB);
}

std::string date(int64_t seconds) {
  const std::time_t t = seconds;
  std::tm tm{};
  char text[32] = "";
  ::localtime_r(&t, &tm);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
  return text;
}

// On a terminal only: a line that is written over.
templates::Progress packing_progress() {
  if (!::isatty(STDOUT_FILENO) || log::settings().quiet) return {};
  return [shown = ~0u](uint64_t done, uint64_t total) mutable {
    const unsigned percent =
        total ? static_cast<unsigned>(100.0 * static_cast<double>(done) / static_cast<double>(total)) : 100;
    if (percent == shown) return;
    shown = percent;
    std::fputs(fmt::format("\rPacking {:3} %{}", percent, percent == 100 ? "\n" : "").c_str(), stdout);
    std::fflush(stdout);
  };
}

Result<void> refuse_existing(const Job& job, const std::string& name) {
  if (!templates::valid_name(name)) return fail(Code::invalid, "'{}' is no name for a template", printable(name));
  if (job.options.has("force") || !templates::find(job.cache_dir, name)) return {};
  return fail(Code::exists, "template '{}' exists already; --force replaces it", name);
}

void announce(const templates::Template& t) { log::info("Template {} is ready ({})", t.name, human_size(t.bytes)); }

Result<void> one_word(const Job& job, std::string_view what) {
  if (job.words.size() == 1) return {};
  return fail(Code::usage, "{} expected after the command", what);
}

Result<void> list(const Job& job) {
  if (!job.words.empty()) return fail(Code::usage, "list takes no names");
  TRY_AS(const auto all, templates::list(job.cache_dir));
  if (job.options.has("json")) {
    auto out = Json::array();
    for (const auto& t : all)
      out.push_back({{"name", t.name}, {"path", t.path}, {"size", t.bytes}, {"modified", t.modified}});
    log::info("{}", pretty_json(out));
    return {};
  }
  size_t width = 24;
  for (const auto& t : all) width = std::max(width, t.name.size());
  log::info("{:<{}} {:>9} {}", "NAME", width, "SIZE", "DATE");
  for (const auto& t : all) log::info("{:<{}} {:>9} {}", t.name, width, human_size(t.bytes), date(t.modified));
  return {};
}

Result<void> build(const Job& job) {
  TRY(one_word(job, "One distribution"));
  const std::string& distribution = job.words[0];
  const auto known = templates::buildable();
  if (std::find(known.begin(), known.end(), distribution) == known.end())
    return fail(Code::usage, "cannot build '{}'; it is one of {}", printable(distribution),
                join({known.begin(), known.end()}, ", "));
  templates::BuildOptions o;
  o.cache_dir = job.cache_dir;
  o.name = job.options.value("name").value_or(distribution);
  o.mirror = job.options.value("mirror").value_or("");
  const std::string include = job.options.value("include").value_or("");
  for (const std::string_view package : split(include, ',')) o.packages.emplace_back(trim(package));
  o.progress = packing_progress();
  TRY(refuse_existing(job, o.name));
  log::info("Building {}", o.name);
  TRY_AS(const auto made, templates::build(distribution, o));
  announce(made);
  return {};
}

// "/x/debian-12.tar.gz" -> "debian-12"
std::string name_of_file(const std::string& file) {
  const std::string base = sys::base_name(file);
  const size_t tar = base.rfind(".tar");
  return base.substr(0, tar != std::string::npos ? tar : base.rfind(".t"));
}

Result<void> import_file(const Job& job) {
  TRY(one_word(job, "One file"));
  const std::string& file = job.words[0];
  const std::string name = job.options.value("name").value_or(name_of_file(file));
  TRY(refuse_existing(job, name));
  TRY_AS(const auto made, templates::import(job.cache_dir, file, name, packing_progress()));
  announce(made);
  return {};
}

Result<void> remove(const Job& job) {
  if (job.words.empty()) return fail(Code::usage, "A name expected after the command");
  for (const std::string& name : job.words) {
    TRY(templates::remove(job.cache_dir, name));
    log::info("Template {} removed", name);
  }
  return {};
}

const Verb kVerbs[] = {{"list", {"json"}, list},
                       {"build", {"name", "include", "mirror", "force"}, build},
                       {"import", {"name", "force"}, import_file},
                       {"remove", {}, remove}};

template <class Names>
bool named(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

void set_verbosity(const Parsed& options) {
  log::settings().program = "vztmpl";
  log::settings().quiet = options.has("quiet");
  log::settings().verbosity = options.has("verbose") || ::isatty(STDOUT_FILENO) ? 1 : 0;
}

Result<void> run_verb(const Verb& verb, Parsed& options) {
  for (const Parsed::Item& item : options.items)
    if (!named(kEverywhere, item.name) && !named(verb.options, item.name))
      return fail(Code::usage, "{} has no option --{}", verb.name, item.name);
  std::string cache_dir = options.value("cache").value_or("");
  if (cache_dir.empty()) {
    TRY_AS(const runtime::Host host, runtime::load_host());
    cache_dir = host.cache_dir();
  }
  options.rest.erase(options.rest.begin());
  return verb.run({cache_dir, options.rest, options});
}

Result<void> run(const std::vector<std::string>& args) {
  TRY_AS(Parsed options, parse_options(args, kOptions));
  set_verbosity(options);
  if (options.has("version")) {
    log::info("vztmpl version {}", VESSEL_VERSION);
    return {};
  }
  if (options.has("help")) {
    log::info("{}", trim(kUsage));
    return {};
  }
  if (options.rest.empty()) return fail(Code::usage, "No command; see vztmpl --help");
  const auto* verb =
      std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.name == options.rest[0]; });
  if (verb == std::end(kVerbs))
    return fail(Code::usage, "Unknown command '{}'; see vztmpl --help", printable(options.rest[0]));
  return run_verb(*verb, options);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  vz::sys::catch_cancel_signals();
  const auto r = vz::cli::run({argv + std::min(argc, 1), argv + argc});
  if (r) return 0;
  vz::log::error("{}", r.error().text);
  return vz::cli::exit_code(r.error().code);
}
