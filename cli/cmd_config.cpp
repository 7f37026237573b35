#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "runtime/apply.h"
#include "runtime/create.h"

namespace vz::cli {

namespace {

// Every row of the parameter table that has an option, and these.
std::vector<Option> with_parameters(std::initializer_list<Option> more) {
  std::vector<Option> out(more);
  for (const config::Param& p : config::table())
    if (!p.option.empty()) out.push_back({p.option, true});
  return out;
}

std::vector<config::Change> changes_of(const Parsed& parsed) {
  std::vector<config::Change> out;
  for (const Parsed::Item& i : parsed.items)
    if (const config::Param* p = config::find_option(i.name)) out.push_back({p, i.value});
  return out;
}

Result<int> run_create(Context& ctx) {
  const auto options = with_parameters({{"config", true}, {"ve_layout", true}, {"velayout", true}});
  TRY_AS(Parsed parsed, parse_only_options(ctx.args, options));
  for (Parsed::Item& i : parsed.items)
    if (i.name == "ve_layout" || i.name == "velayout") i.name = "layout";
  runtime::CreateOptions create;
  create.sample = parsed.value("config");
  create.ostemplate = parsed.value("ostemplate");
  create.apply = [&](config::File& file) -> Result<void> {
    config::CtSpec spec;
    config::load(file, ctx.id, spec);
    TRY(runtime::change_file(file, spec, changes_of(parsed)));
    return {};
  };
  auto ct = runtime::create(ctx.host, ctx.id, create);
  if (!ct) {
    log::error("{}", ct.error().text);
    return Error{ct.error().code, 0, "Creation of container private area failed"};
  }
  return 0;
}

Result<int> run_set(Context& ctx) {
  const auto options = with_parameters({{"save"}, {"force"}, {"setmode", true}});
  TRY_AS(Parsed parsed, parse_only_options(ctx.args, options));
  const auto changes = changes_of(parsed);
  if (changes.empty()) return fail(Code::usage, "Nothing to set (see vzctl set --help)");
  auto ct = container(ctx);
  if (!ct && ct.error().code == Code::no_ct_config && parsed.has("save")) {
    log::error("WARNING: {} not found", ctx.host.paths.conf(ctx.id));
    ct = runtime::make_container(ctx.host, ctx.id, config::File{});
  }
  if (!ct) return std::move(ct).error();
  TRY(runtime::set(ctx.host, *ct, changes, {.save = parsed.has("save")}));
  return 0;
}

}  // namespace

constinit const Command kCreate = {.name = "create",
                                   .args = "[--ostemplate NAME] [--config NAME] [--PARAMETER...]",
                                   .summary = "make it from an OS template (no CTID: the next free one)",
                                   .lock_status = "creating",
                                   .needs_config = false,
                                   .takes_parameters = true,
                                   .run = run_create};
constinit const Command kSet = {.name = "set",
                                .args = "--PARAMETER VALUE... [--save]",
                                .summary = "change it, live where possible",
                                .lock_status = "setting",
                                .needs_config = false,
                                .takes_parameters = true,
                                .run = run_set};

}  // namespace vz::cli
