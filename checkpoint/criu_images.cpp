#include "checkpoint/criu_images.h"

#include <cstring>
#include <optional>
#include <vector>

namespace vz::checkpoint {

namespace {

constexpr size_t kMagicBytes = 8;
constexpr uint64_t kPagesId = 1;                     // of pagemap_head
constexpr uint64_t kMemfdName = 1, kMemfdShmid = 5;  // of memfd_inode_entry

// A field of a message: a number, or bytes. Other kinds are not in these images.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;
  std::optional<std::string_view> bytes = {};
};
using Fields = std::vector<Field>;

std::optional<uint64_t> take_varint(std::string_view& text) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  return std::nullopt;
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

std::optional<Fields> parse_message(std::string_view message) {
  constexpr uint64_t kVarint = 0, kBytes = 2;
  Fields out;
  while (!message.empty()) {
    const auto key = take_varint(message);
    const auto value = take_varint(message);
    if (!key || !value || ((*key & 7) != kVarint && (*key & 7) != kBytes)) return std::nullopt;
    Field& field = out.emplace_back(Field{*key >> 3, *value});
    if ((*key & 7) == kVarint) continue;
    if (*value > message.size()) return std::nullopt;
    field.bytes = message.substr(0, *value);
    message.remove_prefix(*value);
  }
  return out;
}

std::string print(const Fields& fields) {
  std::string out;
  for (const Field& f : fields) {
    put_varint(out, f.number << 3 | (f.bytes ? 2 : 0));
    put_varint(out, f.bytes ? f.bytes->size() : f.value);
    if (f.bytes) out += *f.bytes;
  }
  return out;
}

// Behind the magic each message stands behind its length.
std::optional<std::vector<Fields>> parse_image(std::string_view image, size_t most = SIZE_MAX) {
  std::vector<Fields> out;
  if (image.size() < kMagicBytes) return std::nullopt;
  image.remove_prefix(kMagicBytes);
  while (!image.empty() && out.size() < most) {
    uint32_t size = 0;
    if (image.size() < sizeof size) return std::nullopt;
    std::memcpy(&size, image.data(), sizeof size);
    image.remove_prefix(sizeof size);
    auto message = size <= image.size() ? parse_message(image.substr(0, size)) : std::nullopt;
    if (!message) return std::nullopt;
    out.push_back(std::move(*message));
    image.remove_prefix(size);
  }
  return out;
}

const Field* find(const Fields& fields, uint64_t number) {
  for (const Field& f : fields)
    if (f.number == number) return &f;
  return nullptr;
}

std::string own_name(uint64_t segment) { return fmt::format("vessel-{}", segment); }

}  // namespace

Result<uint64_t> pages_of(std::string_view pagemap_image) {
  const auto head = parse_image(pagemap_image, 1);
  const Field* id = head && !head->empty() ? find(head->front(), kPagesId) : nullptr;
  if (!id || id->bytes) return fail(Code::unsupported, "an unknown kind of pagemap");
  return id->value;
}

Result<std::string> name_segments(std::string_view memfd_image, const std::set<uint64_t>& segments) {
  auto inodes = parse_image(memfd_image);
  if (!inodes) return fail(Code::unsupported, "an unknown kind of memfd image");
  std::string out(memfd_image.substr(0, kMagicBytes));
  bool found = false;
  for (Fields& inode : *inodes) {
    const Field* id = find(inode, kMemfdShmid);
    const bool ours = id && segments.contains(id->value);
    const std::string name = ours ? own_name(id->value) : "";
    for (Field& f : inode)
      if (ours && f.number == kMemfdName) f.bytes = name;
    found = found || ours;
    const std::string message = print(inode);
    const auto size = static_cast<uint32_t>(message.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += message;
  }
  if (!found) return fail(Code::unsupported, "the shared memory is not in the memfd image");
  return out;
}

std::string segment_key(uint64_t segment) { return "/memfd:" + own_name(segment); }

}  // namespace vz::checkpoint
