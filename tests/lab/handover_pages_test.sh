#!/bin/bash
# handover_test.sh for a move whose memory goes ahead to a page store, at those steps that have to do with it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/moves.sh"
tracks_writes || skip "nothing tells which memory is written before Linux 6.7"
allow_pages
export VESSEL_HOW="--online --precopy 3" VESSEL_MIB=16
export VESSEL_STEPS="${VESSEL_STEPS-memory-copied dumped restored told}"
export VESSEL_FAULTS="${VESSEL_FAULTS-here source destination criu-destination page-path}"
"$(dirname "$0")/handover_test.sh"
