// How a reply is shown: known topics have their columns in a chosen order, everything else is shown
// as it comes, so that a newer daemon's topics need no newer ctl.
#pragma once
#include <string>

#include "format.hpp"
#include "table.hpp"

namespace dmsc::ctl {

struct ViewOptions {
  Style style;
  bool wide = false;  // every key, also those usually left out
};

// `document`: {"schema","daemon","node","topic","rows":[...]} or with "value":{...}. Never throws
// for a document of another shape; it is then shown as JSON.
std::string render_document(const Json& document, const ViewOptions& options);
std::string render_rows(const std::string& topic, const Json& rows, const ViewOptions& options);
std::string render_value(const Json& value, const ViewOptions& options);

}  // namespace dmsc::ctl
