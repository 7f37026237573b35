// What differs between the layouts; storage.h dispatches here.
#pragma once

#include <string>

#include "base/result.h"
#include "storage/storage.h"

namespace vz::storage {

constexpr char kImageName[] = "root.img";

namespace dir {

// Makes the empty directory PATH a tree.
Result<void> make(const std::string& path);
Result<void> mount(const Area& area);
// The directory was made by make() for this layout, whatever its files look like.
bool is_marked(const std::string& path);

}  // namespace dir

namespace image {

// Makes the image file in the directory PATH.
Result<void> make(const std::string& path, const Quota& quota);
Result<void> mount(const Area& area);
// Whoever mounted it was killed between the image's root and the tree in it: what is on root_dir is no guest's root.
bool is_half_mounted(const Area& area);
Result<void> flush(const Area& area);
Result<void> resize(const Area& area, const Quota& quota, bool mounted);
Result<Compacted> compact(const Area& area);
Result<DiskUsage> stored_usage(const Area& area);
// Mounted here, in another mount namespace or on another host, or being resized.
bool in_use(const Area& area);

}  // namespace image
}  // namespace vz::storage
