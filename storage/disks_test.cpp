#include "storage/disks.h"
#include "tests/catch.h"

using namespace vz;

TEST_CASE("disks: the chosen scheduler") {
  CHECK(storage::chosen_scheduler("none mq-deadline [bfq] kyber\n") == "bfq");
  CHECK(storage::chosen_scheduler("[none] mq-deadline\n") == "none");
  CHECK(storage::chosen_scheduler("none\n").empty());
  CHECK(storage::chosen_scheduler("[]").empty());
  CHECK(storage::chosen_scheduler("").empty());
}

TEST_CASE("disks: what is on none has none") {
  CHECK(storage::disks_below("/proc").empty());
  CHECK(storage::disks_below("/no/such/directory").empty());
}
