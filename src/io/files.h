// Files: reading, atomic replacement, memory maps, locks, and folders that appear whole or not at
// all.
//
// Every error is fathom::Error(kRuntime) and names the path and the system's reason; a full disk is
// called "disk full". Threads: objects belong to one thread at a time, free functions to any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

std::string read_file(const std::string& path);

// Readers see the old content or the new, never a mixture, also after a crash: the text is written
// to a hidden file beside, synced, and renamed over `path`.
void write_file_atomically(const std::string& path, std::string_view content);

bool exists(const std::string& path);
// What the file system of an existing path, or of the nearest parent that exists, can still take.
uint64_t free_disk_bytes(const std::string& path);
bool is_directory(const std::string& path);
bool is_file(const std::string& path);  // with content: no folder, pipe or device
uint64_t file_size(const std::string& path);

void make_directories(const std::string& path);                    // with parents; fine when there
std::vector<std::string> list_directory(const std::string& path);  // names without "." "..", sorted
void remove_all(const std::string& path);                          // fine when absent
std::string join_path(std::string_view folder, std::string_view name);

// Makes everything under `temp_dir` durable and renames it to `final_dir` in one step, so that a
// kill at any moment leaves either no `final_dir` (or the old one) or all of the new one. Both must
// be on one file system. An existing `final_dir` is exchanged and then removed.
void publish_directory(const std::string& temp_dir, const std::string& final_dir);
// The same around `write`, which fills an empty hidden folder beside `final_dir`. Where one of them
// fails, nothing of it stays; what a killed process left there is removed first. Error where
// another process writes the same folder.
void write_directory(const std::string& final_dir,
                     const std::function<void(const std::string& folder)>& write);

// A file being written, front to back or at given places. finish() makes it durable; without
// finish() (an error on the way) the destructor removes it, so that no half-written file stays.
class OutputFile {
 public:
  explicit OutputFile(std::string path);  // creates or empties it
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void write_at(uint64_t offset, std::span<const std::byte> bytes);  // moves no position of write()
  void finish();                                                     // fsync and close
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

// A file that grows by whole pieces, such as lines of a log. A piece that cannot be written whole
// (a full disk) leaves nothing behind. What was there before stays.
class AppendFile {
 public:
  explicit AppendFile(std::string path);  // creates it when absent
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&&) = delete;

  void write(std::string_view text);  // is with the system when it returns, so a kill loses nothing
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

// A file mapped read-only. The size is that of the moment of opening; bytes() checks its range
// against it and asks the system again, because touching a page beyond the end of a file that
// somebody cut short would kill the process (SIGBUS).
class MappedFile {
 public:
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  uint64_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return bytes(0, size_); }
  std::span<const std::byte> bytes(uint64_t begin, uint64_t end) const;

  // Asks the system to read these bytes in the background.
  void will_need(uint64_t begin, uint64_t end) const;
  // Gives back the memory of all that was touched; it is read again where it is touched again.
  void release() const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
  const std::byte* data_ = nullptr;  // null when the file is empty
  uint64_t size_ = 0;
};

// An exclusive lock on a file, held until destruction or the end of the process, however it ends.
// The file holds the pid of the holder, for the message of whoever comes second. It stays, unless
// the holder removes it.
class FileLock {
 public:
  explicit FileLock(std::string path);  // throws when another holds it
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

  // Deletes the file; the lock is held still, and whoever comes next makes a new file.
  void remove_file();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace fathom
