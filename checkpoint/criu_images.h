// What we read and change in images of CRIU. Sources: images/*.proto, criu/protobuf.c and criu/memfd.c of CRIU 4.2.
// Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vz::checkpoint {

// pagemap-*.img: ID of the "pages-ID.img" that has what it lists. Code::unsupported: it is no such image.
Result<uint64_t> pages_of(std::string_view pagemap_image);

// memfd.img: each of these SEGMENTS under a name of its own, by which criu takes a descriptor for it that it was given.
// Code::unsupported: it is no such image, or has none of them.
Result<std::string> name_segments(std::string_view memfd_image, const std::set<uint64_t>& segments);
// For criu's --inherit-fd.
std::string segment_key(uint64_t segment);

}  // namespace vz::checkpoint
