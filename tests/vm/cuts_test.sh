#!/bin/bash
# The power of the source, of the destination and of both fails at the steps of a live move that decide whose the container is;
# VESSEL_STEPS="...": at others.
export VESSEL_BED=vm VESSEL_FAULTS=${VESSEL_FAULTS-power-source power-destination power-both}
export VESSEL_STEPS=${VESSEL_STEPS-frozen ready handed told active released gone}
exec "$(dirname "$0")/../lab/handover_test.sh" "$@"
