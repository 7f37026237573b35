// tar, as criu calls it for what a tmpfs holds (it comes first in criu's PATH): tar itself, but without its --gzip. All
// of it happens while the container stands still, gzip packs some 40 MB a second, and each call would start a shell and
// gzip besides. What is packed nevertheless, by another criu, is still read.
#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace {

bool stdin_is_gzip() {
  unsigned char magic[2];
  return pread(0, magic, sizeof magic, lseek(0, 0, SEEK_CUR)) == sizeof magic && magic[0] == 0x1f && magic[1] == 0x8b;
}

}  // namespace

int main(int argc, char** argv) {
  const bool packed = argc > 1 && strcmp(argv[1], "--extract") == 0 && stdin_is_gzip();
  int kept = 1;
  for (int i = 1; i < argc; ++i)
    if (packed || strcmp(argv[i], "--gzip") != 0) argv[kept++] = argv[i];
  argv[kept] = nullptr;
  execv("/bin/tar", argv);
  return errno == ENOENT ? 127 : 126;
}
