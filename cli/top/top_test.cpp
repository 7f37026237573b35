#include "base/strings.h"
#include "cli/top/session.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::cli::top;

namespace {

// Fields of /proc/PID/stat behind the name: user 30, system 20 ticks; nice -5; 3 threads; started at 777.
const std::string kFields = "S 1 7 7 0 -1 4194560 1 2 3 4 30 20 0 0 20 -5 3 0 777 4096000 100 18446744073709551615 1 1";

ProcessSample process_of(const std::string& stat) {
  const auto p = parse_process(stat, 4096);
  REQUIRE(p);
  return *p;
}

CtSample ct(config::CtId id, uint64_t cpu_ns, uint64_t read) {
  CtSample s{.id = id, .name = "", .hostname = fmt::format("ct{}", id), .status = "running"};
  s.used = cgroups::Activity{.memory = 1024 * id, .swap = 0, .pids = 3, .cpu_ns = cpu_ns, .io = {read, 0}};
  s.network = Bytes{1000, 0};
  return s;
}

CtSamples samples(int seconds, std::vector<CtSample> all) {
  return {.time = Clock::time_point(std::chrono::seconds(seconds)), .all = std::move(all)};
}

std::vector<std::string> order(std::vector<CtRow> rows, std::string_view by, bool reversed = false) {
  sort_rows(rows, *find_column(ct_columns(), by), reversed);
  std::vector<std::string> out;
  for (const CtRow& r : rows) out.push_back(std::to_string(r.now.id));
  return out;
}

using Strings = std::vector<std::string>;

size_t longest(const Picture& p) {
  size_t most = p.header.size();
  for (const std::string& line : p.lines) most = std::max(most, line.size());
  return most;
}

}  // namespace

TEST_CASE("top: a process, whatever it calls itself") {
  const ProcessSample p = process_of("42 (sleep) " + kFields);
  CHECK(p.pid == 42);
  CHECK(p.ppid == 1);
  CHECK(p.command == "sleep");
  CHECK(p.state == 'S');
  CHECK(p.nice == -5);
  CHECK(p.threads == 3);
  CHECK(p.cpu_ticks == 50);
  CHECK(p.started == 777);
  CHECK(p.size == 4096000);
  CHECK(p.memory == 409600);
  CHECK(process_of("42 (a) R 9 (b) " + kFields).command == "a) R 9 (b");
  CHECK(process_of("42 (x\ny) " + kFields).command == "x\ny");
  CHECK(process_of("42 () " + kFields).command.empty());
  for (const char* text : {"", "42", "42 (sleep", "42 (sleep)", "42 (sleep) S 1", ")42(", "x (sleep) S"})
    CHECK(!parse_process(text, 4096));
}

TEST_CASE("top: the host") {
  const HostSample h =
      parse_host("90061.50 1.0\n", "0.50 1.25 2.00 1/99 4\n",
                 "cpu  10 1 9 70 10 0 0 0 5 0\ncpu0 5 0 5 35 5 0 0 0 0 0\ncpu1 5 1 4 35 5 0 0 0 0 0\nintr 1\n",
                 "MemTotal: 2048 kB\nMemAvailable: 512 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
  CHECK(h.uptime == 90061);
  CHECK(h.load[1] == 1.25);
  CHECK(h.cpus == 2);
  CHECK(h.busy == 20);
  CHECK(h.ticks == 100);
  CHECK(h.memory == 2048 * 1024);
  CHECK(h.free == 512 * 1024);
  HostSample before = h;
  before.busy -= 10;
  before.ticks -= 40;
  CHECK(summary(h, before, "01:02:03", "Containers: 2 running", 0) ==
        Strings{"vztop - 01:02:03 up 1 day, 01:01, load average: 0.50, 1.25, 2.00",
                "Containers: 2 running; 2 CPUs, 25.0% used", "Memory: 1.50M of 2.00M used; swap: none"});
  CHECK(summary(h, before, "01:02:03", "x", 5) == Strings{"vztop", "x; 2", "Memor"});
  const HostSample none = parse_host("", "", "", "");
  CHECK(none.cpus == 1);
  CHECK(summary(none, none, "", "", 0)[2] == "Memory: 0 of 0 used; swap: none");
}

TEST_CASE("top: devices of the host") {
  const auto devices = parse_devices(
      "Inter-|   Receive\n face |bytes\n    lo: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\nveth101.0:12 1 0 0 0 0 0 0 34 1 0 0 0 "
      "0 0 0\n");
  REQUIRE(devices.size() == 2);
  CHECK(devices.at("lo") == Bytes{7, 8});
  CHECK(devices.at("veth101.0") == Bytes{12, 34});
}

TEST_CASE("top: rates are of what was there before and has not been started anew") {
  const auto before = samples(10, {ct(101, 1'000'000'000, 0), ct(102, 9'000'000'000, 500)});
  const auto rows = rows_of(samples(12, {ct(101, 2'000'000'000, 4096), ct(102, 1, 1), ct(103, 1, 1)}), before);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].cpu == 50.0);
  CHECK(rows[0].read == 2048.0);
  CHECK(rows[0].sent == 0.0);
  CHECK(!rows[1].cpu);
  CHECK(!rows[1].read);
  CHECK(!rows[2].cpu);
  CHECK(!rows_of(samples(10, {ct(101, 5, 5)}), before)[0].cpu);  // no time has passed
  CtSample stopped{.id = 101, .name = "", .hostname = "", .status = "stopped"};
  CHECK(!rows_of(samples(12, {stopped}), before)[0].cpu);
  CHECK(mood_of(rows_of(samples(12, {stopped}), before)[0]) == Mood::idle);
}

TEST_CASE("top: a PID that has been given away anew has no rate yet") {
  ProcessSamples before{.time = Clock::time_point(std::chrono::seconds(1)), .all = {process_of("42 (a) " + kFields)}};
  ProcessSamples now{.time = Clock::time_point(std::chrono::seconds(2)), .all = before.all};
  now.all[0].cpu_ticks += 25;
  CHECK(rows_of(now, before, 100)[0].cpu == 25.0);
  now.all[0].started = 778;
  CHECK(!rows_of(now, before, 100)[0].cpu);
}

TEST_CASE("top: order") {
  const auto before = samples(0, {ct(1, 0, 0), ct(2, 0, 0), ct(3, 0, 0)});
  const auto rows =
      rows_of(samples(1, {ct(1, 10'000'000, 0), ct(2, 30'000'000, 0), ct(3, 20'000'000, 0), ct(9, 0, 0)}), before);
  CHECK(order(rows, "cpu") == Strings{"2", "3", "1", "9"});
  CHECK(order(rows, "cpu", true) == Strings{"1", "3", "2", "9"});  // none is none either way
  CHECK(order(rows, "ctid") == Strings{"1", "2", "3", "9"});
  CHECK(order(rows, "ctid", true) == Strings{"9", "3", "2", "1"});
  CHECK(order(rows, "memory") == Strings{"9", "3", "2", "1"});
  CHECK(order(rows, "hostname") == Strings{"1", "2", "3", "9"});
  CHECK(!find_column(ct_columns(), "colour"));
  for (const bool processes : {false, true})
    for (const auto name : column_names(processes)) CHECK(is_column(processes, name));
}

TEST_CASE("top: near a limit") {
  const auto row = [](uint64_t memory, std::optional<uint64_t> limit) {
    CtSample s = ct(1, 0, 0);
    s.used->memory = memory;
    s.memory_limit = limit;
    return mood_of(rows_of(samples(1, {s}), samples(0, {}))[0]);
  };
  CHECK(row(899, 1000) == Mood::usual);
  CHECK(row(900, 1000) == Mood::alarm);
  CHECK(row(900, {}) == Mood::usual);
  CHECK(row(0, 0) == Mood::usual);
}

TEST_CASE("top: what has no room goes by rank, and lines are never longer than the terminal") {
  const auto rows = rows_of(samples(1, {ct(101, 10'000'000, 5), ct(2147483644, 1, 1)}), samples(0, {ct(101, 0, 0)}));
  const std::span<const CtRow> shown(rows);
  for (size_t width = 1; width <= 200; ++width) {
    const Picture p = draw(ct_columns(), shown, width);
    INFO(width);
    CHECK(longest(p) <= width);
    CHECK(p.lines.size() == 2);
    const auto columns = words(p.header).size();
    for (const std::string& line : p.lines) CHECK((width < 30 || words(line).size() == columns));
  }
  CHECK(draw(ct_columns(), shown.first(1), 80).header ==
        " CTID NAME   STATUS   %CPU   MEM LIMIT  SWAP PROC  READ WRITE  RECV  SENT  DISK");
  CHECK(words(draw(ct_columns(), shown, 39).header) ==
        std::vector<std::string_view>{"CTID", "NAME", "%CPU", "MEM", "PROC"});
  CHECK(draw(ct_columns(), std::span<const CtRow>(), 80).lines.empty());
}

TEST_CASE("top: what a guest has chosen is no escape sequence") {
  ProcessSamples now{.time = {}, .all = {process_of("42 (a\x1b[2Jb\nc\xc3\xa9) " + kFields)}};
  auto rows = rows_of(now, now, 100);
  rows[0].words = {"x\x1b]0;y\x07", "\x9b" + std::string("31m")};
  for (const size_t width : {0, 30, 80}) {
    const Picture p = draw(process_columns(), std::span<const ProcessRow>(rows), width);
    for (const char c : p.lines[0]) CHECK((c >= ' ' && c <= '~'));
  }
  CtSample s = ct(1, 0, 0);
  s.hostname = "\x1b[31mred";
  const auto ct_rows = rows_of(samples(1, {s}), samples(0, {}));
  CHECK(draw(ct_columns(), std::span<const CtRow>(ct_rows), 0).lines[0].find('\x1b') == std::string::npos);
}

TEST_CASE("top: JSON has what is not known as null") {
  const auto rows = rows_of(samples(1, {ct(101, 0, 0)}), samples(0, {}));
  const Json j = json_of(ct_columns(), rows[0]);
  CHECK(j["ctid"] == 101);
  CHECK(j["name"].is_null());
  CHECK(j["cpu"].is_null());
  CHECK(j["memory_limit"].is_null());
  CHECK(j["memory"] == 1024 * 101);
  CHECK(j.size() == column_names(false).size());
}
