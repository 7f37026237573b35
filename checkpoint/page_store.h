// Memory that has come from a page source (page_source.h) and waits for criu's "lazy-pages" to fetch it, in CRIU's page
// server protocol. Source: criu/page-xfer.c of CRIU 4.2.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"

namespace vz::checkpoint {

// Takes pages from SOURCE (a socket) and answers CRIU on CRIU_SOCKET, asking SOURCE for what has not come yet. Calls
// WHEN_WHOLE when all memory is here: SOURCE is needed no more. Until CRIU has all it wants as well; VERSION is its
// version: 4.2 changed the messages. Code::peer when SOURCE hangs up before it was whole. What arrives is foreign:
// bounded, and never used as anything but the contents of pages.
Result<void> store_pages(int source, int criu_socket, std::string_view version,
                         const std::function<Result<void>()>& when_whole);

}  // namespace vz::checkpoint
