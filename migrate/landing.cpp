#include "migrate/landing.h"

#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/strings.h"
#include "checkpoint/lazy_pages.h"
#include "migrate/migrate.h"
#include "runtime/cleanup.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

using namespace std::chrono_literals;

std::string conf_of_copy(const runtime::Host& host, config::CtId id) { return host.paths.conf(id) + ".migrating"; }

std::string note_of_template(const runtime::Container& ct) { return on_copy(ct).area.private_dir + ".template"; }

Result<void> rename_if_there(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
  return fail_sys(errno, "rename '{}' to '{}'", from, to);
}

}  // namespace

runtime::Container on_copy(const runtime::Container& ct) {
  runtime::Container copy = ct;
  copy.area.private_dir += ".migrating";
  return copy;
}

Result<void> keep_conf(const runtime::Host& host, const runtime::Container& ct) {
  return sys::replace_file(conf_of_copy(host, ct.id), ct.file.text());
}

Result<runtime::Container> kept_container(const runtime::Host& host, config::CtId id) {
  auto text = sys::read_file(conf_of_copy(host, id));
  if (!text && text.error().sys_errno == ENOENT) return std::move(text.error()).with_code(Code::no_ct_config);
  TRY(text);
  TRY_AS(runtime::Container ct, runtime::make_container(host, id, config::File::parse(*text)));
  ct.area.layout = ct.spec.layout.value_or(config::Layout::image);
  return ct;
}

Result<void> note_template(const runtime::Container& ct, int64_t until) {
  const std::string note = note_of_template(ct);
  return until > 0 ? sys::replace_file(note, std::to_string(until), 0600) : sys::remove_file(note);
}

int64_t noted_template(const runtime::Container& ct) {
  const auto text = sys::read_file(note_of_template(ct));
  if (!text) return 0;
  return static_cast<int64_t>(parse_u64(*text).value_or(kAnyTime));
}

Result<void> settle(const runtime::Host& host, const runtime::Container& ct) {
  TRY(rename_if_there(on_copy(ct).area.private_dir, ct.area.private_dir));
  TRY(note_template(ct, 0));
  if (ct.spec.name) TRY(state::assign_name(host.paths, ct.id, *ct.spec.name, ""));
  return runtime::save_container(host, ct);
}

Result<void> forget_conf(const runtime::Host& host, config::CtId id) {
  return sys::remove_file(conf_of_copy(host, id));
}

Result<void> abandon(const runtime::Host& host, const runtime::Container& ct, bool keep_copy) {
  const storage::Area copy = on_copy(ct).area;
  TRY(runtime::clean_up(host, ct, runtime::Leave::mounted));
  TRY(checkpoint::end_lazy_pages(images_dir(host, ct.id)));
  TRY(remove_images_dir(images_dir(host, ct.id)));
  TRY(sys::remove_tree(ct.dump_dir(host)));
  TRY(sys::remove_file(host.paths.conf(ct.id)));
  if (ct.spec.name) TRY(state::assign_name(host.paths, ct.id, "", *ct.spec.name));
  TRY(rename_if_there(ct.area.private_dir, copy.private_dir));
  // rsync's far end, or a criu that was killed, may still be on its way out.
  if (storage::is_mounted(copy)) TRY(storage::umount(copy, 10s));
  if (!keep_copy) {
    TRY(note_template(ct, 0));
    auto gone = storage::destroy(copy);  // also what one that was killed had begun to
    if (!gone && gone.error().code != Code::no_private) return gone;
    (void)::rmdir(copy.root_dir.c_str());  // as destroy() does, which may have been killed before; somebody's stays
  }
  return forget_conf(host, ct.id);
}

}  // namespace vz::migrate
