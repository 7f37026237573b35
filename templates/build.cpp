#include "templates/build.h"

#include <algorithm>

#include "base/strings.h"

namespace vz::templates {

namespace {

Result<Template> tiny(std::string_view, const BuildOptions& options) { return build_tiny(options); }

struct Recipe {
  std::string_view distribution, suite;
  Result<Template> (*build)(std::string_view suite, const BuildOptions&);
};
constexpr Recipe kRecipes[] = {
    {"debian-12", "bookworm", build_debian}, {"debian-13", "trixie", build_debian}, {"tiny", "", tiny}};

}  // namespace

std::vector<std::string_view> buildable() {
  std::vector<std::string_view> out;
  for (const Recipe& r : kRecipes) out.push_back(r.distribution);
  return out;
}

Result<Template> build(std::string_view distribution, const BuildOptions& options) {
  const auto* r = std::find_if(std::begin(kRecipes), std::end(kRecipes),
                               [&](const Recipe& x) { return x.distribution == distribution; });
  if (r == std::end(kRecipes)) return fail(Code::usage, "cannot build '{}'", printable(distribution));
  if (!valid_name(options.name)) return fail(Code::invalid, "'{}' is no name for a template", printable(options.name));
  TRY_AS(Template made, r->build(r->suite, options), "build '{}'", distribution);
  return made;
}

}  // namespace vz::templates
