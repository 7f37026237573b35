// The memory of a container that runs on, to the destination, before it is frozen.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/early_pages.h"
#include "migrate/rounds.h"
#include "migrate/wire.h"
#include "runtime/container.h"

namespace vz::migrate {

struct RoundLimits {
  unsigned most = kMostRounds;
  uint64_t bytes_per_second = 0;                            // not faster; 0: any
  std::optional<std::chrono::milliseconds> longest_freeze;  // Code::timeout when what is left takes longer for sure
};

// In rounds into directories "1", "2"... in IMAGES here and there, each the parent of the next. Says
// what came of it. Returns the name of the last, for
// checkpoint::DumpOptions::parent. A round that fails makes all before it worthless: "", and the dump will be whole.
// Errors are those of the wire.
Result<std::string> copy_memory(const Wire& wire, const runtime::Host& host, const runtime::Container& ct,
                                const std::string& images, const RoundLimits& limits);

// The same to a page store at the other end of CHANNEL. EARLY knows what is there.
Result<void> copy_pages(const Wire& wire, const runtime::Container& ct, checkpoint::EarlyPages& early, int channel,
                        const RoundLimits& limits, uint64_t total);

// The destination's part: "round NUMBER", after its images; 0: all of them are worthless.
Result<void> take_round(const std::string& images, const std::string& number);
// "NAME", or "NUMBER/NAME" of a round: whether it is nothing else.
bool valid_image_name(std::string_view name);

}  // namespace vz::migrate
