// The memory of a container that runs on, to the destination, before it is frozen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/early_pages.h"
#include "migrate/wire.h"
#include "runtime/container.h"

namespace vz::migrate {

// In rounds, MOST at most, into directories "1", "2"... in IMAGES here and there, each the parent of the next. Says
// what came of it. BYTES_PER_SECOND: not faster (0: any). Returns the name of the last, for
// checkpoint::DumpOptions::parent. A round that fails makes all before it worthless: "", and the dump will be whole.
// Errors are those of the wire.
Result<std::string> copy_memory(const Wire& wire, const runtime::Host& host, const runtime::Container& ct,
                                const std::string& images, unsigned most, uint64_t bytes_per_second);

// The same to a page store at the other end of CHANNEL. EARLY knows what is there.
Result<void> copy_pages(const Wire& wire, const runtime::Container& ct, checkpoint::EarlyPages& early, int channel,
                        unsigned most, uint64_t bytes_per_second, uint64_t total);

// The destination's part: "round NUMBER", after its images; 0: all of them are worthless.
Result<void> take_round(const std::string& images, const std::string& number);
// "NAME", or "NUMBER/NAME" of a round: whether it is nothing else.
bool valid_image_name(std::string_view name);

}  // namespace vz::migrate
