#include <fmt/format.h>

#include "base/strings.h"
#include "config/codecs.h"
#include "config/config.h"

namespace vz::config {

namespace {

using Warnings = std::vector<std::string>;

void warn(Warnings* warnings, std::string_view key, const Result<void>& r) {
  if (!r && warnings) warnings->push_back(fmt::format("bad value of {} ignored: {}", key, r.error().text));
}

// Item by item, so that one bad address does not take the good ones with it.
void load_list(const Param& param, std::string_view value, CtSpec& spec, Warnings* warnings) {
  warn(warnings, param.key, param.parse(spec, ""));
  for (const std::string_view part : split(value, ';'))
    for (const std::string_view item : words(part)) warn(warnings, param.key, param.parse(spec, item));
}

struct GlobalKey {
  std::string_view key;
  Result<void> (*parse)(GlobalConf&, std::string_view);
};

template <class Codec, auto Member>
constexpr GlobalKey global(std::string_view key) {
  return {key, [](GlobalConf& conf, std::string_view text) -> Result<void> {
            TRY_AS(conf.*Member, Codec::parse(text));
            return {};
          }};
}

// -1 (errors only) and up.
struct Level {
  static Result<int> parse(std::string_view text) {
    if (text == "-1") return -1;
    TRY_AS(const uint64_t level, codec::parse_in_range(text, 0, 100));
    return static_cast<int>(level);
  }
};

constexpr GlobalKey kGlobalKeys[] = {
    global<codec::Path, &GlobalConf::lockdir>("LOCKDIR"),
    global<codec::Path, &GlobalConf::dumpdir>("DUMPDIR"),
    global<codec::Path, &GlobalConf::template_dir>("TEMPLATE"),
    global<codec::Path, &GlobalConf::logfile>("LOGFILE"),
    global<codec::YesNo, &GlobalConf::logging>("LOGGING"),
    global<Level, &GlobalConf::log_level>("LOG_LEVEL"),
    global<Level, &GlobalConf::verbose>("VERBOSE"),
    global<codec::FileName, &GlobalConf::configfile>("CONFIGFILE"),
    global<codec::FileName, &GlobalConf::def_ostemplate>("DEF_OSTEMPLATE"),
    global<codec::YesNo, &GlobalConf::ipv6>("IPV6"),
    global<codec::Number<uint64_t, 1, codec::kYear>, &GlobalConf::stop_timeout>("STOP_TIMEOUT"),
    global<codec::YesNo, &GlobalConf::start_at_boot>("VIRTUOZZO"),
    global<codec::StopModeName, &GlobalConf::stop_mode>("VE_STOP_MODE"),
    global<codec::Number<uint64_t, 0, 1000>, &GlobalConf::parallel>("VE_PARALLEL"),
    global<codec::Path, &GlobalConf::criu>("CRIU"),
};

}  // namespace

void load(const File& file, CtId id, CtSpec& spec, Warnings* warnings) {
  for (const auto& [key, value] : file.entries()) {
    const Param* param = find_key(key);
    if (!param || param->print(spec)) continue;
    if (param->repeatable)
      load_list(*param, value, spec, warnings);
    else if (!value.empty())
      warn(warnings, key, param->parse(spec, value));
  }
  expand_places(spec, id);
}

void expand_places(CtSpec& spec, CtId id) {
  for (std::optional<std::string>* place : {&spec.ve_root, &spec.ve_private})
    for (const std::string_view name : {"$VEID", "${VEID}"})
      if (*place) **place = replace_all(std::move(**place), name, std::to_string(id));
}

GlobalConf load_global(const File& file, Warnings* warnings) {
  GlobalConf conf;
  for (const GlobalKey& g : kGlobalKeys)
    if (const auto value = file.get(g.key); value && !value->empty()) warn(warnings, g.key, g.parse(conf, *value));
  return conf;
}

}  // namespace vz::config
