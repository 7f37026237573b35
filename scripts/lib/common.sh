# shellcheck shell=bash
# Sourced by the scripts of this directory.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}
need_root() { [ "$(id -u)" = 0 ] || die "must be run as root"; }

# The mirror of the distribution itself, out of the machine's apt sources.
mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)' 'Identifier: Packages' |
    awk -F '|' -v codename="$(. /etc/os-release && echo "${VERSION_CODENAME-}")" '
      $2 != "main" || $3 !~ /^[a-z]+$/ { next } # not the updates, not security
      $1 == "Debian" || ($1 == "" && $3 == codename) { print $4; exit }'
}
