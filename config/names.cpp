// Texts that become names elsewhere: of hosts, containers, capabilities.
#include <algorithm>

#include "base/strings.h"
#include "config/codecs.h"

namespace vz::config {

namespace {

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool valid_label(std::string_view s) {
  return !s.empty() && s.size() <= 63 && s.front() != '-' && s.back() != '-' &&
         std::all_of(s.begin(), s.end(), [](char c) { return alphanumeric(c) || c == '-' || c == '_'; });
}

bool valid_labels(std::string_view text) {
  const auto labels = split(text, '.');
  return !labels.empty() && std::all_of(labels.begin(), labels.end(), valid_label);
}

}  // namespace

Result<void> check_hostname(std::string_view text) {
  constexpr size_t kKernelLimit = 64;
  if (text.size() > kKernelLimit)
    return fail(Code::invalid, "'{}' is not a host name: longer than {} characters", printable(text), kKernelLimit);
  if (!valid_labels(text))
    return fail(Code::invalid, "'{}' is not a host name: letters, digits, '-' and '_' between dots", printable(text));
  return {};
}

Result<void> check_domain(std::string_view text) {
  const std::string_view body = text.size() > 1 && text.back() == '.' ? text.substr(0, text.size() - 1) : text;
  if (body.size() > 253 || !valid_labels(body))
    return fail(Code::invalid, "'{}' is not a domain name", printable(text));
  return {};
}

Result<void> check_name(std::string_view text) {
  const auto allowed = [](char c) {
    return alphanumeric(c) || std::string_view(" -+_.").find(c) != std::string_view::npos;
  };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || text.size() > 255 || !std::all_of(text.begin(), text.end(), allowed))
    return fail(Code::invalid, "'{}' is not a container name: letters, digits, and any of \" -+_.\"", printable(text));
  if (text.front() == '.' || trim(text) != text)
    return fail(Code::invalid, "'{}' is not a container name: it begins with a dot, or begins or ends with a space",
                text);
  if (std::all_of(text.begin(), text.end(), digit))
    return fail(Code::invalid, "'{}' is not a container name: a number is taken as a CTID", text);
  return {};
}

const std::vector<std::string_view>& capability_names() {
  static const std::vector<std::string_view> kNames = words(
      "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
      "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot "
      "sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease "
      "audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read "
      "perfmon bpf checkpoint_restore");
  return kNames;
}

Result<Capability> parse_capability(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string state = colon == std::string_view::npos ? std::string() : to_lower(text.substr(colon + 1));
  if (state != "on" && state != "off")
    return fail(Code::invalid, "'{}' is not a capability setting: NAME:on or NAME:off", printable(text));
  std::string name = to_lower(text.substr(0, colon));
  if (name.starts_with("cap_")) name.erase(0, 4);
  const auto& known = capability_names();
  if (name != "ve_admin" && name != "setveid" && std::find(known.begin(), known.end(), name) == known.end())
    return fail(Code::invalid, "'{}' is not a capability", printable(name));
  return Capability{std::move(name), state == "on"};
}

}  // namespace vz::config
