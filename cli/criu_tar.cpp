// tar, as criu calls it for what a tmpfs holds (it comes first in criu's PATH): tar itself, but without its --gzip. All
// of it happens while the container stands still, gzip packs some 40 MB a second, and each call would start a shell and
// gzip besides. What is packed nevertheless, by another criu, is still read. In its place stands a format that knows
// parts of a second: a file's time must not go back by a move.
//
// VESSEL_SOCKETS, paths in lines: where one's directory is in what was extracted, a socket is made there, which tar
// cannot do. See checkpoint/bound_sockets.h. It all belongs to the guest, whose links lead nowhere out of the
// directory.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

bool stdin_is_gzip() {
  unsigned char magic[2];
  return pread(0, magic, sizeof magic, lseek(0, 0, SEEK_CUR)) == sizeof magic && magic[0] == 0x1f && magic[1] == 0x8b;
}

void make_socket(int top, char* path) {
  char* slash = strrchr(path, '/');
  if (!slash) return;
  *slash = '\0';
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  const long dir = syscall(SYS_openat2, top, *path ? path : "/", &how, sizeof how);
  if (dir >= 0) mknodat(static_cast<int>(dir), slash + 1, S_IFSOCK | 0666, 0);  // taken: as well
}

void make_sockets(char** argv, char* paths) {
  for (; *argv && strcmp(*argv, "--directory") != 0; ++argv) {
  }
  const int top = *argv && argv[1] ? open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  for (char* path = strtok(paths, "\n"); top >= 0 && path; path = strtok(nullptr, "\n")) make_socket(top, path);
}

}  // namespace

int main(int argc, char** argv) {
  const bool extract = argc > 1 && strcmp(argv[1], "--extract") == 0;
  const bool packed = extract && stdin_is_gzip();
  static char format[] = "--format=posix";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (packed || strcmp(argv[i], "--gzip") != 0)
      argv[kept++] = argv[i];
    else if (!extract)
      argv[kept++] = format;
  }
  argv[kept] = nullptr;
  char* sockets = extract ? getenv("VESSEL_SOCKETS") : nullptr;
  if (const pid_t child = sockets ? fork() : 0; child != 0) {
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 1;
    if (WEXITSTATUS(status) == 0) make_sockets(argv, sockets);
    return WEXITSTATUS(status);
  }
  execv("/bin/tar", argv);
  return errno == ENOENT ? 127 : 126;
}
