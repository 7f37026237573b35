#include "templates/utf8_names.h"

namespace vz::templates {

Utf8Names::Utf8Names()
    : ours_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(ours_ ? ::uselocale(ours_) : nullptr) {}

Utf8Names::~Utf8Names() {
  if (!ours_) return;
  ::uselocale(before_);
  ::freelocale(ours_);
}

}  // namespace vz::templates
