// Compressing memory on its way, where that gets it there sooner: zstd(1) takes a processor some 400 MB a second, which
// a slow link is glad of and a fast one is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vz::checkpoint {

// Whether to pack the next piece, by what the last ones took either way. Pure.
class PackingChoice {
 public:
  bool next();
  // The piece of BYTES that next() was asked for took SECONDS, to the moment that the next one could be sent.
  void took(size_t bytes, double seconds);

 private:
  struct Way {
    size_t bytes = 0;
    double seconds = 0;
    bool known() const;
    double cost() const { return seconds / static_cast<double>(bytes); }
  };
  Way ways_[2];  // plain, packed
  uint64_t pieces_ = 0;
  bool packed_ = false;
};

class Packer {
 public:
  Packer();
  // TEXT packed; "": that would be no shorter.
  std::string pack(std::string_view text);

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

// What pack() made of SIZE bytes. Foreign: Code::peer when it is anything else.
Result<std::string> unpack(std::string_view packed, size_t size);

}  // namespace vz::checkpoint
