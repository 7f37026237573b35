#include "migrate/terms.h"

#include <sys/utsname.h>

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "checkpoint/criu.h"
#include "checkpoint/lazy_pages.h"
#include "migrate/wire.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

template <class T, class Fill>
Result<T> read(std::string_view text, Fill fill) {
  auto r = read_json(text, [&](const Json& j) -> Result<T> {
    T out;
    fill(j, out);
    return out;
  });
  if (!r) return fail(Code::peer, "the other host sent malformed data ({})", r.error().text);
  return r;
}

std::string flags_line(std::string_view cpuinfo) {
  for (const std::string_view line : split(cpuinfo, '\n'))
    if (line.starts_with("flags")) return std::string(line.substr(line.find(':') + 1));
  return "";
}

}  // namespace

std::string print(const HostFacts& f) {
  return print_json({{"protocol", f.protocol},
                     {"vessel", f.vessel},
                     {"kernel", f.kernel},
                     {"machine", f.machine},
                     {"criu", f.criu},
                     {"criu_problem", f.criu_problem},
                     {"cpu_flags", f.cpu_flags},
                     {"no_fetching", f.no_fetching}});
}

Result<HostFacts> parse_facts(std::string_view text) {
  return read<HostFacts>(text, [](const Json& j, HostFacts& f) {
    f.protocol = j.at("protocol").get<uint32_t>();
    f.vessel = j.at("vessel").get<std::string>();
    f.kernel = j.at("kernel").get<std::string>();
    f.machine = j.at("machine").get<std::string>();
    f.criu = j.at("criu").get<std::string>();
    f.criu_problem = j.at("criu_problem").get<std::string>();
    f.cpu_flags = j.at("cpu_flags").get<std::set<std::string>>();
    f.no_fetching = printable(j.at("no_fetching").get<std::string>());
  });
}

HostFacts own_facts(const runtime::Host& host) {
  HostFacts f;
  const auto program = checkpoint::criu_program(host);
  auto version = program ? checkpoint::criu_version(*program) : Result<std::string>(program.error());
  if (!version) f.criu_problem = version.error().text;
  f.criu = version ? *version : "";
  utsname u{};
  ::uname(&u);
  f.protocol = kProtocol;
  f.vessel = VESSEL_VERSION;
  f.kernel = u.release;
  f.machine = u.machine;
  const std::string flags = flags_line(sys::read_file("/proc/cpuinfo").value_or(""));
  for (const std::string_view w : words(flags)) f.cpu_flags.emplace(w);
  f.no_fetching = checkpoint::cannot_fetch_pages();
  return f;
}

std::string print(const Offer& o) {
  return print_json({{"ctid", o.id},
                     {"conf", o.conf},
                     {"live", o.live},
                     {"online", o.online},
                     {"used_kib", o.used_kib},
                     {"used_inodes", o.used_inodes},
                     {"memory_kib", o.memory_kib}});
}

Result<Offer> parse_offer(std::string_view text) {
  TRY_AS(Offer offer, read<Offer>(text, [](const Json& j, Offer& o) {
           o.id = j.at("ctid").get<config::CtId>();
           o.conf = j.at("conf").get<std::string>();
           o.live = j.at("live").get<std::string>();
           o.online = j.at("online").get<bool>();
           o.used_kib = j.at("used_kib").get<uint64_t>();
           o.used_inodes = j.at("used_inodes").get<uint64_t>();
           o.memory_kib = j.at("memory_kib").get<uint64_t>();
         }));
  if (offer.id == 0 || offer.id > config::kMaxCtId) return fail(Code::invalid, "Bad CT ID {}", offer.id);
  return offer;
}

std::string print(const Landing& l) { return print_json({{"root", l.root}, {"until", l.until}}); }

Result<Landing> parse_landing(std::string_view text) {
  return read<Landing>(text, [](const Json& j, Landing& l) {
    l.root = j.at("root").get<std::string>();
    l.until = j.at("until").get<int64_t>();
  });
}

std::string print(const std::vector<Problem>& problems) {
  Json j = Json::array();
  for (const Problem& p : problems) j.push_back({{"code", static_cast<int>(p.code)}, {"text", p.text}});
  return print_json(j);
}

Result<std::vector<Problem>> parse_problems(std::string_view text) {
  return read<std::vector<Problem>>(text, [](const Json& j, std::vector<Problem>& out) {
    for (const Json& p : j) {
      const int code = p.at("code").get<int>();
      const bool known = code >= 0 && code <= static_cast<int>(kLastCode);
      out.push_back({known ? static_cast<Code>(code) : Code::system, printable(p.at("text").get<std::string>())});
    }
  });
}

bool older(std::string_view version, std::string_view than) {
  const auto a = split(version, '.'), b = split(than, '.');
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const uint64_t x = i < a.size() ? parse_u64(a[i]).value_or(0) : 0,
                   y = i < b.size() ? parse_u64(b[i]).value_or(0) : 0;
    if (x != y) return x < y;
  }
  return false;
}

std::vector<Problem> compare(const HostFacts& source, const HostFacts& destination, bool online) {
  std::vector<Problem> out;
  if (source.protocol != destination.protocol)
    out.push_back(
        {Code::unsupported, fmt::format("Vessel {} there does not understand Vessel {} here: upgrade the older one",
                                        destination.vessel, source.vessel)});
  if (!online) return out;
  if (source.machine != destination.machine)
    out.push_back({Code::cpu_mismatch,
                   fmt::format("the destination is {}, this host is {}", destination.machine, source.machine)});
  if (source.criu.empty()) out.push_back({Code::unsupported, "no working criu here: " + source.criu_problem});
  if (destination.criu.empty())
    out.push_back({Code::unsupported, "no working criu on the destination: " + destination.criu_problem});
  // An older criu cannot read what a newer one wrote.
  if (!source.criu.empty() && !destination.criu.empty() && older(destination.criu, source.criu))
    out.push_back({Code::unsupported,
                   fmt::format("criu {} on the destination is older than {} here", destination.criu, source.criu)});
  std::vector<std::string> missing;
  std::set_difference(source.cpu_flags.begin(), source.cpu_flags.end(), destination.cpu_flags.begin(),
                      destination.cpu_flags.end(), std::back_inserter(missing));
  if (!missing.empty()) out.push_back({Code::cpu_mismatch, "the destination's CPU lacks: " + join(missing, " ")});
  return out;
}

// Images, or a page store, and what is restored from them are there at the same time.
std::optional<Problem> memory_problem(const Offer& offer, std::string_view meminfo) {
  const uint64_t needed = offer.memory_kib / 1024 * 2;
  const uint64_t free =
      (find_number(meminfo, "MemAvailable:").value_or(0) + find_number(meminfo, "SwapFree:").value_or(0)) / 1024;
  if (needed <= free) return std::nullopt;
  return Problem{
      Code::no_space,
      fmt::format("the destination has {} MiB of memory free, {} are needed to take its memory over", free, needed)};
}

}  // namespace vz::migrate
