// What probes that check something for ever tell about it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>

// PATH has "ROUNDS BAD" then.
inline void report(const char* path, unsigned rounds, size_t bad) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  dprintf(fd, "%u %zu\n", rounds, bad);
  close(fd);
}
