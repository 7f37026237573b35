#include "cli/beancounters.h"

#include <unistd.h>

#include "base/strings.h"
#include "cli/tool.h"
#include "runtime/beans.h"
#include "sys/files.h"

namespace vz::cli {

Result<std::vector<config::UbcTable>> read_beancounters(const std::optional<std::string>& file) {
  if (file) {
    TRY_AS(const std::string text, *file == "-" ? sys::read_fd(STDIN_FILENO) : sys::read_file(*file));
    auto parsed = config::parse_ubc(text);
    if (!parsed) return std::move(parsed).error().context(printable(*file));
    return parsed;
  }
  TRY(need_root());
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(const auto running, runtime::running_containers(host));
  std::vector<config::UbcTable> out;
  for (const runtime::Occupant& o : running) out.push_back(runtime::ubc_of(o));
  return out;
}

Json ctid_json(const std::string& ct) {
  const auto number = parse_u64(ct);
  return number ? Json(*number) : Json(ct);
}

}  // namespace vz::cli
