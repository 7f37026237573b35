// vztmpl-dl: OS templates fetched from repositories, or made here, into the cache; vztmpl-dl(8).
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/json.h"
#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/process.h"
#include "templates/build.h"
#include "templates/import.h"
#include "templates/templates.h"

namespace vz::cli {

namespace {

constexpr int kFetchFailed = 1, kUpToDate = 2, kMisused = 3, kNoWget = 4, kBadSignature = 5;
constexpr const char* kConf = "/etc/vz/download.conf";
constexpr Option kOptions[] = {
    {"gpg-check"}, {"no-gpg-check"},     {"ignore-errors"},    {"update"},     {"no-update"}, {"quiet"},
    {"no-quiet"},  {"update-all"},       {"list-remote"},      {"list-local"}, {"list-all"},  {"list-orphans"},
    {"config"},    {"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vztmpl-dl [OPTION...] TEMPLATE...\n"
    "       vztmpl-dl [OPTION...] --update-all\n"
    "       vztmpl-dl [-j] --list-remote | --list-local | --list-all | --list-orphans\n"
    "       vztmpl-dl --config\n"
    "Puts OS templates into the cache: from the repositories of /etc/vz/download.conf, or made here.\n"
    "  --update, --no-update        those that are there already, too\n"
    "  --gpg-check, --no-gpg-check  verify signatures\n"
    "  --ignore-errors              go on with the next one\n"
    "  --quiet, --no-quiet\n"
    "  -j, --json                   a list as a JSON array\n"
    "  -h, --help, --version\n";

struct Settings {
  bool update = true, check = false, ignore_errors = false, quiet = false;
  std::string prefix = "http://download.openvz.org/template/precreated", key = "security@openvz.org";
  std::vector<std::string> repos, suffixes;
};

// What a shell would take for yes there.
bool yes(const config::File& file, std::string_view key, bool otherwise) {
  const auto value = file.get(key);
  return value && !value->empty() ? to_lower(*value) == "yes" : otherwise;
}

std::vector<std::string> list_of(const std::string& text) {
  const auto all = words(text);
  return {all.begin(), all.end()};
}

Settings settings_of(const Parsed& options) {
  const config::File file = config::File::parse(sys::read_file(kConf).value_or(""));
  Settings s;
  s.update = (yes(file, "UPDATE_TEMPLATE", s.update) || options.has("update")) && !options.has("no-update");
  s.check = (yes(file, "CHECK_TEMPLATE_SIG", s.check) || options.has("gpg-check")) && !options.has("no-gpg-check");
  s.ignore_errors = yes(file, "IGNORE_ERRORS", s.ignore_errors) || options.has("ignore-errors");
  s.quiet = (yes(file, "QUIET", s.quiet) || options.has("quiet")) && !options.has("no-quiet");
  s.prefix = file.get("TMPL_REPO_PREFIX").value_or(s.prefix);
  s.key = file.get("GPG_KEY").value_or(s.key);
  std::string repos = file.get("TEMPLATE_REPOS").value_or(s.prefix);
  for (const std::string_view name : {"${TMPL_REPO_PREFIX}", "$TMPL_REPO_PREFIX"})
    repos = replace_all(std::move(repos), name, s.prefix);
  s.repos = list_of(repos);
  s.suffixes = list_of(file.get("TMPL_SUFFIXES").value_or("tar.gz"));
  return s;
}

void print_settings(const Settings& s) {
  const auto print = [](const char* key, const std::string& value) {
    fmt::print("{}=\"{}\"\n", key, printable(value));
  };
  print("UPDATE_TEMPLATE", s.update ? "yes" : "no");
  print("CHECK_TEMPLATE_SIG", s.check ? "yes" : "no");
  print("IGNORE_ERRORS", s.ignore_errors ? "yes" : "no");
  print("QUIET", s.quiet ? "yes" : "no");
  print("TMPL_REPO_PREFIX", s.prefix);
  print("TEMPLATE_REPOS", join(s.repos, " "));
  print("TMPL_SUFFIXES", join(s.suffixes, " "));
  print("GPG_KEY", s.key);
}

// ---- repositories -------------------------------------------------------------------------------------------------

// The error's code says what came of it: Code::unsupported there is no wget, Code::not_found no such file.
Result<std::string> wget(const std::string& url, const std::string& file) {
  const bool known = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("ftp://");
  if (!known) return fail(Code::invalid, "'{}' is no address of a repository", printable(url));
  sys::Program program{.argv = {"wget", "-nv", "-O", file, "--", url}, .timeout = std::chrono::hours(6)};
  auto out = sys::run(program);
  if (!out && out.error().sys_errno == ENOENT) return fail(Code::unsupported, "There is no wget (package wget)");
  if (!out) return std::move(out).error();
  if (!out->status.ok()) return fail(Code::not_found, "cannot fetch {}", printable(url));
  return out->out;
}

bool is_buildable(std::string_view name) {
  const auto all = templates::buildable();
  return std::find(all.begin(), all.end(), name) != all.end();
}

// A line of "ls -l" each.
std::vector<std::string> names_in(std::string_view listing, const Settings& s) {
  std::vector<std::string> out;
  for (const std::string_view line : split(listing, '\n')) {
    const auto fields = words(line);
    if (fields.empty()) continue;
    for (const std::string& suffix : s.suffixes) {
      const std::string end = "." + suffix;
      if (!fields.back().ends_with(end)) continue;
      const std::string name(fields.back().substr(0, fields.back().size() - end.size()));
      if (templates::valid_name(name)) out.push_back(name);
      break;
    }
  }
  return out;
}

void sort_unique(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

// Those that can be made here are always among them. STATUS tells of a repository that did not answer.
std::vector<std::string> remote(const Settings& s, int& status) {
  const auto made = templates::buildable();
  std::vector<std::string> out(made.begin(), made.end());
  for (const std::string& repo : s.repos) {
    const auto listing = wget(repo + "/.listing", "-");
    if (!listing) {
      log::error("{}", listing.error().text);
      status = listing.error().code == Code::unsupported ? kNoWget : kFetchFailed;
      continue;
    }
    for (std::string& name : names_in(*listing, s)) out.push_back(std::move(name));
  }
  sort_unique(out);
  return out;
}

// ---- one template -------------------------------------------------------------------------------------------------

struct Job {
  const Settings& settings;
  std::string cache, work;
};

// By the key of GPG_KEY, whatever others root's keyring has.
Result<void> verify(const Job& job, const std::string& url, const std::string& file) {
  if (!job.settings.check) return {};
  auto signature = wget(url + ".asc", file + ".asc");
  if (!signature) return std::move(signature).error().with_code(Code::denied);
  auto key = sys::run_ok({.argv = {"gpg", "--batch", "--export", "--", job.settings.key}});
  if (key && key->empty()) key = fail(Code::denied, "gpg knows no key of '{}'", printable(job.settings.key));
  if (!key) return std::move(key).error().with_code(Code::denied).context("signature");
  const std::string ring = job.work + "/key";
  TRY(sys::replace_file(ring, *key));
  auto verified = sys::run_ok({.argv = {"gpgv", "--keyring", ring, file + ".asc", file}});
  if (!verified) return std::move(verified).error().with_code(Code::denied).context("signature");
  return {};
}

Result<std::string> fetch(const Job& job, const std::string& name) {
  Error last = fail(Code::not_found, "no repository is configured");
  for (const std::string& repo : job.settings.repos)
    for (const std::string& suffix : job.settings.suffixes) {
      const std::string url = fmt::format("{}/{}.{}", repo, name, suffix), file = job.work + "/template";
      if (const auto got = wget(url, file); !got) {
        last = got.error();
        continue;
      }
      TRY(verify(job, url, file));
      return file;
    }
  return last;
}

Result<void> obtain(const Job& job, const std::string& name) {
  if (!job.settings.quiet) fmt::print("{}: {}\n", is_buildable(name) ? "Building" : "Downloading", name);
  std::fflush(stdout);
  if (is_buildable(name)) {
    TRY(templates::build(name, {.cache_dir = job.cache, .name = name, .packages = {}, .mirror = {}, .progress = {}}));
    return {};
  }
  TRY_AS(const std::string file, fetch(job, name));
  TRY(templates::import(job.cache, file, name, {}));
  return {};
}

int status_of(const Error& e) {
  constexpr std::pair<Code, int> kStatuses[] = {{Code::unsupported, kNoWget}, {Code::denied, kBadSignature}};
  for (const auto& [code, status] : kStatuses)
    if (e.code == code) return status;
  return kFetchFailed;
}

Result<int> obtain_all(const Settings& s, const std::string& cache, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (!templates::valid_name(name)) return fail(Code::usage, "'{}' is no name of a template", printable(name));
  TRY(need_root());
  std::string work = "/var/tmp/vztmpl-dl.XXXXXX";
  if (!::mkdtemp(work.data())) return fail_sys(errno, "make a directory in /var/tmp");
  Rollback clean;
  clean.add("remove " + work, [work] { return sys::remove_tree(work); });
  int status = 0;
  for (const std::string& name : names) {
    if (!s.update && templates::find(cache, name)) {
      if (!s.quiet) fmt::print("{} is there already\n", name);
      status = std::max(status, kUpToDate);
      continue;
    }
    const auto r = obtain({s, cache, work}, name);
    if (r) continue;
    log::error("{}: {}", name, r.error().text);
    status = status_of(r.error());
    if (!s.ignore_errors) break;
  }
  return status;
}

// ---- the command line ----------------------------------------------------------------------------------------------

Result<std::vector<std::string>> local(const std::string& cache) {
  TRY_AS(const auto all, templates::list(cache));
  std::vector<std::string> out;
  for (const templates::Template& t : all) out.push_back(t.name);
  sort_unique(out);
  return out;
}

using Names = std::vector<std::string>;
Names only_first(const Names& a, const Names& b) {
  Names out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}
Names both(const Names& a, const Names& b) {
  Names out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}
Names either(const Names& a, const Names& b) {
  Names out;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

struct Listing {
  std::string_view option;
  bool asks;
  Names (*choose)(const Names& here, const Names& there);
};
constexpr Listing kListings[] = {
    {"list-local", false, [](const Names& here, const Names&) { return here; }},
    {"list-remote", true, [](const Names&, const Names& there) { return there; }},
    {"list-all", true, either},
    {"list-orphans", true, only_first},
};

Result<int> run(const Parsed& options) {
  Settings s = settings_of(options);
  if (options.has("config")) {
    print_settings(s);
    return 0;
  }
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(const Names here, local(host.cache_dir()));
  int status = 0;
  for (const Listing& l : kListings) {
    if (!options.has(l.option)) continue;
    const Names chosen = l.choose(here, l.asks ? remote(s, status) : Names());
    if (options.has("json")) fmt::print("{}\n", pretty_json(chosen));
    for (const std::string& name : chosen)
      if (!options.has("json")) fmt::print("{}\n", name);
    return status;
  }
  if (options.has("json")) return fail(Code::usage, "--json goes with a list");
  if (!options.has("update-all")) {
    if (options.rest.empty()) return fail(Code::usage, "A template expected; see vztmpl-dl --help");
    return obtain_all(s, host.cache_dir(), options.rest);
  }
  if (!options.rest.empty()) return fail(Code::usage, "--update-all takes no names");
  s.update = true;
  const Names known = both(here, remote(s, status));
  TRY_AS(const int updated, obtain_all(s, host.cache_dir(), known));
  return updated ? updated : status;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  vz::sys::catch_cancel_signals();
  return run_tool({.name = "vztmpl-dl", .usage = kUsage, .options = kOptions, .run = run, .misused = kMisused}, argc,
                  argv);
}
