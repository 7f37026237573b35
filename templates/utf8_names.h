// libarchive converts the UTF-8 names of pax headers to the character set of the locale. In the C locale that fails.
#pragma once

#include <locale.h>

namespace vz::templates {

// While it lives, this thread's names are UTF-8.
class Utf8Names {
 public:
  Utf8Names();
  ~Utf8Names();
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t ours_, before_;
};

}  // namespace vz::templates
