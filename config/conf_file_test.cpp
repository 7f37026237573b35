#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "base/strings.h"
#include "config/config.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::config;

namespace {

std::string value_of(std::string_view line) { return File::parse(line).get("K").value_or("(none)"); }

// What /bin/sh makes of KEY after sourcing TEXT; VEID is 7.
std::string by_shell(const std::string& text, const std::string& key) {
  char path[] = "/tmp/conf_file_test.XXXXXX";
  const int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  ::close(fd);
  std::ofstream(path, std::ios::binary) << text;
  const std::string command = std::string("VEID=7; . ") + path + "; printf '%s' \"$" + key + "\"";
  const auto closer = [](std::FILE* f) { ::pclose(f); };
  const std::unique_ptr<std::FILE, decltype(closer)> pipe(::popen(command.c_str(), "r"), closer);
  REQUIRE(pipe);
  std::string out;
  std::array<char, 4096> buffer{};
  for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;) out.append(buffer.data(), n);
  ::unlink(path);
  return out;
}

const std::vector<std::string> kHostile = {
    "",
    " ",
    "  two  words ",
    "$HOME",
    "${HOME}",
    "$(touch /nonexistent/x)",
    "`id`",
    "\\",
    "\\\\",
    "a\\",
    "\\n",
    "\"",
    "\"\"",
    "\"quoted\"",
    "ends with \"",
    "it's",
    "a;b|c&d>e<f",
    "#no comment",
    "a # b",
    "!history",
    "*?[a-z]~",
    "tab\there",
    "return\r",
    "$VEID",
    "\\$VEID",
    "\xc3\xa4\xff\x01",
    R"({"uuid": "X", "cost": "$5", "path": "C:\\x"})",
    "=",
    "K=\"V\"",
};

}  // namespace

TEST_CASE("conf file: the syntax") {
  CHECK(value_of("K=v") == "v");
  CHECK(value_of("  \tK=v  \t") == "v");
  CHECK(value_of("K=\"v\"") == "v");
  CHECK(value_of("K=\" v \"  \r\n") == " v ");
  CHECK(value_of("K=two words # no comment") == "two words # no comment");
  CHECK(value_of("K=\"v\" # comment") == "v");
  CHECK(value_of(R"(K="{"a": "b"}")") == R"({"a": "b"})");
  CHECK(value_of(R"(K="a\"b\\c\$d")") == R"(a"b\c$d)");
  CHECK(value_of(R"(K=a\bc)") == "abc");
  CHECK(value_of("K=") == "");
  CHECK(value_of("K=\"\"") == "");
  CHECK(value_of("K=\"") == "");
  CHECK(value_of("K=\"open") == "open");
  CHECK(value_of("K=a\\") == "a");
  CHECK(value_of("K=a=b") == "a=b");
  CHECK(value_of("K='v'") == "'v'");
  CHECK(value_of("#K=v") == "(none)");
  CHECK(value_of("  # K=v") == "(none)");
  CHECK(value_of("K =v") == "(none)");
  CHECK(value_of("export K=v") == "(none)");
  CHECK(value_of("=v") == "(none)");
  CHECK(value_of("") == "(none)");
  CHECK(value_of("KK=v\nJ=K=x") == "(none)");
}

TEST_CASE("conf file: text comes back byte for byte") {
  for (const std::string text : {"", "\n", "A=1", "A=1\n", "\n\n# c\n A = 1\r\nA=\"2\nB=\\", "#UUID: 1234\nA=1\n\n"}) {
    CHECK(File::parse(text).text() == text);
  }
}

TEST_CASE("conf file: the first of a duplicate key wins, bad lines are told") {
  std::vector<std::string> warnings;
  const File file = File::parse("A=1\nnonsense\nA=2\nB=3\nA=4\n", &warnings);
  CHECK(file.get("A") == "1");
  CHECK(file.entries() == std::vector<std::pair<std::string, std::string>>{{"A", "1"}, {"B", "3"}});
  CHECK(warnings == std::vector<std::string>{"line 2: neither a comment nor KEY=\"VALUE\", ignored",
                                             "line 3: duplicate A ignored", "line 5: duplicate A ignored"});
}

TEST_CASE("conf file: set keeps what it does not change") {
  File file = File::parse("# head\n\n  A=1\n#UUID: x\nUNKNOWN=(a b)\nB=2");
  REQUIRE(file.set("A", "new"));
  REQUIRE(file.set("C", "3"));
  CHECK(file.text() == "# head\n\nA=\"new\"\n#UUID: x\nUNKNOWN=(a b)\nB=2\nC=\"3\"\n");
  REQUIRE(file.set("B", ""));
  file.erase("C");
  file.erase("ABSENT");
  file.erase("");
  CHECK(file.text() == "# head\n\nA=\"new\"\n#UUID: x\nUNKNOWN=(a b)\nB=\"\"\n");
  CHECK(file.get("A") == "new");
}

TEST_CASE("conf file: a changed or erased key leaves no duplicate behind") {
  File file = File::parse("A=1\nB=2\nA=3\n");
  REQUIRE(file.set("A", "x"));
  CHECK(file.text() == "A=\"x\"\nB=2\n");
  CHECK(by_shell(file.text(), "A") == "x");
  file = File::parse("A=1\nB=2\nA=3\n");
  file.erase("A");
  CHECK(file.text() == "B=2\n");
}

TEST_CASE("conf file: our reader and a shell read back what was set") {
  std::string all;
  for (const std::string& value : kHostile) {
    File file = File::parse("A=1\nK=old\nB=2\n");
    REQUIRE(file.set("K", value));
    CHECK(file.get("K") == value);
    const File again = File::parse(file.text());
    CHECK(again.get("K") == value);
    CHECK(again.get("B") == "2");
    CHECK(by_shell(file.text(), "K") == value);
  }
}

TEST_CASE("conf file: $VEID in a place is the shell's to expand, nothing else is") {
  File file;
  REQUIRE(file.set("VE_ROOT", "/vz/$VEID/${VEID}/$VEIDX/$HOME`id`"));
  CHECK(file.text() == "VE_ROOT=\"/vz/$VEID/${VEID}/\\$VEIDX/\\$HOME\\`id\\`\"\n");
  CHECK(by_shell(file.text(), "VE_ROOT") == "/vz/7/7/$VEIDX/$HOME`id`");
  CHECK(File::parse(file.text()).get("VE_ROOT") == "/vz/$VEID/${VEID}/$VEIDX/$HOME`id`");
  REQUIRE(file.set("DESCRIPTION", "$VEID"));
  CHECK(by_shell(file.text(), "DESCRIPTION") == "$VEID");
}

TEST_CASE("conf file: what cannot be stored is refused and changes nothing") {
  File file = File::parse("K=1\n");
  using namespace std::string_view_literals;
  for (const std::string_view value : {"a\nb"sv, "\n"sv, "a\0b"sv}) {
    const auto r = file.set("K", value);
    REQUIRE(!r);
    CHECK(r.error().code == Code::invalid);
  }
  for (const std::string_view key : {""sv, "A B"sv, "1A"sv, "A;rm"sv, "A\n"sv, "#A"sv}) CHECK(!file.set(key, "v"));
  CHECK(file.text() == "K=1\n");
}

TEST_CASE("conf file: a large hostile file takes linear time") {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "A=\"\\\n";
  for (int i = 0; i < 50000; ++i) text += "K" + std::to_string(i) + "=\n";
  CHECK(File::parse(text).text() == text);
}
