// A folder that one process works in: made with its parents where it is not there, and locked.
//
// Until keep() is called the claim may still be given up: its destructor then leaves everything as
// it was found, without the lock file and the folders that the claim made. What else was written
// stays, and the folders around it.
//
// Threads: one at a time.  Lifetime: the lock is held as long as the claim.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/files.h"

namespace fathom {

class FolderClaim {
 public:
  // Error(kRuntime) where another process holds the lock, FOLDER/LOCK_NAME.
  FolderClaim(const std::string& folder, std::string_view lock_name);
  ~FolderClaim();
  FolderClaim(const FolderClaim&) = delete;
  FolderClaim& operator=(const FolderClaim&) = delete;

  void keep() { kept_ = true; }

 private:
  void remove_made_folders();

  std::vector<std::string> made_folders_;  // innermost first
  bool made_file_ = false, kept_ = false;
  std::optional<FileLock> lock_;
};

}  // namespace fathom
