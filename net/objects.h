// Addresses, routes, rules and permanent neighbours of a namespace as records, and the way from what is there to what
// was saved.
#pragma once

#include <vector>

#include "base/result.h"
#include "net/record.h"

namespace vz::net {

class Netlink;

enum class ObjectKind { address, route, rule, neighbour };
const Kind& object_kind(ObjectKind kind);

// In the kernel's order. Left out: routes of the table "local", which follow from the addresses; neighbours that were
// learnt.
Result<std::vector<Record>> read_objects(Netlink& socket, ObjectKind kind);

// Afterwards the namespace has exactly WANTED (neighbours: at least). Addresses are usable at once: nobody is asked
// whether they are duplicates.
Result<void> make_objects(Netlink& socket, ObjectKind kind, const std::vector<Record>& wanted);

// The device that RECORD is about; 0: none (a rule, an unreachable route).
int device_of(ObjectKind kind, const Record& record);
// What two descriptions of one object have in common: without counters, clocks and link states.
Record comparable(ObjectKind kind, Record record);

}  // namespace vz::net
