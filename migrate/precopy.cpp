#include "migrate/precopy.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/pre_dump.h"
#include "migrate/events.h"
#include "migrate/image_sender.h"
#include "migrate/pace.h"
#include "migrate/progress.h"
#include "migrate/pulse.h"
#include "migrate/rounds.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

std::string parent_of(unsigned number) { return number > 1 ? fmt::format("../{}", number - 1) : ""; }

double mib(double bytes) { return bytes / (1 << 20); }

Result<uint64_t> copy_round(const Wire& wire, const runtime::Host& host, const runtime::Container& ct,
                            const std::string& images, unsigned number, uint64_t bytes_per_second) {
  const std::string name = std::to_string(number), dir = fmt::format("{}/{}", images, name);
  TRY(sys::make_dirs(dir, checkpoint::kImageDirMode));
  uint64_t bytes = 0;
  TRY(keeping_alive(wire, [&]() -> Result<void> {
    TRY_AS(bytes, checkpoint::pre_dump(host, ct, dir, parent_of(number)));
    return {};
  }));
  TRY(ImageSender(wire, dir, name + "/", Pace(bytes_per_second)).send_shown("Memory, round " + name));
  TRY(wire.ask("round", name, "taken"));
  TRY(checkpoint::forget_pages(dir));
  return bytes;
}

Result<void> give_account(const std::vector<Round>& done, const RoundLimits& limits) {
  std::string text;
  Json event{{"rounds", Json::array()}};
  for (const Round& r : done) {
    text += fmt::format("{}{:.1f}", text.empty() ? "" : ", ", mib(static_cast<double>(r.bytes)));
    event["rounds"].push_back(r.bytes);
  }
  // The freeze does not keep to a rate: what it could do then is not known.
  std::optional<Outlook> next;
  if (limits.bytes_per_second == 0) next = outlook(done);
  if (next) {
    const double left = next->left.count();
    text +=
        fmt::format("; {:.1f} a second are written, {:.2f} s of copying are left", mib(next->written_per_second), left);
    event["written_per_second"] = static_cast<uint64_t>(next->written_per_second);
    event["left_seconds"] = left;
  }
  log::info("Memory copied beforehand, in MiB: {}", text);
  tell("memory", event);
  if (next && limits.longest_freeze && next->left > *limits.longest_freeze)
    return fail(Code::timeout, "what is left would take {:.2f} s", next->left.count());
  return {};
}

// Whether all of them are there.
Result<bool> copy_in_rounds(const RoundLimits& limits, const std::function<Result<uint64_t>(unsigned number)>& copy) {
  std::vector<Round> done;
  while (another_round(done, limits.most)) {
    const auto begin = std::chrono::steady_clock::now();
    const auto copied = copy(static_cast<unsigned>(done.size() + 1));
    if (!copied && copied.error().code != Code::checkpoint_failed) return copied.error();
    if (!copied) log::warn("memory is copied in the freeze: {}", copied.error().text);
    if (!copied) return false;
    done.push_back({*copied, std::chrono::steady_clock::now() - begin});
  }
  TRY(give_account(done, limits));
  return true;
}

}  // namespace

Result<std::string> copy_memory(const Wire& wire, const runtime::Host& host, const runtime::Container& ct,
                                const std::string& images, const RoundLimits& limits) {
  unsigned last = 0;
  TRY_AS(const bool copied, copy_in_rounds(limits, [&](unsigned number) {
           last = number;
           return copy_round(wire, host, ct, images, number, limits.bytes_per_second);
         }));
  if (copied) return std::to_string(last);
  TRY(wire.ask("round", "0", "taken"));
  return std::string();
}

Result<void> copy_pages(const Wire& wire, const runtime::Container& ct, checkpoint::EarlyPages& early, int channel,
                        const RoundLimits& limits, uint64_t total) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  const auto round = [&](unsigned number) -> Result<uint64_t> {
    Progress progress;
    TRY(progress.begin(fmt::format("Memory, round {}", number), std::exchange(total, 0)));
    Pace pace(limits.bytes_per_second);
    uint64_t sum = 0, bytes = 0;
    const auto spent = [&](size_t some, size_t on_wire) {
      progress.report(sum += some);
      pace.spend(on_wire);
    };
    TRY(keeping_alive(wire, [&]() -> Result<void> {
      TRY_AS(const checkpoint::Tasks tasks, checkpoint::tasks_of(group));
      TRY_AS(bytes, early.send_round(tasks, channel, spent));
      return {};
    }));
    return bytes;
  };
  TRY(copy_in_rounds(limits, round));
  return {};
}

bool valid_image_name(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    const auto number = parse_u64(name.substr(0, slash));
    if (!number || *number == 0 || *number > kMostRounds || std::to_string(*number) != name.substr(0, slash))
      return false;
    name.remove_prefix(slash + 1);
  }
  return !name.empty() && name.front() != '.' && name.find('/') == std::string_view::npos;
}

Result<void> take_round(const std::string& images, const std::string& number) {
  const std::string last = images + "/parent";  // criu's name for it
  TRY(sys::remove_file(last));
  const auto n = parse_u64(number);
  if (!n || *n > kMostRounds) return fail(Code::peer, "bad round '{}'", printable(number));
  if (*n == 0) return {};
  if (::symlink(number.c_str(), last.c_str()) != 0) return fail_sys(errno, "make '{}'", last);
  const std::string before = fmt::format("{}/{}/parent", images, *n);
  if (*n > 1 && ::symlink(parent_of(static_cast<unsigned>(*n)).c_str(), before.c_str()) != 0)
    return fail_sys(errno, "make '{}'", before);
  return {};
}

}  // namespace vz::migrate
