#include "cgroups/btf.h"

#include <linux/btf.h>

#include <cstring>

namespace vz::cgroups {

namespace {

uint32_t kind_of(uint32_t info) { return BTF_INFO_KIND(info); }

// Bytes behind a type of that kind; unset: a kind that came later.
std::optional<size_t> size_behind(uint32_t info) {
  constexpr uint32_t kDeclTag = 17, kTypeTag = 18, kEnum64 = 19;  // newer than some headers
  const size_t n = BTF_INFO_VLEN(info);
  switch (kind_of(info)) {
    case BTF_KIND_INT:
      return sizeof(uint32_t);
    case BTF_KIND_ARRAY:
      return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return n * sizeof(btf_member);
    case BTF_KIND_ENUM:
      return n * sizeof(btf_enum);
    case BTF_KIND_FUNC_PROTO:
      return n * sizeof(btf_param);
    case BTF_KIND_VAR:
      return sizeof(btf_var);
    case BTF_KIND_DATASEC:
      return n * sizeof(btf_var_secinfo);
    case kDeclTag:
      return sizeof(uint32_t);
    case kEnum64:
      return n * 3 * sizeof(uint32_t);
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case kTypeTag:
      return 0;
    default:
      return std::nullopt;
  }
}

template <class T>
T copy_of(const char* from) {
  T out{};
  std::memcpy(&out, from, sizeof out);
  return out;
}

}  // namespace

Result<Btf> Btf::parse(std::string_view bytes) {
  const auto bad = [] { return fail(Code::invalid, "the kernel's type information (BTF) is not understood"); };
  if (bytes.size() < sizeof(btf_header)) return bad();
  const auto header = copy_of<btf_header>(bytes.data());
  if (header.magic != BTF_MAGIC || header.version != BTF_VERSION || header.hdr_len > bytes.size()) return bad();
  bytes.remove_prefix(header.hdr_len);
  const auto within = [&](uint64_t at, uint64_t size) { return at <= bytes.size() && size <= bytes.size() - at; };
  if (!within(header.type_off, header.type_len) || !within(header.str_off, header.str_len)) return bad();
  Btf btf;
  btf.strings_ = bytes.substr(header.str_off, header.str_len);
  std::string_view left = bytes.substr(header.type_off, header.type_len);
  while (!left.empty()) {
    if (left.size() < sizeof(btf_type)) return bad();
    const auto type = copy_of<btf_type>(left.data());
    const auto behind = size_behind(type.info);
    if (!behind || *behind > left.size() - sizeof type) return bad();
    btf.types_.push_back({type.name_off, type.info, type.size, left.data() + sizeof type});
    left.remove_prefix(sizeof type + *behind);
  }
  return btf;
}

std::string_view Btf::text(uint32_t at) const {
  if (at >= strings_.size()) return {};
  const std::string_view rest = strings_.substr(at);
  return rest.substr(0, rest.find('\0'));
}

std::optional<uint32_t> Btf::find(uint32_t kind, std::string_view name) const {
  for (size_t i = 0; i < types_.size(); ++i)
    if (kind_of(types_[i].info) == kind && text(types_[i].name) == name) return static_cast<uint32_t>(i + 1);
  return std::nullopt;
}

std::optional<uint32_t> Btf::function(std::string_view name) const { return find(BTF_KIND_FUNC, name); }

std::optional<uint32_t> Btf::offset(std::string_view structure, std::string_view member) const {
  const auto type = find(BTF_KIND_STRUCT, structure);
  return type ? offset_in(*type, member, 0) : std::nullopt;
}

std::optional<uint32_t> Btf::offset_in(uint32_t number, std::string_view member, int depth) const {
  constexpr int kDeepest = 8;
  if (number == 0 || number > types_.size() || depth > kDeepest) return std::nullopt;
  const Type& type = types_[number - 1];
  const uint32_t kind = kind_of(type.info);
  if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION) return std::nullopt;
  for (size_t i = 0; i < BTF_INFO_VLEN(type.info); ++i) {
    const auto m = copy_of<btf_member>(type.more + i * sizeof(btf_member));
    constexpr uint32_t kBits = 8;
    const uint32_t at = (BTF_INFO_KFLAG(type.info) ? BTF_MEMBER_BIT_OFFSET(m.offset) : m.offset) / kBits;
    const std::string_view name = text(m.name_off);
    if (name == member) return at;
    if (!name.empty()) continue;
    if (const auto inner = offset_in(m.type, member, depth + 1)) return at + *inner;
  }
  return std::nullopt;
}

}  // namespace vz::cgroups
