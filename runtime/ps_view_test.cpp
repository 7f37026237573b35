#include "runtime/ps_view.h"

#include "base/strings.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::runtime;

namespace {

struct Told {
  std::string words;
  std::optional<std::string> ct;
  bool of_containers, own_columns, header;
  bool operator==(const Told&) const = default;
};

Told told(std::string_view line) {
  std::vector<std::string> in;
  for (const auto w : words(line)) in.emplace_back(w);
  const PsRequest r = parse_ps(in, [](const std::string& w) { return w == "web"; });
  return {join(r.words, " "), r.ct, r.of_containers, r.own_columns, r.header};
}

std::vector<std::string> shown(std::string_view line, std::string_view output, std::optional<config::CtId> only) {
  std::vector<std::string> in;
  for (const auto w : words(line)) in.emplace_back(w);
  const PsRequest r = parse_ps(in, [](const std::string&) { return false; });
  const auto container = [](pid_t pid) -> std::optional<config::CtId> {
    if (pid == 99) return std::nullopt;
    return pid >= 100 ? 101 : 0;
  };
  std::vector<std::string> out;
  for (const PsLine& l : filter_ps(r, output, container, [&](config::CtId ct) { return !only || ct == *only; }))
    out.push_back(l.text);
  return out;
}

}  // namespace

TEST_CASE("ps: the words of those who call it for a container") {
  CHECK(told("-E 0 -efH") == Told{"-efH -e", "0", true, false, true});
  CHECK(told("-E 0 -o user,pid,args") == Told{"-o pid= -o user,pid,args -e", "0", true, true, true});
  CHECK(told("-E 0") == Told{"-e", "0", true, false, true});
  CHECK(told("h -o %cpu -E 101") == Told{"-o pid= -o %cpu --no-headers -e", "101", true, true, false});
}

TEST_CASE("ps: -E in all its forms, and not what only looks so") {
  CHECK(told("-E") == Told{"-e", {}, true, false, true});
  CHECK(told("-E101 -f") == Told{"-f -e", "101", true, false, true});
  CHECK(told("-fE 101") == Told{"-f -e", "101", true, false, true});
  CHECK(told("-E web aux") == Told{"aux -e", "web", true, false, true});
  CHECK(told("-E aux") == Told{"aux -e", {}, true, false, true});
  CHECK(told("aux") == Told{"aux", {}, false, false, true});
  CHECK(told("auxh") == Told{"aux", {}, false, false, false});
  CHECK(told("-E 5 -C Es") == Told{"-C Es", "5", true, false, true});
  CHECK(told("-E 5 -CEs") == Told{"-CEs", "5", true, false, true});
  CHECK(told("-E 5 -p 1 -p2 3") == Told{"-p 1 -p2 3", "5", true, false, true});
  CHECK(told("--pid 1 -E 5 --no-headers") == Told{"--pid 1", "5", true, false, false});
  CHECK(told("--format=pid --noheading") == Told{"-o pid= --format=pid --no-headers", {}, false, true, false});
  CHECK(told("axo pid,comm") == Told{"-o pid= axo pid,comm", {}, false, true, true});
  CHECK(told("-O time") == Told{"-O time", {}, false, false, true});
}

TEST_CASE("ps: lines of one container, the number in front") {
  const std::string output =
      "UID          PID    PPID  C STIME TTY          TIME CMD\n"
      "root           1       0  0 10:00 ?        00:00:01 init\n"
      "root          99       0  0 10:00 ?        00:00:01 gone\n"
      "524288       100       1  0 10:00 ?        00:00:00   sh -c 7 PID\n";
  CHECK(shown("-E 101 -f", output, 101) ==
        std::vector<std::string>{"CTID UID          PID    PPID  C STIME TTY          TIME CMD",
                                 " 101 524288       100       1  0 10:00 ?        00:00:00   sh -c 7 PID"});
  CHECK(shown("-ef", output, {}).size() == 3);
  CHECK(shown("-ef", output, 0)[1] == "   0 root           1       0  0 10:00 ?        00:00:01 init");
  CHECK(shown("-ef --no-headers", output, 101).size() == 1);
  CHECK(shown("-ef", "", {}).empty());
  CHECK(shown("-ef", "nonsense\nmore\n", {}) == std::vector<std::string>{"CTID nonsense"});
}

TEST_CASE("ps: columns of the user's own come without ours") {
  const std::string output = "        %CPU COMMAND\n      1  0.5 init\n    100 12.0 a b\n";
  CHECK(shown("-o %cpu,args -E 101", output, 101) == std::vector<std::string>{"%CPU COMMAND", "12.0 a b"});
  CHECK(shown("-o %cpu -E 101 h", "      1  0.5\n    100 12.0\n", 101) == std::vector<std::string>{"12.0"});
  CHECK(shown("-o pid= -E", "      1       1\n", {}) == std::vector<std::string>{"      1"});
}
