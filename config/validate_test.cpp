#include "config/validate.h"

#include "base/strings.h"
#include "config/beans.h"
#include "config/split.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::config;

namespace {

constexpr HostSize kHost{
    .ram = uint64_t{8} << 30, .swap = uint64_t{4} << 30, .low = uint64_t{8} << 30, .threads = 60000};

// OpenVZ's own sample "basic".
const std::string kBasic =
    "KMEMSIZE=\"14372700:14790164\"\nLOCKEDPAGES=\"2048:2048\"\nPRIVVMPAGES=\"65536:69632\"\nSHMPAGES=\"21504:21504\"\n"
    "NUMPROC=\"240:240\"\nPHYSPAGES=\"0:unlimited\"\nVMGUARPAGES=\"33792:unlimited\"\n"
    "OOMGUARPAGES=\"26112:unlimited\"\nNUMTCPSOCK=\"360:360\"\nNUMFLOCK=\"188:206\"\nNUMPTY=\"16:16\"\n"
    "NUMSIGINFO=\"256:256\"\nTCPSNDBUF=\"1720320:2703360\"\nTCPRCVBUF=\"1720320:2703360\"\n"
    "OTHERSOCKBUF=\"1126080:2097152\"\nDGRAMRCVBUF=\"262144:262144\"\nNUMOTHERSOCK=\"360:360\"\n"
    "DCACHESIZE=\"3409920:3624960\"\nNUMFILE=\"9312:9312\"\nAVNUMPROC=\"180:180\"\nNUMIPTENT=\"128:128\"\n";

struct Seen {
  Validation result;
  std::vector<Finding> findings;
  bool has(Severity severity, std::string_view key) const {
    for (const Finding& f : findings)
      if (f.severity == severity && f.key == key) return true;
    return false;
  }
};

Seen look(std::string_view text, std::optional<bool> vswap = {}, bool repair = false) {
  Seen seen;
  seen.result = validate(text, kHost, vswap, [&](const Finding& f) {
    seen.findings.push_back(f);
    return repair;
  });
  return seen;
}

std::string with(std::string_view key, std::string_view value) {
  File file = File::parse(kBasic);
  REQUIRE(file.set(key, value));
  return file.text();
}

}  // namespace

TEST_CASE("validation: the classical sample keeps all rules") {
  const Seen seen = look(kBasic, false);
  CHECK(seen.result.valid);
  CHECK(seen.findings.empty());
  CHECK(look(kBasic).findings.size() == 1);
  CHECK(look(kBasic).has(Severity::recommendation, "PHYSPAGES"));
}

TEST_CASE("validation: each rule finds its breach, and its repair mends it") {
  const std::tuple<const char*, const char*, Severity> kBreaches[] = {
      {"NUMPROC", "200:240", Severity::error},
      {"NUMIPTENT", "1:2", Severity::error},
      {"NUMFLOCK", "206:188", Severity::error},
      {"LOCKEDPAGES", "3000:2048", Severity::error},
      {"VMGUARPAGES", "33792", Severity::error},
      {"OOMGUARPAGES", "26112", Severity::error},
      {"PHYSPAGES", "1:unlimited", Severity::error},
      {"NUMFILE", "700", Severity::error},
      {"DCACHESIZE", "3409920:3500000", Severity::error},
      {"KMEMSIZE", "10000000:14790164", Severity::error},
      {"PRIVVMPAGES", "1000:69632", Severity::warning},
      {"TCPSNDBUF", "1720320:2000000", Severity::error},
      {"TCPRCVBUF", "1000:2703360", Severity::error},
      {"OTHERSOCKBUF", "1126080:1200000", Severity::error},
      {"DGRAMRCVBUF", "30000", Severity::error},
      {"DGRAMRCVBUF", "40000", Severity::recommendation},
      {"DISKSPACE", "20:10", Severity::error},
  };
  for (const auto& [key, value, severity] : kBreaches) {
    INFO(key << "=" << value);
    const std::string text = with(key, value);
    const Seen seen = look(text, false);
    CHECK(seen.has(severity, key));
    CHECK(seen.result.valid == (severity != Severity::error));
    CHECK_FALSE(seen.result.changed);
    CHECK(seen.result.text == text);
    const Seen repaired = look(text, false, true);
    CHECK(repaired.result.valid);
    CHECK(repaired.result.changed);
    CHECK(look(repaired.result.text, false).findings.empty());
  }
}

TEST_CASE("validation: what is missing, malformed, or given twice") {
  CHECK(look("").result.valid);
  CHECK(look("NUMPROC=\"240\"\nPHYSPAGES=\"0:unlimited\"\n").result.valid);
  const Seen forced = look("NUMPROC=\"240\"\n", false);
  CHECK_FALSE(forced.result.valid);
  CHECK(forced.has(Severity::error, "KMEMSIZE"));
  CHECK_FALSE(forced.has(Severity::error, "SWAPPAGES"));
  const Seen bad = look("NUMPROC=\"many\"\n", {}, true);
  CHECK_FALSE(bad.result.valid);
  CHECK(bad.result.text == "NUMPROC=\"many\"\n");
  const Seen twice = look("NUMPROC=\"1\"\nNUMPROC=\"2\"\n");
  CHECK(twice.result.valid);
  CHECK(twice.findings[0].severity == Severity::warning);
}

TEST_CASE("validation: memory limited as a whole") {
  CHECK(look("PHYSPAGES=\"0:1G\"\nSWAPPAGES=\"0:2G\"\n").findings.empty());
  CHECK(look("PHYSPAGES=\"0:1G\"\nSWAPPAGES=\"0:2G\"\nKMEMSIZE=\"1:2\"\n").findings.empty());
  CHECK(look("PHYSPAGES=\"0:1G\"\n").has(Severity::warning, "SWAPPAGES"));
  CHECK_FALSE(look("PHYSPAGES=\"1:1G\"\nSWAPPAGES=\"0:2G\"\n").result.valid);
  CHECK(look("PHYSPAGES=\"0:9G\"\nSWAPPAGES=\"0:2G\"\n").has(Severity::warning, "PHYSPAGES"));
  CHECK_FALSE(look(kBasic, true).result.valid);
  CHECK_FALSE(look("PHYSPAGES=\"0:1G\"\nSWAPPAGES=\"0:2G\"\n", false).result.valid);
  const Seen repaired = look("# mine\nPHYSPAGES=\"7:9G\"\nSWAPPAGES=\"0:5G\"\n", {}, true);
  CHECK(repaired.result.valid);
  CHECK(repaired.result.text == "# mine\nPHYSPAGES=\"0:2097152\"\nSWAPPAGES=\"0:1048576\"\n");
}

TEST_CASE("host size: memory in bytes, all of it low where nothing else is said") {
  const auto size = parse_host_size("MemTotal:        1000 kB\nMemFree: 5 kB\nSwapTotal: 7 kB\n", "123\n");
  REQUIRE(size);
  CHECK(*size == HostSize{1024000, 7168, 1024000, 123});
  CHECK(parse_host_size("MemTotal: 1000 kB\nLowTotal: 800 kB\n", "1")->low == 819200);
  CHECK_FALSE(parse_host_size("MemFree: 5 kB\n", "123"));
  CHECK_FALSE(parse_host_size("MemTotal: 1000 kB\n", "x"));
}

TEST_CASE("CPU power: of all processors, in either spelling") {
  CHECK(parse_cpu_power("processor : 0\nbogomips\t: 4000.50\n\nprocessor : 1\nbogomips\t: 4000.50\n") == 200025);
  CHECK(parse_cpu_power("BogoMIPS        : 50.00\n") == 1250);
  CHECK(parse_cpu_power("bogomips : x\nmodel name : bogomips\n") == 0);
}

TEST_CASE("split: what it makes is valid, for few and for many") {
  const uint64_t kGiB = uint64_t{1} << 30;
  for (const uint64_t ram : {kGiB / 4, kGiB, 8 * kGiB, 256 * kGiB})
    for (const uint64_t containers : {1, 2, 7, 30, 200, 1000})
      for (const bool vswap : {true, false}) {
        const HostSize host{.ram = ram, .swap = ram / 2, .low = ram, .threads = ram / 16384};
        INFO(ram << " bytes, " << containers << " containers, vswap " << vswap);
        const auto text = split_host({.host = host, .containers = containers, .vswap = vswap});
        if (!text) {
          CHECK(text.error().text.find("The maximum allowed value is") != std::string::npos);
          CHECK(ram / containers < (8u << 20));
          continue;
        }
        const auto result = validate(*text, host, vswap, [](const Finding& f) {
          UNSCOPED_INFO(f.key << " " << f.text);
          return false;
        });
        CHECK(result.valid);
      }
}

TEST_CASE("split: shares of memory and of the disk") {
  const HostSize host{
      .ram = uint64_t{1050} << 20, .swap = uint64_t{500} << 20, .low = uint64_t{1050} << 20, .threads = 8000};
  const auto text =
      split_host({.host = host, .containers = 10, .vswap = true, .disk_kib = uint64_t{110} << 20, .inodes = 1100000});
  REQUIRE(text);
  const File file = File::parse(*text);
  CHECK(file.get("PHYSPAGES") == "0:25600");
  CHECK(file.get("SWAPPAGES") == "0:12800");
  CHECK(file.get("KMEMSIZE") == "unlimited");
  CHECK(file.get("VMGUARPAGES") == "0:unlimited");
  CHECK(file.get("DISKSPACE") == "4766254:5242880");
  CHECK(file.get("DISKINODES") == "45454:50000");
  CHECK(text->find("# Resource commit level 0: free resources\n") != std::string::npos);
  const auto small = split_host({.host = host, .containers = 10, .vswap = true});
  CHECK(File::parse(*small).get("DISKSPACE") == "204800:225280");
  CHECK(split_host({.host = host, .containers = 1000}).error().text.find("The maximum allowed value is 283") !=
        std::string::npos);
}
