#include "base/strings.h"
#include "runtime/disk_quota.h"
#include "runtime/proc_text.h"
#include "runtime/proc_tree.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::runtime;

TEST_CASE("vestat: ticks, then nanoseconds, in columns of 20") {
  const std::string text =
      print_vestat({{.id = 101,
                     .cpu = {.user_ns = 1'500'000'000, .nice_ns = 20'000'000, .system_ns = 10'000'000},
                     .used_ns = 1'530'000'000,
                     .uptime_ns = 60'000'000'000,
                     .idle_ns = 7}},
                   100);
  const auto lines = split(text, '\n');
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].substr(0, 13) == "Version: 2.2 ");
  for (size_t i = 0; i < 3; ++i) CHECK(lines[i].size() == 12 * 21 - 1);
  CHECK(lines[1].substr(0, 41) == "                VEID                 user");
  const std::vector<std::string_view> wanted = {"101", "150",         "2",          "1", "6000", "7",
                                                "0",   "60000000000", "1530000000", "0", "0",    "0"};
  CHECK(words(lines[2]) == wanted);
}

TEST_CASE("veinfo, veip, veth") {
  const std::vector<VeInfo> all = {{101, 12, {{"10.0.0.1", {}, false}, {"fd00::1", {}, true}}}, {0, 80, {}}};
  CHECK(print_veinfo(all) ==
        "       101     0    12        10.0.0.1                                 fd00::1\n"
        "         0     0    80\n");
  CHECK(print_veip(all) ==
        "Version: 2.5\n                               10.0.0.1 0\n"
        "                                fd00::1 0\n");
  net::Veth link;
  link.host_name = "veth101.0";
  link.ct_name = "eth0";
  link.host_mac = "00:18:51:AA:BB:CC";
  link.ct_mac = "00:18:51:AA:BB:CD";
  CHECK(print_veth({{101, {link}}}) ==
        "Version: 1.0\n00:18:51:aa:bb:cc        veth101.0 00:18:51:aa:bb:cd             eth0        101 allow\n");
}

TEST_CASE("ioacct: a tab, the name, the number") {
  const std::string text = print_ioacct({.read = 4096, .written = 8192});
  const auto lines = split(text, '\n');
  REQUIRE(lines.size() == 17);
  CHECK(lines[0] == "\tread                                  4096");
  CHECK(lines[1] == "\twrite                                 8192");
  CHECK(lines[15] == "\tfuse_bytes                               0");
}

TEST_CASE("the host's beancounters: what its containers leave") {
  const std::string meminfo =
      "MemTotal: 1000 kB\nMemFree: 200 kB\nSlab: 50 kB\nKernelStack: 5 kB\nPageTables: 5 kB\nSwapTotal: 80 "
      "kB\nSwapFree: 40 kB\n";
  const config::UbcTable ct{
      "101", {{"physpages", 100, 100, 0, 100, 0}, {"numproc", 12, 12, 0, 0, 0}, {"kmemsize", 70000, 0, 0, 0, 0}}};
  const auto host = host_beancounters(meminfo, "0.10 0.20 0.30 2/345 6789\n", {ct});
  CHECK(host.ct == "0");
  CHECK(host.find("physpages")->held == 100);
  CHECK(host.find("numproc")->held == 333);
  CHECK(host.find("swappages")->held == 10);
  CHECK(host.find("kmemsize")->held == 0);
  CHECK(host.find("kmemsize")->limit == config::kUnlimited);
  CHECK(host_beancounters("", "", {}).find("numproc")->held == 0);
}

TEST_CASE("vzquota: its table, its batch, and the kernel's lines") {
  const DiskQuota quota{
      .on = true, .blocks = {123456, 2097152, 2306867}, .inodes = {131073, 131072, 144179}, .grace = 259200};
  CHECK(print_quota(quota) ==
        "   resource          usage       softlimit      hardlimit    grace\n"
        "  1k-blocks         123456         2097152        2306867         \n"
        "     inodes         131073*         131072         144179         \n");
  CHECK(print_quota_batch(quota) ==
        "        123456        2097152        2306867              0         259200\n"
        "        131073         131072         144179              0         259200\n");
  CHECK(quota_proc_header() + quota_proc_entry(101, "/vz/private/101", quota) ==
        "qid: path            usage      softlimit      hardlimit       time     expire\n"
        "101: /vz/private/101\n"
        "  1k-blocks         123456        2097152        2306867          0     259200\n"
        "     inodes         131073         131072         144179          0     259200\n");
  CHECK(quota_proc_entry(1, "/a\n2: /b", quota).find("\n2:") == std::string::npos);
}

TEST_CASE("proc: the tree") {
  const tests::TempDir dir;
  state::Paths paths;
  paths.conf_dir = paths.run_dir = dir.path;
  const auto root = proc_find(paths, "/");
  REQUIRE(root);
  CHECK(root->number == kProcRoot);
  CHECK(S_ISDIR(root->mode));
  CHECK(proc_find(paths, "user_beancounters")->mode == (S_IFREG | 0400));
  CHECK(proc_find(paths, "/vz/version")->mode == (S_IFREG | 0444));
  CHECK(proc_find(paths, "vz//vestat")->name == "vestat");
  CHECK(proc_find(paths, "bc/0/resources"));
  for (const char* absent :
       {"nothing", "vz/user_beancounters", "vestat", "bc/00", "bc/101", "bc/101/resources", "bc/0/ioacct", "bc/-1",
        "bc/99999999999999999999", "bc/0/0", "user_beancounters/x", "..", "bc/0/.."})
    CHECK_FALSE(proc_find(paths, absent));
  CHECK_FALSE(proc_node(paths, 0));
  CHECK_FALSE(proc_node(paths, 200));
  CHECK_FALSE(proc_node(paths, ~uint64_t{0}));
  std::vector<std::string> names;
  for (const ProcNode& node : proc_list(paths, proc_find(paths, "bc")->number)) {
    names.push_back(node.name);
    CHECK(proc_node(paths, node.number)->name == node.name);
  }
  CHECK(names == std::vector<std::string>{"resources", "0"});
  CHECK_FALSE(proc_text(kProcRoot));
}
