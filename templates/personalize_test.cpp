#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "sys/files.h"
#include "templates/templates.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::templates;

namespace {

struct Tree {
  tests::TempDir dir;
  std::string root = dir.path + "/root", outside = dir.path + "/outside";
  Tree() {
    for (const char* d :
         {"/etc/ssh", "/etc/systemd/system", "/usr/sbin", "/usr/lib/systemd", "/var/lib/dbus", "/bin", "/sbin"})
      REQUIRE(sys::make_dirs(root + d));
    REQUIRE(sys::make_dirs(outside));
  }
  void put(const std::string& path, std::string_view text = "x", mode_t mode = 0644) const {
    REQUIRE(sys::replace_file(root + path, text, mode));
  }
  void link(const std::string& path, const std::string& target) const {
    (void)sys::remove_tree(root + path);
    REQUIRE(::symlink(target.c_str(), (root + path).c_str()) == 0);
  }
  std::string read(const std::string& path) const { return sys::read_file(root + path).value_or("(absent)"); }
  bool there(const std::string& path) const {
    struct ::stat st {};
    return ::lstat((root + path).c_str(), &st) == 0;
  }
  Result<void> run(const char* hostname = "www.example.org") const {
    const auto fd = sys::open(root, O_PATH | O_DIRECTORY);
    REQUIRE(fd);
    return personalize(fd->get(), hostname);
  }
  Result<void> check() const {
    const auto fd = sys::open(root, O_PATH | O_DIRECTORY);
    REQUIRE(fd);
    return check_tree(fd->get());
  }
};

bool is_machine_id(const std::string& s) {
  return s.size() == 33 && s.back() == '\n' && s[12] == '4' &&
         std::all_of(s.begin(), s.end() - 1, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

TEST_CASE("personalize: a Debian with systemd and an SSH server") {
  const Tree t;
  t.put("/usr/lib/systemd/systemd", "x", 0755);
  t.put("/usr/sbin/sshd", "x", 0755);
  for (const char* key : {"ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key"})
    t.put(std::string("/etc/ssh/") + key);
  t.put("/etc/ssh/sshd_config");
  t.put("/etc/machine-id", "");
  t.put("/var/lib/dbus/machine-id", "0123\n");
  REQUIRE(t.run());
  CHECK(sys::list_dir(t.root + "/etc/ssh").value_or({}) == std::vector<std::string>{"sshd_config"});
  CHECK(t.read("/etc/systemd/system/ssh-hostkeys.service").find("ssh-keygen -A") != std::string::npos);
  CHECK(sys::read_link(t.root + "/etc/systemd/system/ssh.service.wants/ssh-hostkeys.service").value_or("") ==
        "/etc/systemd/system/ssh-hostkeys.service");
  CHECK(is_machine_id(t.read("/etc/machine-id")));
  CHECK(sys::read_link(t.root + "/var/lib/dbus/machine-id").value_or("") == "/etc/machine-id");
  CHECK(t.read("/etc/hostname") == "www.example.org\n");
  const std::string id = t.read("/etc/machine-id");
  REQUIRE(t.run(""));
  CHECK(t.read("/etc/machine-id") != id);
  CHECK(t.read("/etc/hostname") == "www.example.org\n");
}

TEST_CASE("personalize: a system with neither gets a name and nothing else") {
  const Tree t;
  REQUIRE(t.run("tiny1"));
  CHECK(t.read("/etc/hostname") == "tiny1\n");
  CHECK(!t.there("/etc/machine-id"));
  CHECK(sys::list_dir(t.root + "/etc/systemd/system").value_or({"?"}).empty());
}

TEST_CASE("personalize: no link of the tree is followed out of it, no fifo waited for, no hard link written through") {
  const Tree t;
  t.put("/usr/lib/systemd/systemd", "x", 0755);
  t.put("/usr/sbin/sshd", "x", 0755);
  REQUIRE(sys::replace_file(t.outside + "/victim", "untouched"));
  REQUIRE(sys::replace_file(t.outside + "/ssh_host_rsa_key", "untouched"));
  t.link("/etc/ssh", t.outside);
  t.link("/etc/machine-id", t.outside + "/victim");
  REQUIRE(::mkfifo((t.root + "/etc/hostname").c_str(), 0600) == 0);
  t.link("/etc/systemd/system", "../../../outside");
  t.link("/var/lib/dbus", t.outside);
  REQUIRE(t.run());
  CHECK(is_machine_id(t.read("/etc/machine-id")));
  CHECK(t.read("/etc/hostname") == "www.example.org\n");
  CHECK(sys::list_dir(t.outside).value_or({}) == std::vector<std::string>{"ssh_host_rsa_key", "victim"});
  CHECK(sys::read_file(t.outside + "/victim").value_or("") == "untouched");

  t.put("/etc/other", "other");
  REQUIRE(sys::remove_file(t.root + "/etc/hostname"));
  REQUIRE(::link((t.root + "/etc/other").c_str(), (t.root + "/etc/hostname").c_str()) == 0);
  REQUIRE(t.run());
  CHECK(t.read("/etc/other") == "other");

  t.link("/etc", t.outside);
  CHECK(!t.run());
  t.link("/etc", "/");  // inside the tree "/" is its own top
  CHECK(t.run("x"));
  CHECK(t.read("/hostname") == "x\n");
}

TEST_CASE("personalize: a directory in the place of a file is an error") {
  const Tree t;
  REQUIRE(sys::make_dirs(t.root + "/etc/hostname"));
  const auto r = t.run();
  REQUIRE(!r);
  CHECK(r.error().text.find("hostname") != std::string::npos);
}

TEST_CASE("check_tree: an init and a shell, seen from inside") {
  const Tree t;
  CHECK(t.check().error().code == Code::bad_template);
  t.put("/usr/lib/systemd/systemd", "x", 0755);
  t.link("/sbin/init", "/usr/lib/systemd/systemd");
  CHECK(t.check().error().text.find("shell") != std::string::npos);
  t.put("/bin/dash", "x", 0755);
  t.link("/bin/sh", "dash");
  CHECK(t.check());
  t.put("/bin/dash", "x", 0644);
  CHECK(!t.check());
  t.link("/bin/sh", "../../../../bin/sh");  // a loop inside, the host's shell outside
  CHECK(!t.check());
}
