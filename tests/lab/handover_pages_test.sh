#!/bin/bash
# handover_test.sh for a move whose memory goes ahead to a page store, at those steps that have to do with it.
[ "$(uname -r | awk -F. '{ print $1 * 100 + $2 }')" -ge 607 ] || {
  echo "skipped: nothing tells which memory is written before Linux 6.7"
  exit 77
}
export VESSEL_HOW="--online --precopy 3" VESSEL_MIB=16
export VESSEL_STEPS="${VESSEL_STEPS-memory-copied dumped restored told}"
export VESSEL_FAULTS="${VESSEL_FAULTS-here source destination criu-destination page-path}"
exec "$(dirname "$0")/handover_test.sh"
