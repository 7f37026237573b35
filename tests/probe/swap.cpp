// probe-swap DIR TARGET: for ever exchanges directories in DIR for symbolic links to TARGET and back, so that who walks
// DIR by path may be led to TARGET. Each directory has a file "secret", which is rewritten now and then.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <string>

int main(int argc, char** argv) {
  if (argc != 3 || (mkdir(argv[1], 0755) != 0) || chdir(argv[1]) != 0) return 2;
  constexpr int kPairs = 200;
  int files[kPairs];
  for (int i = 0; i < kPairs; ++i) {
    const std::string dir = "d" + std::to_string(i), link = "l" + std::to_string(i);
    if (mkdir(dir.c_str(), 0755) != 0 || symlink(argv[2], link.c_str()) != 0) return 1;
    files[i] = open((dir + "/secret").c_str(), O_RDWR | O_CREAT, 0666);
    if (files[i] < 0 || fchmod(files[i], 0666) != 0) return 1;
  }
  for (unsigned round = 0;; ++round) {
    for (int i = 0; i < kPairs; ++i) {
      const std::string dir = "d" + std::to_string(i), link = "l" + std::to_string(i);
      if (renameat2(AT_FDCWD, dir.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE) != 0) return 1;
      if (round % 16 == 0 && pwrite(files[i], "the guest's own text", 20, 0) != 20) return 1;
    }
    const timespec pause{0, 200'000};
    nanosleep(&pause, nullptr);
  }
}
