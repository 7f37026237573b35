// The same for unit tests.
#pragma once
#include "cmake/precompiled.h"
#include "tests/catch.h"
