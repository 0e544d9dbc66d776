// The announcements of this gateway on disk, so that a restart - planned or not - keeps leases and
// instance ids (docs/protocol.md, U18): STATE_DIR/announcements.a and .b, JSON in a StateFile, written in
// the background. Of another boot of the machine nothing is taken: no pod has survived it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dmsc/runtime/background_writer.hpp"
#include "dmsc/runtime/state_file.hpp"
#include "sgd/announcements.hpp"

namespace dmsc::sgd {

// `boot`: which start of the machine this is.
std::string encode_announcements(const std::vector<SavedAnnouncement>& saved, const std::string& boot);
// Empty if it was written under another boot. The error names the entry.
Result<std::vector<SavedAnnouncement>> decode_announcements(std::string_view text, const std::string& boot);

// The kernel's id of this boot; empty if it tells none.
std::string boot_id();

// Control thread.
class AnnouncementStore {
 public:
  // `state_dir` empty: nothing is kept.
  explicit AnnouncementStore(const std::string& state_dir);
  // What was saved. A damaged copy, or content that does not parse, is logged by name and ignored.
  std::vector<SavedAnnouncement> load();
  // Saves if something differs from what was saved last. Does not wait for the disk.
  void save(const std::vector<SavedAnnouncement>& announcements);
  // Returns when it is on disk.
  void flush();

 private:
  std::string path_, boot_;
  runtime::StateFile file_;
  std::vector<SavedAnnouncement> last_;
  std::unique_ptr<runtime::BackgroundWriter> writer_;
};

}  // namespace dmsc::sgd
