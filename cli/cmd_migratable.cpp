#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "checkpoint/criu.h"
#include "checkpoint/obstacles.h"
#include "cli/command.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"json", false, 'j'}};
constexpr int kCannot = 16;

void print_json(config::CtId id, bool running, const std::string& no_criu,
                const std::vector<checkpoint::Obstacle>& obstacles) {
  auto list = Json::array();
  if (!no_criu.empty()) list.push_back({{"why", no_criu}});
  for (const checkpoint::Obstacle& o : obstacles)
    list.push_back({{"pid", o.pid}, {"command", o.command}, {"unit", o.unit}, {"why", o.why}, {"remedy", o.remedy}});
  const Json out = {{"ctid", id}, {"running", running}, {"migratable", list.empty()}, {"obstacles", list}};
  std::puts(pretty_json(out).c_str());
}

// What the other host has to say is for vzmigrate --dry-run.
Result<int> run_migratable(Context& ctx) {
  TRY_AS(const Parsed p, parse_only_options(ctx.args, kOptions));
  TRY_AS(const runtime::Container ct, container(ctx));
  const bool running = state::running(ctx.host.paths, ct.id).has_value();
  std::string no_criu;
  std::vector<checkpoint::Obstacle> obstacles;
  if (running) {
    if (const auto criu = checkpoint::criu_program(ctx.host); !criu) no_criu = criu.error().text;
    TRY_AS(obstacles, checkpoint::obstacles(ctx.host, ct));
  }
  const bool good = no_criu.empty() && obstacles.empty();
  if (p.has("json")) {
    print_json(ct.id, running, no_criu, obstacles);
    return good ? 0 : kCannot;
  }
  if (!no_criu.empty()) log::info("{}", no_criu);
  for (const checkpoint::Obstacle& o : obstacles) log::info("{}", text(o));
  if (good) log::info("CT {} can be moved{}", ct.id, running ? " running" : ": it does not run");
  return good ? 0 : kCannot;
}

}  // namespace

constinit const Command kMigratable = {.name = "migratable",
                                       .args = "[-j]",
                                       .summary = "can it be moved running? else what is in the way",
                                       .run = run_migratable};

}  // namespace vz::cli
