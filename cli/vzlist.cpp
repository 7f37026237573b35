// vzlist: the containers of this host, as a table or as JSON.
#include <fmt/core.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/list_fields.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"all", false, 'a'},
                               {"stopped", false, 'S'},
                               {"name", false, 'n'},
                               {"no-header", false, 'H'},
                               {"no-trim", false, 't'},
                               {"json", false, 'j'},
                               {"output", true, 'o'},
                               {"ids", false, '1'},
                               {"sort", true, 's'},
                               {"hostname", true, 'h'},
                               {"name_filter", true, 'N'},
                               {"description", true, 'd'},
                               {"list", false, 'L'},
                               {"help"},
                               {"version"}};

constexpr const char* kUsage =
    "Usage: vzlist [OPTION...] [CTID|NAME...]\n"
    "  -a, --all            all containers, not only running ones\n"
    "  -S, --stopped        those that do not run\n"
    "  -n, --name           names in place of CTIDs\n"
    "  -H, --no-header      no header line\n"
    "  -t, --no-trim        long fields whole\n"
    "  -j, --json           JSON\n"
    "  -o, --output F,F...  these columns (-L lists them)\n"
    "  -1                   CTIDs only\n"
    "  -s, --sort [-]F      by this column, - for descending\n"
    "  -h, --hostname P, -N, --name_filter P, -d, --description P  those that match the pattern\n"
    "  -L, --list           the columns there are\n";

struct Request {
  std::vector<const Field*> columns;
  const Field* sort = nullptr;
  bool descending = false, json_all = false;
};

Result<const Field*> field_or_error(std::string_view name, const char* message) {
  const Field* f = find_field(name);
  if (!f) return fail(Code::usage, "{}: {}", message, printable(name));
  return f;
}

Result<Request> make_request(const Parsed& p) {
  Request r;
  std::string columns = p.has("name") ? "smart_name,numproc,status,ip,hostname" : "ctid,numproc,status,ip,hostname";
  if (p.has("ids")) columns = "veid";
  columns = p.value("output").value_or(columns);
  for (const std::string_view name : split(columns, ',')) {
    TRY_AS(const Field* f, field_or_error(name, "Unknown field"));
    r.columns.push_back(f);
  }
  r.json_all = !p.has("output") && !p.has("ids");
  std::string sort = p.value("sort").value_or("ctid");
  r.descending = !sort.empty() && sort.front() == '-';
  TRY_AS(r.sort, field_or_error(r.descending ? sort.substr(1) : sort, "Invalid sort field name"));
  return r;
}

bool matches(const Parsed& p, std::string_view option, const std::optional<std::string>& value) {
  const auto pattern = p.value(option);
  return !pattern || ::fnmatch(pattern->c_str(), value.value_or("").c_str(), 0) == 0;
}

bool wanted(const Parsed& p, const Listed& c) {
  const bool named = !p.rest.empty();
  if (!named && !c.status.exists) return false;
  if (!named && !p.has("all") && p.has("stopped") == c.status.running) return false;
  return matches(p, "hostname", c.ct.spec.hostname) && matches(p, "name_filter", c.ct.spec.name) &&
         matches(p, "description", c.ct.spec.description);
}

Result<std::vector<config::CtId>> ids(const runtime::Host& host, const Parsed& p) {
  if (p.rest.empty()) return state::all(host.paths);
  std::vector<config::CtId> out;
  for (const std::string& word : p.rest) {
    auto id = state::resolve(host.paths, word);
    if (!id) return fail(Code::usage, "CT ID {} is invalid.", printable(word));
    out.push_back(*id);
  }
  return out;
}

void sort_by(std::vector<Listed>& all, const Request& r) {
  auto key = [&](const Listed& c) { return r.sort->json(c); };
  std::vector<std::pair<Json, size_t>> keys;
  for (size_t i = 0; i < all.size(); ++i) keys.emplace_back(key(all[i]), i);
  std::stable_sort(keys.begin(), keys.end(),
                   [&](const auto& a, const auto& b) { return r.descending ? b.first < a.first : a.first < b.first; });
  std::vector<Listed> sorted;
  for (const auto& [unused, i] : keys) sorted.push_back(std::move(all[i]));
  all.swap(sorted);
}

std::string cell(std::string text, const Field& f, bool last, bool trim) {
  const auto width = static_cast<size_t>(std::abs(f.width));
  if (trim && !last && f.width < 0 && text.size() > width) text.resize(width);
  return f.width < 0 ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

template <class Get>
void print_row(const Request& r, bool trim, Get get) {
  std::string line;
  for (const Field* f : r.columns) {
    if (f != r.columns.front()) line += ' ';
    line += cell(get(*f), *f, f == r.columns.back(), trim);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  fmt::print("{}\n", line);
}

void print_table(const std::vector<Listed>& all, const Request& r, const Parsed& p) {
  const bool trim = !p.has("no-trim");
  if (!p.has("no-header") && !p.has("ids")) print_row(r, trim, [](const Field& f) { return std::string(f.header); });
  for (const Listed& c : all) print_row(r, trim, [&](const Field& f) { return f.text(c); });
}

void print_json(const std::vector<Listed>& all, const Request& r) {
  auto out = Json::array();
  for (const Listed& c : all) {
    auto object = Json::object();
    if (r.json_all) {
      for (const Field& f : list_fields())
        if (f.in_json) object[std::string(f.name)] = f.json(c);
    } else {
      for (const Field* f : r.columns) object[std::string(f->name)] = f->json(c);
    }
    out.push_back(std::move(object));
  }
  fmt::print("{}\n", pretty_json(out));
}

Result<int> list(const Parsed& p) {
  if (p.has("list")) {
    for (const Field& f : list_fields()) fmt::print("{:<15} {:<15}\n", f.name, f.header);
    return 0;
  }
  if (::geteuid() != 0) return fail(Code::denied, "This program can only be run under root.");
  TRY_AS(Request request, make_request(p));
  TRY_AS(runtime::Host host, runtime::load_host());
  TRY_AS(auto numbers, ids(host, p));
  std::vector<Listed> all;
  for (const config::CtId id : numbers) {
    auto ct = runtime::load_container(host, id);
    if (ct) ct = runtime::live_container(host, *ct);
    if (!ct) continue;
    Listed c(host, std::move(*ct));
    if (wanted(p, c)) all.push_back(std::move(c));
  }
  sort_by(all, request);
  if (p.has("json"))
    print_json(all, request);
  else if (all.empty())
    log::error("Container(s) not found");
  else
    print_table(all, request, p);
  return all.empty() && !p.rest.empty() ? 1 : 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz;
  const auto parsed = cli::parse_options({argv + 1, argv + argc}, cli::kOptions);
  if (!parsed || parsed->has("help")) {
    if (!parsed) log::error("{}", parsed.error().text);
    std::fputs(cli::kUsage, parsed ? stdout : stderr);
    return 1;
  }
  if (parsed->has("version")) {
    std::puts("vzlist version " VESSEL_VERSION);
    return 0;
  }
  const auto status = cli::list(*parsed);
  if (status) return *status;
  log::error("{}", status.error().text);
  return 1;
}
