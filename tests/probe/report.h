// What probes that check something for ever tell about it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>

// PATH has "ROUNDS BAD" then, and is whole whenever it is read.
inline void report(const char* path, unsigned rounds, size_t bad) {
  const std::string next = std::string(path) + ".new";
  const int fd = open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  dprintf(fd, "%u %zu\n", rounds, bad);
  close(fd);
  rename(next.c_str(), path);
}
