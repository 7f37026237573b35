// Values for errors: Result<T> holds a T or an Error. A function that can fail returns one and logs nothing;
// whoever knows a noun (a file, a container, a host) puts it in front with context(); cli prints the line once.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace vz {

// What went wrong, as far as a caller may act on it. cli/exit_codes.cpp maps each to vzctl's exit status.
enum class Code {
  system,            // the kernel or a helper program refused
  usage,             // bad command line
  invalid,           // bad value, bad CTID, malformed foreign input
  unsupported,       // this host lacks a feature
  not_found,         // generic absence
  exists,            // generic presence
  denied,            // not permitted
  timeout,           // a deadline passed
  peer,              // the other side of a channel died or broke the protocol
  cancelled,         // by a signal (Ctrl-C)
  in_doubt,          // the peer may or may not have done it: ask before acting
  locked,            // another operation holds the container
  no_global_config,  // vz.conf missing
  no_ct_config,      // CTID.conf missing
  running,           // must be stopped first
  not_running,       // must be running
  mounted,
  not_mounted,
  no_private,  // private area missing
  private_exists,
  no_space,
  bad_template,  // no init or shell in it
  template_missing,
  template_unset,  // no OSTEMPLATE
  private_failed,  // private area cannot be made
  mount_failed,
  umount_failed,
  destroy_failed,
  start_failed,
  stop_failed,
  start_disabled,
  wait_failed,
  exec_failed,
  cgroup_failed,
  cpu_failed,
  limits_missing,
  diskspace_unset,
  resize_failed,
  network_failed,
  address_in_use,
  bad_address,
  bad_hostname,
  password_failed,
  script_failed,
  name_conflict,
  config_save_failed,
  config_sample_missing,
  checkpoint_failed,
  restore_failed,
  connect_failed,  // the other host
  copy_failed,
  cpu_mismatch,  // the other host's CPU lacks what running programs may use
  applyconfig_failed,
  file_missing,
  device_failed,
  io_failed,  // IOLIMIT, IOPSLIMIT
  quota_on_failed,
  quota_init_failed,
  quota_off_failed,
  convert_failed,
  compact_failed,
};
constexpr Code kLastCode = Code::compact_failed;

struct Error {
  Code code = Code::system;
  int sys_errno = 0;  // 0 when no system call was involved
  std::string text;

  // "open '/x': No such file or directory"
  static Error sys(int err, std::string_view what, Code code = Code::system);
  static Error make(Code code, std::string text) { return Error{code, 0, std::move(text)}; }

  bool disk_full() const;  // or somebody's share of it is
  // "OUTER: text"; keeps code and errno.
  Error&& context(std::string_view outer) &&;
  Error&& with_code(Code c) && {
    code = c;
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error e) : v_(std::in_place_index<1>, std::move(e)) {}      // NOLINT(google-explicit-constructor)
  explicit operator bool() const { return v_.index() == 0; }
  T& operator*() { return *std::get_if<0>(&v_); }
  const T& operator*() const { return *std::get_if<0>(&v_); }
  T* operator->() { return std::get_if<0>(&v_); }
  const T* operator->() const { return std::get_if<0>(&v_); }
  Error& error() & { return *std::get_if<1>(&v_); }
  const Error& error() const& { return *std::get_if<1>(&v_); }
  Error&& error() && { return std::move(*std::get_if<1>(&v_)); }
  T value_or(T other) const { return *this ? **this : std::move(other); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error e) : e_(std::move(e)) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const { return !e_; }
  Error& error() & { return *e_; }
  const Error& error() const& { return *e_; }
  Error&& error() && { return std::move(*e_); }

 private:
  std::optional<Error> e_;
};

namespace detail {
inline Error with_context(Error e) { return e; }
template <class... Args>
Error with_context(Error e, fmt::format_string<Args...> f, Args&&... args) {
  return std::move(e).context(fmt::format(f, std::forward<Args>(args)...));
}
}  // namespace detail

#define VZ_CAT2(a, b) a##b
#define VZ_CAT(a, b) VZ_CAT2(a, b)

// TRY(expr [, "context {}", args...]): on failure return its Error, with the formatted context in front.
#define TRY(expr, ...)                                                                         \
  do {                                                                                         \
    if (auto try_r_ = (expr); !try_r_)                                                         \
      return ::vz::detail::with_context(std::move(try_r_).error() __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)

// TRY_AS(declaration, expr [, "context {}", args...]): the same, and binds the value.
#define TRY_AS(decl, expr, ...)                                                                                \
  auto VZ_CAT(try_r_, __LINE__) = (expr);                                                                      \
  if (!VZ_CAT(try_r_, __LINE__))                                                                               \
    return ::vz::detail::with_context(std::move(VZ_CAT(try_r_, __LINE__)).error() __VA_OPT__(, ) __VA_ARGS__); \
  decl = std::move(*VZ_CAT(try_r_, __LINE__))

// fail(code, "format {}", args...): an Error to return.
template <class... Args>
Error fail(Code code, fmt::format_string<Args...> f, Args&&... args) {
  return Error{code, 0, fmt::format(f, std::forward<Args>(args)...)};
}
// fail_sys(errno, "format {}", args...): the same with ": strerror" behind.
template <class... Args>
Error fail_sys(int err, fmt::format_string<Args...> f, Args&&... args) {
  return Error::sys(err, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace vz
