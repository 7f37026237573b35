# shellcheck shell=bash
# Sourced: control groups of a lab host, the same directory in every hierarchy, v1 and v2.
# On v2 the processes sit in a leaf, so that the host may hand controllers to groups beside it.

readonly v2_leaf=init.scope

# "MOUNTPOINT TYPE OPTIONS" of each hierarchy.
cgroup_mounts() {
  awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/ && !seen[$5]++) print $5, $(i + 1), $(i + 3) }' \
    /proc/self/mountinfo
}

# What mount(8) needs to mount the hierarchy with these superblock options once more.
cgroup_mount_options() {
  local option wanted=()
  for option in ${1//,/ }; do
    case $option in
      rw | xattr | release_agent=*) ;;
      name=*) wanted+=(none "$option") ;;
      *) wanted+=("$option") ;;
    esac
  done
  (IFS=, && echo "${wanted[*]}")
}

# A new cpuset group on v1 has no CPU and no memory, and takes no process.
fill_cpuset() {
  local file
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$1/$file" ] || [ -n "$(<"$1/$file")" ] || cat "$1/../$file" >"$1/$file"
  done
}

offer_controllers() {
  local controller
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control"
  done
}

# make_cgroups A/B: the groups A and A/B everywhere.
make_cgroups() {
  local at type options part dir leaves=() v1=() v2=()
  while read -r at type options; do
    if [ "$type" = cgroup2 ]; then v2+=("$at") leaves+=("$at/$1/$v2_leaf"); else v1+=("$at") leaves+=("$at/$1"); fi
  done < <(cgroup_mounts)
  mkdir -p "${leaves[@]}"
  for at in ${v1[@]+"${v1[@]}"}; do
    dir=$at
    for part in ${1//\// }; do
      dir=$dir/$part
      fill_cpuset "$dir"
    done
  done
  for at in ${v2[@]+"${v2[@]}"}; do
    offer_controllers "$at"
    offer_controllers "$at/${1%%/*}"
  done
}

# join_cgroups A/B: this very process. On v1 writing 0 to "tasks" is a hundred times faster than cgroup.procs.
join_cgroups() {
  local at type options
  while read -r at type options; do
    case $type in
      cgroup) echo 0 >"$at/$1/tasks" ;;
      cgroup2) echo 0 >"$at/$1/${2-$v2_leaf}/cgroup.procs" ;;
    esac
  done < <(cgroup_mounts)
}

# All groups of A, deepest first.
list_cgroups() {
  local at type options
  while read -r at type options; do
    [ ! -d "$at/$1" ] || find "$at/$1" -depth -type d
  done < <(cgroup_mounts)
}

# Kills what is left in the groups and removes them.
remove_cgroups() {
  local attempt dir pid dirs
  for ((attempt = 0; attempt < 200; attempt++)); do
    mapfile -t dirs < <(list_cgroups "$1")
    [ ${#dirs[@]} -gt 0 ] || return 0
    for dir in "${dirs[@]}"; do
      [ ! -e "$dir/freezer.state" ] || echo THAWED >"$dir/freezer.state"
      while read -r pid; do
        [ "$pid" = $$ ] || [ "$pid" = 0 ] || kill -KILL "$pid"
      done <"$dir/cgroup.procs"
    done 2>/dev/null
    rmdir "${dirs[@]}" 2>/dev/null && return
    sleep 0.03
  done
  return 1
}
