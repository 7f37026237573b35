#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "config/config.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::config;

namespace {

// Two stored texts of each key, in printed form.
const std::map<std::string_view, std::vector<std::string>> kSamples = {
    {"NAME", {"web 1", "a.b"}},
    {"DESCRIPTION", {R"({"uuid": "$X"} `x`)", "plain"}},
    {"HOSTNAME", {"web-1.example.org", "x"}},
    {"OSTEMPLATE", {"debian-12", ".centos-7"}},
    {"OSTEMPLATE_DIGEST", {"0123456789abcdef"}},
    {"ORIGIN_SAMPLE", {"vswap-256m", "basic"}},
    {"ONBOOT", {"yes", "no"}},
    {"DISABLED", {"yes", "no"}},
    {"BOOTORDER", {"0", "100"}},
    {"AUTOSTOP", {"suspend", "stop"}},
    {"STOP_TIMEOUT", {"0", "600"}},
    {"VE_ROOT", {"/var/lib/vz/root/7", "/r"}},
    {"VE_PRIVATE", {"/var/lib/vz/private/7", "/with space/7"}},
    {"VE_LAYOUT", {"image", "dir"}},
    {"IP_ADDRESS", {"10.0.0.1 10.0.0.2/24 2001:db8::1/64", ""}},
    {"NETIF", {"ifname=eth0,bridge=br0,mac=00:18:51:AA:BB:CC;ifname=eth1", ""}},
    {"NAMESERVER", {"127.0.0.53 2001:db8::53", "inherit"}},
    {"SEARCHDOMAIN", {"example.org example.net", "inherit"}},
    {"PHYSPAGES", {"0:65536", "unlimited"}},
    {"SWAPPAGES", {"0:131072", "7"}},
    {"NUMPROC", {"240", "200:unlimited"}},
    {"CPUUNITS", {"8", "500000"}},
    {"CPULIMIT", {"150", "50%"}},
    {"CPUS", {"0", "4"}},
    {"DISKSPACE", {"2097152:2306867", "unlimited"}},
    {"DISKINODES", {"131072:144179", "200000"}},
    {"CAPABILITY", {"NET_ADMIN:on SYS_TIME:off", ""}},
    {"KMEMSIZE", {"14372700:14790164", "unlimited"}},
    {"LOCKEDPAGES", {"256", "0:256"}},
    {"PRIVVMPAGES", {"65536:69632", "unlimited"}},
    {"SHMPAGES", {"21504", "0:1"}},
    {"VMGUARPAGES", {"33792:unlimited", "0"}},
    {"OOMGUARPAGES", {"26112:unlimited", "0"}},
    {"DCACHESIZE", {"3409920:3624960", "0"}},
    {"VM_OVERCOMMIT", {"1.5", "2"}},
    {"MEMINFO", {"none", "privvmpages:1"}},
    {"NUMTCPSOCK", {"360", "0:360"}},
    {"NUMOTHERSOCK", {"360", "0:360"}},
    {"NUMFLOCK", {"188:206", "0"}},
    {"NUMPTY", {"16", "0"}},
    {"NUMSIGINFO", {"256", "0"}},
    {"NUMFILE", {"9312", "0"}},
    {"NUMIPTENT", {"128", "0"}},
    {"AVNUMPROC", {"180", "0"}},
    {"TCPSNDBUF", {"1720320:2703360", "0"}},
    {"TCPRCVBUF", {"1720320:2703360", "0"}},
    {"OTHERSOCKBUF", {"1126080:2097152", "0"}},
    {"DGRAMRCVBUF", {"262144", "0"}},
    {"CPUMASK", {"0-3,5", "all"}},
    {"NODEMASK", {"0", "all"}},
    {"IOPRIO", {"0", "7"}},
    {"IOLIMIT", {"0", "10485760"}},
    {"IOPSLIMIT", {"0", "100"}},
    {"DISK_QUOTA", {"yes", "no"}},
    {"QUOTATIME", {"0", "259200"}},
    {"QUOTAUGIDLIMIT", {"0", "100"}},
    {"MOUNT_OPTS", {"noatime,nodiratime", "ro"}},
    {"IPTABLES", {"iptable_filter iptable_nat", "ipt_REJECT"}},
    {"NETFILTER", {"full", "stateless"}},
    {"DEVICES", {"c:10:200:rw b:8:all:r", "c:1:11:w"}},
    {"NETDEV", {"eth1 enp3s0f1", "dum0"}},
    {"DEVNODES", {"net/tun:rw", "snd/timer:r fuse:rw"}},
    {"FEATURES", {"nfs:on ppp:off", "bridge:on"}},
};

CtSpec loaded(std::string_view text, std::vector<std::string>* warnings = nullptr) {
  CtSpec spec;
  load(File::parse(text), 7, spec, warnings);
  return spec;
}

std::string stored(const CtSpec& spec, std::string_view key) { return find_key(key)->print(spec).value_or("(unset)"); }

std::string after(std::string_view option, std::string_view text, CtSpec spec = {}) {
  const Param* p = find_option(option);
  REQUIRE(p);
  if (const auto r = p->parse(spec, text); !r) return r.error().code == Code::invalid ? "bad" : "wrong code";
  return p->print(spec).value_or("(unset)");
}

}  // namespace

TEST_CASE("table: keys and options are unique and found") {
  std::set<std::string_view> keys, options;
  for (const Param& p : table()) {
    CAPTURE(p.key, p.option);
    CHECK((!p.key.empty() || !p.option.empty()));
    if (!p.key.empty() && keys.insert(p.key).second) CHECK(find_key(p.key) == &p);
    if (!p.option.empty()) {
      CHECK(options.insert(p.option).second);
      CHECK(find_option(p.option) == &p);
    }
    CHECK(!p.help.empty());
    CHECK(!p.arg.empty());
    CHECK(!p.print(CtSpec{}));
  }
  CHECK(!find_key(""));
  CHECK(!find_option(""));
  CHECK(!find_key("physpages"));
  CHECK(!find_option("PHYSPAGES"));
}

TEST_CASE("table: every key round-trips, through a file too") {
  for (const Param& p : table()) {
    if (p.key.empty() || find_key(p.key) != &p) continue;
    CAPTURE(p.key);
    REQUIRE(kSamples.count(p.key));
    for (const std::string& text : kSamples.at(p.key)) {
      File file;
      REQUIRE(file.set(p.key, text));
      std::vector<std::string> warnings;
      const CtSpec spec = loaded(file.text(), &warnings);
      CHECK(warnings.empty());
      CHECK(p.print(spec) == text);
      CtSpec again;
      REQUIRE(p.parse(again, *p.print(spec)));
      CHECK(p.print(again) == text);
    }
  }
}

TEST_CASE("table: hostile text is an error with a reason, never more") {
  using namespace std::string_view_literals;
  const std::string_view hostile[] = {"a\nb"sv,   "a\0b"sv,      "\x1b[2J"sv, "../../../etc/passwd"sv,
                                      "%s%n\n"sv, "\xff\xfe\n"sv};
  for (const Param& p : table())
    for (const std::string_view text : hostile) {
      CAPTURE(p.key, p.option, text);
      CtSpec spec;
      const auto r = p.parse(spec, text);
      if (!r) CHECK(r.error().code == Code::invalid);
      if (!r) CHECK(r.error().text.find_first_of("\n\x1b") == std::string::npos);
      if (r) CHECK(p.print(spec).value_or("").find_first_of("\n\x1b") == std::string::npos);
      if (p.key != "DESCRIPTION" && !p.repeatable) CHECK(!r);
    }
}

TEST_CASE("table: what a mainline kernel has nothing for is kept, and says why") {
  size_t kept = 0;
  for (const Param& p : table()) {
    if (p.no_effect.empty()) continue;
    CAPTURE(p.key, p.option);
    ++kept;
    CHECK(p.live == Live::save);
    CHECK(find_key(p.key));
    CHECK(!p.no_effect.ends_with('.'));
  }
  CHECK(kept >= 28);
  CHECK(after("kmemsize", "14M:16M") == "14680064:16777216");
  CHECK(after("privvmpages", "256M") == "65536");
  CHECK(after("numfile", "9312") == "9312");
  CHECK(after("numfile", "1G") == "bad");
  CHECK(after("iolimit", "10") == "10485760");
  CHECK(after("iolimit", "10K") == "10240");
  CHECK(after("iolimit", "unlimited") == "0");
  CHECK(after("iolimit", "2048") == "bad");
  CHECK(after("ioprio", "8") == "bad");
  CHECK(after("vm_overcommit", "1.5") == "1.5");
  CHECK(after("vm_overcommit", "1.5.2") == "bad");
  CHECK(after("vm_overcommit", "") == "bad");
  CHECK(after("vm_overcommit", ".") == "bad");
}

TEST_CASE("load: CTID.conf before vz.conf, first key wins, bad values are told and skipped") {
  std::vector<std::string> warnings;
  CtSpec spec = loaded("NUMPROC=240\nIP_ADDRESS=\"\"\nCPUUNITS=7\nHOSTNAME=\"\"\nUUID=x\nNUMPROC=1\n", &warnings);
  CHECK(warnings == std::vector<std::string>{"bad value of CPUUNITS ignored: '7' is not a number from 8 to 500000"});
  load(File::parse("NUMPROC=100\nIP_ADDRESS=10.0.0.1\nCPUUNITS=500\nHOSTNAME=x\nVE_ROOT=/r/$VEID/\n"), 7, spec);
  CHECK(stored(spec, "NUMPROC") == "240");
  CHECK(stored(spec, "IP_ADDRESS").empty());
  CHECK(stored(spec, "CPUUNITS") == "500");
  CHECK(stored(spec, "HOSTNAME") == "x");
  CHECK(stored(spec, "VE_ROOT") == "/r/7");
}

TEST_CASE("load: one bad item of a list does not take the good ones with it") {
  std::vector<std::string> warnings;
  const CtSpec spec = loaded(
      "IP_ADDRESS=\"10.0.0.1 bogus 0.0.0.0 ::/0 10.0.0.2/24 "
      "127.0.0.1\"\nNETIF=\"ifname=eth0;ifname=a/b;ifname=eth1;\"\n"
      "CAPABILITY=\"NET_ADMIN:on VE_ADMIN:on NONESUCH:on \"\nSEARCHDOMAIN=\"a.org inherit\"\n",
      &warnings);
  CHECK(warnings.size() == 5);
  CHECK(stored(spec, "IP_ADDRESS") == "10.0.0.1 10.0.0.2/24");
  CHECK(stored(spec, "NETIF") == "ifname=eth0;ifname=eth1");
  CHECK(stored(spec, "CAPABILITY") == "NET_ADMIN:on");
  CHECK(stored(spec, "SEARCHDOMAIN") == "a.org");
}

TEST_CASE("load: places") {
  CHECK(stored(loaded("VE_ROOT=/vz/root/${VEID}\n"), "VE_ROOT") == "/vz/root/7");
  CHECK(stored(loaded("VE_PRIVATE=\"/$VEID/$VEID///\"\n"), "VE_PRIVATE") == "/7/7");
  for (const char* bad : {"/", "//", "vz/7", "/vz/../etc", "/vz/..", "$VEID"}) {
    CAPTURE(bad);
    CHECK(stored(loaded(std::string("VE_PRIVATE=\"") + bad + "\"\n"), "VE_PRIVATE") == "(unset)");
  }
  CHECK(stored(loaded("DESCRIPTION=$VEID\n"), "DESCRIPTION") == "$VEID");
}

TEST_CASE("options: layouts, old words too") {
  for (const char* text : {"image", "ploop", "ploop:expanded", "ploop:raw"})
    CHECK(stored(loaded(std::string("VE_LAYOUT=") + text), "VE_LAYOUT") == "image");
  for (const char* text : {"dir", "simfs"})
    CHECK(stored(loaded(std::string("VE_LAYOUT=") + text), "VE_LAYOUT") == "dir");
  CHECK(stored(loaded("VE_LAYOUT=zfs"), "VE_LAYOUT") == "(unset)");
}

TEST_CASE("options: memory") {
  CHECK(after("ram", "256M") == "0:65536");
  CHECK(after("ram", "1") == "0:1");
  CHECK(after("ram", "4097") == "0:2");
  CHECK(after("swap", "1.5G") == "0:393216");
  CHECK(after("swap", "unlimited") == "0:unlimited");
  CHECK(after("ram", "256M:512M") == "bad");
  CHECK(after("physpages", "0:1G") == "0:262144");
  CHECK(after("diskspace", "10G:11G") == "10485760:11534336");
  CHECK(after("diskinodes", "10K") == "bad");
}

TEST_CASE("options: addresses") {
  const CtSpec old = loaded("IP_ADDRESS=\"10.0.0.1/24 10.0.0.2\"");
  CHECK(after("ipadd", "10.0.0.3", old) == "10.0.0.1/24 10.0.0.2 10.0.0.3");
  CHECK(after("ipadd", "10.0.0.1/16", old) == "10.0.0.1/16 10.0.0.2");
  CHECK(after("ip", "10.0.0.3", old) == "10.0.0.1/24 10.0.0.2 10.0.0.3");
  CHECK(after("ipadd", "0.0.0.0", old) == "10.0.0.1/24 10.0.0.2");
  CHECK(after("ipdel", "10.0.0.1", old) == "10.0.0.2");
  CHECK(after("ipdel", "10.0.0.2/8", old) == "10.0.0.1/24");
  CHECK(after("ipdel", "10.0.0.9", old) == "10.0.0.1/24 10.0.0.2");
  CHECK(after("ipdel", "all", old).empty());
  CHECK(after("ipdel", "al", old) == "bad");
  for (const char* bad : {"127.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "ff02::1", "::ffff:10.0.0.1", "0.0.0.1"})
    CHECK(after("ipadd", bad, old) == "bad");
}

TEST_CASE("options: interfaces") {
  const CtSpec old = loaded("NETIF=\"ifname=eth0,bridge=br0;ifname=eth1\"");
  CHECK(after("netif_add", "eth2", old) == "ifname=eth0,bridge=br0;ifname=eth1;ifname=eth2");
  CHECK(after("netif_add", "eth0,,,,br1", old) == "ifname=eth0,bridge=br1;ifname=eth1");
  CHECK(after("netif_del", "eth0", old) == "ifname=eth1");
  CHECK(after("netif_del", "all", old).empty());
}

TEST_CASE("options: device nodes merge, and lead nowhere else") {
  const CtSpec tun = loaded("DEVNODES=\"net/tun:rw \"");
  CHECK(after("devnodes", "fuse:rwq", tun) == "net/tun:rw fuse:rw");
  CHECK(after("devnodes", "net/tun:r", tun) == "net/tun:r");
  CHECK(after("devnodes", "net/tun:none", tun).empty());
  CHECK(after("devnodes", "none", tun).empty());
  CHECK(after("devnodes", "snd/seq:w") == "snd/seq:w");
  for (const char* bad : {"fuse", "fuse:", "fuse:x", "fuse:wr", "fuse:rwx", "fuse:q", ":rw", "/fuse:rw", "a//b:rw",
                          "../sda:rw", "a/../b:rw", "a/:rw", "a b:rw", "pts/0:rw", "shm/x:rw", "ptmx:rw", ".x:rw"})
    CHECK(after("devnodes", bad) == "bad");
  CHECK(after("devnodes", std::string(65, 'a') + ":rw") == "bad");
}

TEST_CASE("options: devices by their number") {
  const CtSpec tun = loaded("DEVICES=\"c:10:200:rw \"");
  CHECK(after("devices", " c:10:229:rwq  b:8:0:r ", tun) == "c:10:200:rw c:10:229:rw b:8:0:r");
  CHECK(after("devices", "c:10:200:r", tun) == "c:10:200:r");
  CHECK(after("devices", "c:10:all:w", tun) == "c:10:200:rw c:10:all:w");
  CHECK(after("devices", "c:10:200:none", tun).empty());
  CHECK(after("devices", "none", tun).empty());
  for (const char* bad : {"c:10:200", "c:10:200:", "c:10:200:x", "c:10:200:wr", "c:10:200:q", "d:10:200:rw",
                          "c::200:rw", "c:10::rw", "c:-1:200:rw", "c:all:200:rw", "c:4096:0:rw", "c:10:1048576:rw",
                          "b:7:0:rw", "b:7:all:r", "/dev/sda:rw", "`reboot`", "c:10:200:rw:rw"})
    CHECK(after("devices", bad) == "bad");
}

TEST_CASE("options: network devices of the host's") {
  const CtSpec old = loaded("NETDEV=\"eth1 \"");
  CHECK(after("netdev_add", "eth2", old) == "eth1 eth2");
  CHECK(after("netdev_add", "eth1", old) == "eth1");
  CHECK(after("netdev_del", "eth1", old).empty());
  CHECK(after("netdev_del", "all", old).empty());
  CHECK(after("netdev_del", "eth9", old) == "eth1");
  for (const char* bad : {"venet0", "tun0", "tap1", "lo", "loop", "eth%d", "../x", "averylonginterfacename"})
    CHECK(after("netdev_add", bad) == "bad");
}

TEST_CASE("options: capabilities merge, passwords are checked and kept nowhere") {
  CHECK(after("capability", "sys_time:on", loaded("CAPABILITY=\"NET_ADMIN:on\"")) == "NET_ADMIN:on SYS_TIME:on");
  CHECK(after("capability", "net_admin:off", loaded("CAPABILITY=\"NET_ADMIN:on\"")) == "NET_ADMIN:off");
  CtSpec spec;
  const Param* p = find_option("userpasswd");
  CHECK(p->parse(spec, "root:se:cret"));
  for (const char* bad : {"", "root", ":x", "root:", "root:a\nb:c"}) {
    const auto r = p->parse(spec, bad);
    REQUIRE(!r);
    CHECK(r.error().text == "not USER:PASSWORD on one line");
  }
  CHECK(!p->print(spec));
}

TEST_CASE("apply: deletions first, replaced lists once, the option named in errors") {
  CtSpec spec = loaded("IP_ADDRESS=\"10.0.0.1 10.0.0.2\"\nNAMESERVER=\"1.1.1.1\"\nSEARCHDOMAIN=a.org\n");
  const auto option = [](const char* name, const char* text) { return Change{find_option(name), text}; };
  REQUIRE(apply(spec, {option("ipadd", "10.0.0.3"), option("nameserver", "8.8.8.8"), option("ipdel", "all"),
                       option("nameserver", "9.9.9.9"), option("cpus", "2")}));
  CHECK(stored(spec, "IP_ADDRESS") == "10.0.0.3");
  CHECK(stored(spec, "NAMESERVER") == "8.8.8.8 9.9.9.9");
  CHECK(stored(spec, "SEARCHDOMAIN") == "a.org");
  CHECK(stored(spec, "CPUS") == "2");
  REQUIRE(apply(spec, {option("nameserver", "")}));
  CHECK(stored(spec, "NAMESERVER").empty());
  const auto r = apply(spec, {option("ipadd", "1.2.3")});
  REQUIRE(!r);
  CHECK(r.error().text == "Bad parameter for --ipadd: '1.2.3' is not an IP address");
}

TEST_CASE("vz.conf: global values and their defaults") {
  std::vector<std::string> warnings;
  const GlobalConf conf = load_global(
      File::parse(
          "LOCKDIR=/l/\nDUMPDIR=\"/d\"\nTEMPLATE=/t\nLOGFILE=/"
          "log\nLOGGING=no\nLOG_LEVEL=2\nVERBOSE=-1\nCONFIGFILE=\"basic\"\n"
          "DEF_OSTEMPLATE=debian-12\nIPV6=no\nSTOP_TIMEOUT=60\nCRIU=/usr/sbin/criu\nVE_ROOT=/vz/$VEID\nOTHER=x\n"
          "VIRTUOZZO=no\nVE_STOP_MODE=stop\nVE_PARALLEL=3\n"),
      &warnings);
  CHECK(warnings.empty());
  CHECK(conf.lockdir == "/l");
  CHECK(conf.dumpdir == "/d");
  CHECK(conf.template_dir == "/t");
  CHECK(conf.logfile == "/log");
  CHECK(!conf.logging);
  CHECK(conf.log_level == 2);
  CHECK(conf.verbose == -1);
  CHECK(conf.configfile == "basic");
  CHECK(conf.def_ostemplate == "debian-12");
  CHECK(!conf.ipv6);
  CHECK(conf.stop_timeout == 60);
  CHECK(conf.criu == "/usr/sbin/criu");
  CHECK(!conf.start_at_boot);
  CHECK(conf.stop_mode == StopMode::stop);
  CHECK(conf.parallel == 3);
}

TEST_CASE("vz.conf: bad and empty values leave the default") {
  std::vector<std::string> warnings;
  const GlobalConf conf =
      load_global(File::parse("LOCKDIR=l\nDUMPDIR=\"\"\nLOGGING=maybe\nVERBOSE=x\nCONFIGFILE=../../x\nSTOP_TIMEOUT=0\n"
                              "VE_STOP_MODE=halt\nVE_PARALLEL=-1\nVIRTUOZZO=\n"),
                  &warnings);
  CHECK(warnings.size() == 7);
  CHECK(conf.lockdir == GlobalConf{}.lockdir);
  CHECK(conf.dumpdir == GlobalConf{}.dumpdir);
  CHECK(conf.logging);
  CHECK(conf.configfile.empty());
  CHECK(conf.stop_timeout == 120);
  CHECK(conf.stop_mode == StopMode::suspend);
  CHECK(conf.parallel == 0);
  CHECK(conf.start_at_boot);
}

TEST_CASE("shipped files hold known keys and good values, and a shell can read them") {
  const auto etc = std::filesystem::path(__FILE__).parent_path().parent_path() / "etc";
  size_t samples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(etc)) {
    const bool sample = entry.path().extension() == ".conf-sample", global = entry.path().filename() == "vz.conf";
    if (!sample && !global) continue;
    CAPTURE(entry.path());
    std::ifstream in(entry.path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    std::vector<std::string> warnings;
    const File file = File::parse(text, &warnings);
    CtSpec spec;
    load(file, 7, spec, &warnings);
    if (global) (void)load_global(file, &warnings);
    CHECK(warnings.empty());
    CHECK(!file.entries().empty());
    if (sample)
      for (const auto& [key, value] : file.entries()) CHECK(find_key(key));
    if (sample) ++samples;
    CHECK(std::system(("sh -eu -c 'VEID=7; . \"$0\"' " + entry.path().string()).c_str()) == 0);
  }
  CHECK(samples >= 5);
}
