#include "runtime/create.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "runtime/scripts.h"
#include "sys/files.h"
#include "templates/templates.h"

namespace vz::runtime {

namespace {

Result<void> fill(const storage::Area& area, const std::string& hostname, const templates::Template& from) {
  TRY(storage::mount(area));
  Rollback undo;
  undo.add("unmount", [area] { return storage::umount(area); });
  auto unpacked = templates::unpack_by_helper(from.path, area.root_dir);
  if (!unpacked) return std::move(unpacked).error().with_code(Code::private_failed);
  TRY_AS(sys::UniqueFd root, sys::open(area.root_dir, O_PATH | O_DIRECTORY));
  TRY(templates::check_tree(root.get()));
  TRY(templates::personalize(root.get(), hostname));
  return storage::flush_to_image(area);  // unmounted by `undo`
}

}  // namespace

Result<config::File> read_sample(const Host& host, const std::string& name) {
  if (name.empty()) return config::File{};
  if (name.find('/') != std::string::npos)
    return fail(Code::config_sample_missing, "Bad sample name '{}'", printable(name));
  const std::string path = fmt::format("{}/ve-{}.conf-sample", host.paths.conf_dir, name);
  auto text = sys::read_file(path);
  if (!text) return fail(Code::config_sample_missing, "Sample config file not found: {}", path);
  config::File file = config::File::parse(*text);
  TRY(file.set("ORIGIN_SAMPLE", name));
  return file;
}

Result<Container> create(const Host& host, config::CtId id, const CreateOptions& options) {
  const std::string conf_path = host.paths.conf(id);
  if (options.sample && sys::exists(conf_path))
    return fail(Code::config_sample_missing, "{} exists already: --config cannot be used with it", conf_path);
  if (const auto others = state::sharing_ids(host.paths, id); !others.empty())
    return fail(Code::invalid, "CT {} would share its range of user ids with CT {}: choose another CTID", id,
                others.front());
  config::File file;
  if (auto present = sys::read_file(conf_path))
    file = config::File::parse(*present);
  else {
    TRY_AS(file, read_sample(host, options.sample.value_or(host.conf.configfile)));
  }
  if (options.ostemplate) TRY(file.set("OSTEMPLATE", *options.ostemplate));
  if (!file.get("OSTEMPLATE") && !host.conf.def_ostemplate.empty())
    TRY(file.set("OSTEMPLATE", host.conf.def_ostemplate));
  if (options.apply) TRY(options.apply(file));
  TRY_AS(Container ct, make_container(host, id, file));
  if (!ct.spec.ostemplate)
    return fail(Code::template_unset, "No OS template given: use --ostemplate NAME or set DEF_OSTEMPLATE in vz.conf");
  TRY_AS(templates::Template from, templates::find(host.cache_dir(), *ct.spec.ostemplate));

  if (!ct.file.get("VE_ROOT"))
    TRY(ct.file.set("VE_ROOT", host.conf_file.get("VE_ROOT").value_or("/var/lib/vz/root/$VEID")));
  if (!ct.file.get("VE_PRIVATE"))
    TRY(ct.file.set("VE_PRIVATE", host.conf_file.get("VE_PRIVATE").value_or("/var/lib/vz/private/$VEID")));
  ct.area.layout = ct.spec.layout.value_or(config::Layout::image);
  TRY(ct.file.set("VE_LAYOUT", ct.area.layout == config::Layout::image ? "image" : "dir"));
  if (storage::area_exists(ct.area.private_dir))
    return fail(Code::private_exists, "Private area already exists in {}", ct.area.private_dir);

  // Under another name until it is whole: what a killed create leaves is never taken for a container.
  storage::Area half = ct.area;
  half.private_dir += ".creating";
  if (storage::is_mounted(half)) TRY(storage::umount(half));
  if (storage::area_exists(half.private_dir)) TRY(storage::destroy(half));
  TRY_AS(const std::string digest, templates::digest(from));
  TRY(ct.file.set("OSTEMPLATE_DIGEST", digest));
  log::info("Creating container private area ({})", *ct.spec.ostemplate);
  Rollback undo;
  undo.add("remove the private area",
           [half] { return storage::area_exists(half.private_dir) ? storage::destroy(half) : Result<void>(); });
  TRY(storage::create(half, ct.quota()));
  TRY(fill(half, ct.hostname(), from));
  log::info("Performing postcreate actions");
  if (ct.spec.name) {
    TRY(state::assign_name(host.paths, id, *ct.spec.name, ""));
    undo.add("release the name",
             [&host, id, name = *ct.spec.name] { return state::assign_name(host.paths, id, "", name); });
  }
  undo.add("remove the configuration", [conf_path] { return sys::remove_file(conf_path); });
  TRY(save_container(host, ct));
  if (::rename(half.private_dir.c_str(), ct.area.private_dir.c_str()) != 0)
    return fail_sys(errno, "rename '{}' to '{}'", half.private_dir, ct.area.private_dir);
  undo.add("remove the private area", [ct]() -> Result<void> {
    if (storage::is_mounted(ct.area)) TRY(storage::umount(ct.area));
    return storage::destroy(ct.area);
  });
  TRY(run_scripts(host, ct, Event::create));
  undo.commit();
  TRY(remove_put_away(host, id, ".destroyed"));
  log::info("CT configuration saved to {}", conf_path);
  log::info("Container private area was created");
  return ct;
}

}  // namespace vz::runtime
