// What is typed at a console: everything is the guest's, but for what follows an Esc.
#pragma once

#include <string>
#include <string_view>

namespace vz::runtime {

enum class Asked { nothing, detach, attention };

// Esc "." detaches, Esc "!" is the secure attention key. The Esc itself has been passed on by then: a guest's editor is
// not kept waiting for the next key.
class DetachKeys {
 public:
  struct Typed {
    std::string text;  // for the guest
    Asked asked = Asked::nothing;
  };
  // What follows the keys that ask for something is dropped.
  Typed filter(std::string_view bytes) {
    constexpr char kEscape = '\033';
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (after_escape_ && (bytes[i] == '.' || bytes[i] == '!')) {
        after_escape_ = false;
        return {std::string(bytes.substr(0, i)), bytes[i] == '.' ? Asked::detach : Asked::attention};
      }
      after_escape_ = bytes[i] == kEscape;
    }
    return {std::string(bytes), Asked::nothing};
  }

 private:
  bool after_escape_ = false;
};

}  // namespace vz::runtime
