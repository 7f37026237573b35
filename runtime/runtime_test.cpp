#include "runtime/confinement.h"
#include "runtime/detach_keys.h"
#include "runtime/devices.h"
#include "runtime/guest_files.h"
#include "runtime/wait.h"
#include "tests/catch.h"

#include <algorithm>
#include <cerrno>

using namespace vz;
using namespace vz::runtime;

TEST_CASE("hosts: one line of ours, the others untouched") {
  const std::string once = hosts_with("127.0.0.1 localhost\n", "web.example.org", "192.0.2.1");
  CHECK(once == "127.0.0.1 localhost\n192.0.2.1 web.example.org web # vzctl\n");
  CHECK(hosts_with(once, "mail", "192.0.2.2") == "127.0.0.1 localhost\n192.0.2.2 mail # vzctl\n");
  CHECK(hosts_with("no newline", "a", "::1") == "no newline\n::1 a # vzctl\n");
  CHECK(hosts_with("", "a", "::1") == "::1 a # vzctl\n");
}

TEST_CASE("resolv.conf: lists, or the host's own lines") {
  config::CtSpec spec;
  spec.nameserver = {"192.0.2.53", "2001:db8::53"};
  spec.searchdomain = {"example.org", "example.net"};
  CHECK(resolv_conf(spec, "") == "search example.org example.net\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n");
  spec.nameserver = {"inherit"};
  spec.searchdomain.reset();
  CHECK(resolv_conf(spec, "search here\nnameserver 10.0.0.1\n# x\n") == "nameserver 10.0.0.1\n");
}

TEST_CASE("shadow: the user's hash and day, nobody else's") {
  const auto changed = shadow_with("root:*:1:0:99999:7:::\nroots:x:1::::::\n", "root", "$y$h", 20000);
  REQUIRE(changed);
  CHECK(*changed == "root:$y$h:20000:0:99999:7:::\nroots:x:1::::::\n");
  CHECK_FALSE(shadow_with("root:*:1:0:99999:7:::\n", "roo", "h", 1));
  CHECK_FALSE(shadow_with("", "root", "h", 1));
}

TEST_CASE("signals that a process handles in some way") {
  const std::string status =
      "Name:\tinit\nSigBlk:\t0000002000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000001\n";
  CHECK(handles_signal(status, 38));
  CHECK(handles_signal(status, 1));
  CHECK_FALSE(handles_signal(status, 15));
  CHECK_FALSE(handles_signal("", 15));
}

TEST_CASE("capabilities: the fixed list, changed by CAPABILITY") {
  auto drops = [](const config::CtSpec& spec, const char* name) {
    const auto all = dropped_capabilities(spec);
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  config::CtSpec spec;
  for (const char* name : {"sys_module", "sys_rawio", "sys_time", "mac_admin", "bpf", "syslog"})
    CHECK(drops(spec, name));
  for (const char* name : {"sys_admin", "net_admin", "chown", "sys_boot"}) CHECK_FALSE(drops(spec, name));
  spec.capability = {{"sys_time", true}, {"net_raw", false}};
  CHECK_FALSE(drops(spec, "sys_time"));
  CHECK(drops(spec, "net_raw"));
}

TEST_CASE("system calls: what reaches beyond a container is refused") {
  const auto& rules = syscall_rules();
  for (const char* name :
       {"kexec_load", "init_module", "bpf", "userfaultfd", "open_by_handle_at", "syslog", "io_uring_setup"})
    CHECK(std::any_of(rules.begin(), rules.end(),
                      [&](const sys::SyscallRule& r) { return r.name == name && r.error == EPERM; }));
}

TEST_CASE("devices: names by their number") {
  CHECK(runtime::name_in_uevent("MAJOR=10\nMINOR=200\nDEVNAME=net/tun\n") == "net/tun");
  CHECK(runtime::name_in_uevent("MAJOR=4\nMINOR=1\n").empty());
  CHECK(runtime::name_in_uevent("DEVNAME=pts/0\n").empty());
  CHECK(runtime::name_in_uevent("DEVNAME=../sda\n").empty());
  CHECK(runtime::name_in_uevent("").empty());
  constexpr std::string_view kModules =
      "# Device nodes\nfuse fuse c10:229\ntun net/tun c10:200\nloop loop-control c10:237\n";
  CHECK(runtime::name_in_modules(kModules, 10, 200) == "net/tun");
  CHECK(runtime::name_in_modules(kModules, 10, 20).empty());
  CHECK(runtime::name_in_modules("x ../y c1:1\nshort\n", 1, 1).empty());
}

TEST_CASE("console keys: Esc and a dot detach, also when they come one by one") {
  DetachKeys keys;
  const auto typed = keys.filter("ls\033.more");
  CHECK(typed.text == "ls\033");
  CHECK(typed.asked == Asked::detach);
  CHECK(keys.filter("\033").asked == Asked::nothing);
  CHECK(keys.filter("").asked == Asked::nothing);
  const auto later = keys.filter(".x");
  CHECK(later.text.empty());
  CHECK(later.asked == Asked::detach);
  CHECK(keys.filter("\033\033!").asked == Asked::attention);
}

TEST_CASE("console keys: all else is the guest's") {
  DetachKeys keys;
  for (const std::string_view bytes : {std::string_view("."), std::string_view("!\0.", 3), std::string_view("\033[A."),
                                       std::string_view("\033x!"), std::string_view("\033\0.", 3)}) {
    const auto typed = keys.filter(bytes);
    CHECK(typed.text == bytes);
    CHECK(typed.asked == Asked::nothing);
  }
}
