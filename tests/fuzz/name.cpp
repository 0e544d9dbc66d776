// Names in text and DNS form.
#include "dmsc/name/name.hpp"

#include "harness.hpp"

using namespace dmsc;

void fuzz::one_input(ByteView data) {
  std::string_view text = as_text(data);
  Result<Name> name = Name::parse(text);
  if (name.ok()) {
    require(name->text() == text, "the canonical form is the only one");
    require(name->component_count() == name->components().size(), "components are counted right");
    require(name->covers(*name), "a name covers itself");
    require(name->parent().empty() || name->parent().covers(*name), "a parent covers its child");
    if (std::optional<std::string> dns = to_dns(*name, "svc.dmsc")) {
      Result<Name> back = from_dns(*dns, "svc.dmsc");
      require(back.ok() && back->text() == name->folded(), "DNS form leads back");
    }
  }
  (void)from_dns(text, "svc.dmsc");
  std::uint8_t ends[kMaxNameComponents];
  std::size_t n = component_ends(text.substr(0, kMaxNameBytes), ends);
  require(n <= kMaxNameComponents, "at most 16 component ends");
}

void fuzz::seeds(SeedWriter& out) {
  for (std::string_view text : {"A/1", "shop/cart/v2", "a.b~c/d_e-f", "4.b.svc.dmsc", "B.SVC.dmsc.",
                                "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "a//b"}) {
    out(as_bytes(text));
  }
}
