#include "checkpoint/packing.h"

#include <zstd.h>

namespace vz::checkpoint {

namespace {

constexpr int kLevel = 1;
// What sits in the buffers of sockets and of ssh seems to be sent in no time: so many bytes are needed to know a way.
constexpr size_t kToKnow = 8u << 20;
// How it was is worth less with time; a load on the link or the processor comes and goes.
constexpr size_t kToForget = 4 * kToKnow;
// Of so many pieces one way is tried that was the dearer one, so many in a row.
constexpr uint64_t kTryEach = 1024, kTried = 64;

}  // namespace

bool PackingChoice::Way::known() const { return bytes >= kToKnow; }

bool PackingChoice::next() {
  const uint64_t piece = pieces_++;
  if (!ways_[false].known()) return packed_ = false;
  if (!ways_[true].known()) return packed_ = true;
  const bool better = ways_[true].cost() < ways_[false].cost();
  return packed_ = piece % kTryEach < kTried ? !better : better;
}

void PackingChoice::took(size_t bytes, double seconds) {
  Way& way = ways_[packed_];
  way.bytes += bytes;
  way.seconds += seconds;
  if (way.bytes < kToForget) return;
  way.bytes /= 2;
  way.seconds /= 2;
}

Packer::Packer() : context_(ZSTD_createCCtx()) {}

void Packer::Free::operator()(void* context) const { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context)); }

std::string Packer::pack(std::string_view text) {
  std::string out(text.size(), 0);
  const size_t size = context_ ? ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(context_.get()), out.data(), out.size(),
                                                   text.data(), text.size(), kLevel)
                               : 0;
  out.resize(ZSTD_isError(size) || size >= text.size() ? 0 : size);  // an error: it does not fit
  return out;
}

Result<std::string> unpack(std::string_view packed, size_t size) {
  std::string out(size, 0);
  const size_t got = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
  if (ZSTD_isError(got) || got != size) return fail(Code::peer, "packed memory is damaged");
  return out;
}

}  // namespace vz::checkpoint
