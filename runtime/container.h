// One configured container and the slices of it that the layers below take.
#pragma once

#include <string>

#include "base/result.h"
#include "cgroups/cgroups.h"
#include "config/config.h"
#include "net/net.h"
#include "runtime/host.h"
#include "storage/storage.h"
#include "sys/namespaces.h"

namespace vz::runtime {

struct Container {
  config::CtId id = 0;
  config::File file;    // CTID.conf as it is on disk
  config::CtSpec spec;  // it, with vz.conf's defaults
  storage::Area area;
  net::Plan network;
  sys::IdRange ids;

  // As this host can keep them. Code::invalid: it has none of the CPUs or nodes; Code::unsupported: IOLIMIT and
  // IOPSLIMIT need a block device, that of the mounted area.
  Result<cgroups::Limits> limits() const;
  storage::Quota quota() const;
  std::string hostname() const;                  // HOSTNAME, else "ctCTID"
  std::string dump_dir(const Host& host) const;  // DUMPDIR/Dump.CTID
};

// Code::no_ct_config when CTID.conf is absent.
Result<Container> load_container(const Host& host, config::CtId id);
// The same from a file that is not (yet) on disk: create, a peer's configuration.
Result<Container> make_container(const Host& host, config::CtId id, config::File file);
Result<void> save_container(const Host& host, const Container& ct);

// CT as it runs: with what `set` changed without --save. CT itself when it does not run or nothing differs.
Result<Container> live_container(const Host& host, const Container& ct);
// Remembers LIVE for as long as the CT runs (beside its running state).
Result<void> note_live(const Host& host, const Container& live);

// cgroups::Group of this CT, on the hierarchies of this host (looked at once per process).
Result<cgroups::Group> group_of(const Container& ct);
// Makes it, without processes, with the limits of CT. The caller removes it after a failure.
Result<void> make_group(const Container& ct);

}  // namespace vz::runtime
