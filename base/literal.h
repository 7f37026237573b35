// A string literal as a template argument.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace vz {

template <size_t N>
struct Literal {
  char text[N];
  constexpr Literal(const char (&t)[N]) { std::copy_n(t, N, text); }  // NOLINT: implicit, as it is to be written
  constexpr std::string_view view() const { return {text, N - 1}; }
};

}  // namespace vz
