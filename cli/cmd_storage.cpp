#include <string>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "config/codecs.h"
#include "runtime/convert.h"

namespace vz::cli {

namespace {

constexpr Option kConvertOptions[] = {{"layout", true}, {"ve_layout", true}, {"velayout", true}};

// The size of an image is its quota, always on; a directory has none. DISABLED is the status of a host without.
Result<int> look_at_quota(const Context& ctx, Code disabled) {
  TRY(parse_only_options(ctx.args, {}));
  TRY_AS(const runtime::Container ct, container(ctx));
  if (!storage::area_exists(ct.area.private_dir))
    return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  if (ct.area.layout == config::Layout::image) {
    log::info("The size of its image is the disk quota of CT {}: nothing to do", ct.id);
    return 0;
  }
  if (state::running(ctx.host.paths, ct.id)) return fail(Code::running, "Container is running -- stop it first");
  return fail(disabled, "Disk quota is not enabled, skipping operation");
}
Result<int> run_quotaon(Context& ctx) { return look_at_quota(ctx, Code::quota_on_failed); }
Result<int> run_quotaoff(Context& ctx) { return look_at_quota(ctx, Code::quota_off_failed); }
Result<int> run_quotainit(Context& ctx) { return look_at_quota(ctx, Code::quota_init_failed); }

Result<int> run_convert(Context& ctx) {
  TRY_AS(const Parsed p, parse_only_options(ctx.args, kConvertOptions));
  const std::string word = p.items.empty() ? "image" : p.items.back().value;
  const auto layout = config::codec::LayoutName::parse(word);
  if (!layout) return fail(Code::invalid, "Only conversion to image (ploop) and to dir (simfs) is supported");
  const std::string name(word.substr(0, word.find(':')));
  TRY_AS(const runtime::Container ct, container(ctx));
  if (storage::detect_layout(ct.area.private_dir) == *layout) {
    log::info("CT is already on {}", name);
    return 0;
  }
  TRY(runtime::convert(ctx.host, ct, *layout));
  log::info("Container was successfully converted to the {} layout", name);
  return 0;
}

Result<int> run_compact(Context& ctx) {
  TRY(parse_only_options(ctx.args, {}));
  TRY_AS(const runtime::Container ct, container(ctx));
  if (storage::detect_layout(ct.area.private_dir) == config::Layout::dir) {
    log::info("Compact only makes sense for ploop containers: the private area of CT {} is a directory", ct.id);
    return 0;
  }
  auto done = runtime::compact(ct);
  if (!done && done.error().code == Code::unsupported) return std::move(done).error().with_code(Code::compact_failed);
  TRY(done);
  return 0;
}

}  // namespace

constinit const Command kQuotaon = {.name = "quotaon",
                                    .summary = "is its disk limited? (a directory is not: exit status 60)",
                                    .lock_status = "turning quota on",
                                    .run = run_quotaon};
constinit const Command kQuotaoff = {.name = "quotaoff",
                                     .summary = "the same (exit status 66)",
                                     .lock_status = "turning quota off",
                                     .run = run_quotaoff};
constinit const Command kQuotainit = {.name = "quotainit",
                                      .summary = "the same (exit status 61)",
                                      .lock_status = "initialising quota",
                                      .run = run_quotainit};
constinit const Command kConvert = {.name = "convert",
                                    .args = "[--layout image|dir]",
                                    .summary = "keep its files in the other layout",
                                    .options = "\n  --layout image|dir                   image, when not said\n",
                                    .lock_status = "converting",
                                    .run = run_convert};
constinit const Command kCompact = {.name = "compact",
                                    .summary = "give free blocks of its image back to the host",
                                    .lock_status = "compacting",
                                    .run = run_compact};

}  // namespace vz::cli
