#include "base/json.h"

namespace vz {

std::string print_json(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }
std::string pretty_json(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace); }
Json parse_json(std::string_view text) { return Json::parse(text); }

}  // namespace vz
