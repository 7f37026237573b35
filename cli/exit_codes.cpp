#include "cli/exit_codes.h"

#include <utility>

namespace vz::cli {

namespace {
constexpr std::pair<Code, int> kExitCodes[] = {
    {Code::usage, 20},
    {Code::invalid, 21},
    {Code::unsupported, 5},
    {Code::denied, 12},
    {Code::timeout, 15},
    {Code::locked, 9},
    {Code::no_global_config, 10},
    {Code::no_ct_config, 14},
    {Code::running, 32},
    {Code::not_running, 31},
    {Code::mounted, 41},
    {Code::not_mounted, 40},
    {Code::no_private, 43},
    {Code::private_exists, 44},
    {Code::no_space, 46},
    {Code::bad_template, 47},
    {Code::private_failed, 48},
    {Code::mount_failed, 50},
    {Code::umount_failed, 51},
    {Code::destroy_failed, 52},
    {Code::start_failed, 7},
    {Code::stop_failed, 33},
    {Code::start_disabled, 105},
    {Code::wait_failed, 133},
    {Code::exec_failed, 8},
    {Code::cgroup_failed, 1},
    {Code::cpu_failed, 2},
    {Code::limits_missing, 28},
    {Code::diskspace_unset, 63},
    {Code::resize_failed, 154},
    {Code::network_failed, 130},
    {Code::address_in_use, 78},
    {Code::bad_address, 71},
    {Code::bad_hostname, 70},
    {Code::password_failed, 74},
    {Code::script_failed, 79},
    {Code::name_conflict, 131},
    {Code::config_save_failed, 139},
    {Code::config_sample_missing, 82},
    {Code::applyconfig_failed, 109},
    {Code::file_missing, 11},
    {Code::device_failed, 86},
    {Code::template_missing, 91},
    {Code::template_unset, 29},
    {Code::checkpoint_failed, 16},
    {Code::restore_failed, 17},
    {Code::quota_on_failed, 60},
    {Code::quota_init_failed, 61},
    {Code::quota_off_failed, 66},
    {Code::io_failed, 148},
    {Code::convert_failed, 155},
    {Code::compact_failed, 166},
    {Code::in_doubt, 200},
};
constexpr int kSystemError = 3;
}  // namespace

int exit_code(Code code) {
  for (const auto& [c, status] : kExitCodes)
    if (c == code) return status;
  return kSystemError;
}

}  // namespace vz::cli
