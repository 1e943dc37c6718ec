#include "io/folder_claim.h"

#include <unistd.h>

#include <filesystem>

namespace fathom {
namespace {

// The folders that making `folder` will make, innermost first.
std::vector<std::string> absent_folders(const std::string& folder) {
  std::vector<std::string> absent;
  for (std::filesystem::path at = folder; !at.empty() && !exists(at.string());
       at = at.parent_path()) {
    if (at.has_filename()) absent.push_back(at.string());
  }
  return absent;
}

}  // namespace

FolderClaim::FolderClaim(const std::string& folder, std::string_view lock_name)
    : made_folders_(absent_folders(folder)) {
  make_directories(folder);
  const std::string file = join_path(folder, lock_name);
  made_file_ = !exists(file);
  try {
    lock_.emplace(file);
  } catch (...) {
    remove_made_folders();
    throw;
  }
}

FolderClaim::~FolderClaim() {
  if (kept_) return;
  if (made_file_) lock_->remove_file();
  remove_made_folders();
}

// Only what is empty goes.
void FolderClaim::remove_made_folders() {
  for (const std::string& folder : made_folders_) ::rmdir(folder.c_str());
}

}  // namespace fathom
