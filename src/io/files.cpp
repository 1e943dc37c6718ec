#include "io/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_at(std::string_view doing, const std::string& path, int error) {
  const std::string reason = std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT) {
    fail(ErrorCode::kRuntime, "disk full: ", doing, " ", path, ": ", reason,
         ". Free some space there or choose a folder on another disk.");
  }
  fail(ErrorCode::kRuntime, doing, " ", path, ": ", reason);
}

// Closes on every way out; for the functions below that finish what they open.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, std::string_view doing) {
    do {
      value_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    } while (value_ < 0 && errno == EINTR);
    if (value_ < 0) fail_at(doing, path, errno);
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_ = -1;
};

void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path) {
  // Linux moves at most 2 GiB a call; smaller pieces also keep a signal from waiting for one.
  constexpr size_t kPiece = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_at("writing", path, errno);
    if (written == 0) fail_at("writing", path, EIO);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void sync(int descriptor, const std::string& path) {
  if (::fsync(descriptor) != 0) fail_at("syncing", path, errno);
}

void sync_path(const std::string& path, int flags) {
  const Descriptor file(path, O_RDONLY | flags, "syncing");
  sync(file.get(), path);
}

std::string parent_of(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const std::string parent = fs::path(trimmed).parent_path().string();
  return parent.empty() ? "." : parent;
}

struct stat status_of(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail_at("reading the size of", path, errno);
  return status;
}

// Whether the open file is still the one that `path` names: its holder may have removed it since.
bool is_still_at(const Descriptor& file, const std::string& path) {
  struct stat opened {
  }, named{};
  return ::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file(path, O_RDONLY, "opening");
  const struct stat status = status_of(file.get(), path);
  std::string content;
  // The size is only a hint: files of /proc and pipes report 0.
  content.resize(std::max<size_t>(static_cast<size_t>(status.st_size) + 1, 4096));
  size_t filled = 0;
  while (true) {
    const ssize_t count = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_at("reading", path, errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
    if (filled == content.size()) content.resize(content.size() * 2);
  }
  content.resize(filled);
  return content;
}

void write_file_atomically(const std::string& path, std::string_view content) {
  const fs::path target(path);
  // The thread id keeps two writers of one path apart; a leftover of a killed process is
  // overwritten.
  const std::string name = concat(".", target.filename().string(), ".tmp-", ::gettid());
  const std::string temporary = join_path(parent_of(path), name);
  OutputFile file(temporary);
  file.write(content);
  file.finish();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_at("renaming onto", path, error);
  }
  sync_path(parent_of(path), O_DIRECTORY);
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

uint64_t free_disk_bytes(const std::string& path) {
  std::string there = path;
  while (!exists(there) && there != "." && there != "/") there = parent_of(there);
  struct statvfs status {};
  if (::statvfs(there.c_str(), &status) != 0) fail_at("asking for the free space of", there, errno);
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool is_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

uint64_t file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_at("reading the size of", path, errno);
  return static_cast<uint64_t>(status.st_size);
}

void make_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_at("creating folder", path, error.value());
}

std::vector<std::string> list_directory(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) fail_at("listing folder", path, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

void remove_all(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail_at("removing", path, error.value());
}

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  return concat(folder, folder.ends_with('/') ? "" : "/", name);
}

// ---- publishing -------------------------------------------------------------------------------

namespace {

// Children before parents, so that a folder's entry list is synced after what it lists.
void sync_tree(const std::string& folder) {
  for (const std::string& name : list_directory(folder)) {
    const std::string path = join_path(folder, name);
    const fs::file_status status = fs::symlink_status(path);
    if (fs::is_directory(status)) {
      sync_tree(path);
    } else if (fs::is_regular_file(status)) {
      sync_path(path, 0);
    }
  }
  sync_path(folder, O_DIRECTORY);
}

// Where the file system cannot exchange two names (NFS): the old folder steps aside first, so for
// an instant there is none.
void replace_in_two_steps(const std::string& temp_dir, const std::string& final_dir) {
  const std::string aside = temp_dir + ".old";
  remove_all(aside);
  if (std::rename(final_dir.c_str(), aside.c_str()) != 0) fail_at("renaming", final_dir, errno);
  if (std::rename(temp_dir.c_str(), final_dir.c_str()) != 0) {
    const int error = errno;
    std::rename(aside.c_str(), final_dir.c_str());
    fail_at("renaming onto", final_dir, error);
  }
  remove_all(aside);
}

}  // namespace

void publish_directory(const std::string& temp_dir, const std::string& final_dir) {
  if (!is_directory(temp_dir)) fail_at("publishing", temp_dir, ENOTDIR);
  sync_tree(temp_dir);
  const std::string parent = parent_of(final_dir);
  if (!exists(final_dir)) {
    if (std::rename(temp_dir.c_str(), final_dir.c_str()) != 0) {
      fail_at(concat("renaming ", temp_dir, " to"), final_dir, errno);
    }
    sync_path(parent, O_DIRECTORY);
    return;
  }
  if (::renameat2(AT_FDCWD, temp_dir.c_str(), AT_FDCWD, final_dir.c_str(), RENAME_EXCHANGE) == 0) {
    sync_path(parent, O_DIRECTORY);
    remove_all(temp_dir);  // by now the old content
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) {
    fail_at(concat("exchanging ", temp_dir, " with"), final_dir, errno);
  }
  replace_in_two_steps(temp_dir, final_dir);
  sync_path(parent, O_DIRECTORY);
}

namespace {

// A hidden folder that one process fills, empty at first. The lock is on the folder itself: it goes
// with it when the folder gets its name, and ends with the process.
Descriptor folder_to_fill(const std::string& path, const std::string& target) {
  for (;;) {
    make_directories(path);
    Descriptor folder(path, O_RDONLY | O_DIRECTORY, "opening");
    if (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) fail_at("locking", path, errno);
      fail(ErrorCode::kRuntime, target,
           " is being written by another process; wait until it is done, or choose another folder");
    }
    if (!is_still_at(folder, path)) continue;
    for (const std::string& name : list_directory(path)) remove_all(join_path(path, name));
    return folder;
  }
}

}  // namespace

void write_directory(const std::string& final_dir,
                     const std::function<void(const std::string& folder)>& write) {
  std::string target = final_dir;
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  const std::string hidden = concat(".writing-", fs::path(target).filename().string());
  const std::string temporary = join_path(parent_of(target), hidden);
  if (fs::is_symlink(fs::symlink_status(target)) && !exists(target)) {
    fail(ErrorCode::kRuntime, target,
         " is a link to nothing; remove it, or make the folder that it names");
  }
  const Descriptor lock = folder_to_fill(temporary, target);
  try {
    write(temporary);
    publish_directory(temporary, target);
  } catch (...) {
    std::error_code ignored;  // the first error is the one to tell
    fs::remove_all(temporary, ignored);
    throw;
  }
}

// ---- OutputFile -------------------------------------------------------------------------------

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = Descriptor(path_, O_WRONLY | O_CREAT | O_TRUNC, "creating").release();
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  struct stat status {};
  // A device such as /dev/full or a pipe given by the user is not ours to delete.
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) ::unlink(path_.c_str());
  ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  FATHOM_CHECK(descriptor_ >= 0, "write to ", path_, " after finish()");
  write_all(descriptor_, bytes, path_);
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  FATHOM_CHECK(descriptor_ >= 0, "write to ", path_, " after finish()");
  constexpr size_t kPiece = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), kPiece),
                                     static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_at("writing", path_, written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void OutputFile::finish() {
  FATHOM_CHECK(descriptor_ >= 0, "finish() of ", path_, " called twice");
  sync(descriptor_, path_);
  // Some file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    const int error = errno;
    ::unlink(path_.c_str());
    fail_at("closing", path_, error);
  }
}

// ---- AppendFile -------------------------------------------------------------------------------

AppendFile::AppendFile(std::string path) : path_(std::move(path)) {
  descriptor_ = Descriptor(path_, O_WRONLY | O_CREAT | O_APPEND, "opening").release();
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AppendFile::write(std::string_view text) {
  const struct stat before = status_of(descriptor_, path_);
  try {
    write_all(descriptor_, std::as_bytes(std::span(text)), path_);
  } catch (const Error& error) {
    // A device has no size to go back to.
    if (S_ISREG(before.st_mode) && ::ftruncate(descriptor_, before.st_size) != 0) {
      fail(error.code(), error.what(), "; and the half-written piece could not be removed");
    }
    throw;
  }
}

// ---- MappedFile -------------------------------------------------------------------------------

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  Descriptor file(path_, O_RDONLY, "opening");
  const struct stat status = status_of(file.get(), path_);
  if (S_ISDIR(status.st_mode)) fail_at("mapping", path_, EISDIR);
  size_ = static_cast<uint64_t>(status.st_size);
  if (size_ > 0) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
    if (data == MAP_FAILED) fail_at("mapping", path_, errno);
    data_ = static_cast<const std::byte*>(data);
  }
  descriptor_ = file.release();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::span<const std::byte> MappedFile::bytes(uint64_t begin, uint64_t end) const {
  if (begin > end || end > size_) {
    fail(ErrorCode::kRuntime, path_, ": bytes ", begin, " to ", end, " asked of a file of ", size_);
  }
  const uint64_t now = static_cast<uint64_t>(status_of(descriptor_, path_).st_size);
  if (end > now) {
    fail(ErrorCode::kRuntime, path_, ": was cut from ", size_, " to ", now,
         " bytes while in use; do not write to it while it is open");
  }
  return {data_ + begin, end - begin};
}

// Both are advice: where the system does not take it, reading is only slower or holds more memory.

void MappedFile::will_need(uint64_t begin, uint64_t end) const {
  end = std::min(end, size_);
  if (begin >= end) return;
  begin -= begin % static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::release() const {
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

// ---- FileLock ---------------------------------------------------------------------------------

namespace {

void lock_or_name_holder(const Descriptor& file, const std::string& path) {
  int result = 0;
  do {
    result = ::flock(file.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno == EWOULDBLOCK) {
    std::string holder = read_file(path);
    holder.erase(holder.find_last_not_of(" \n") + 1);
    fail(ErrorCode::kRuntime, path, ": in use by process ", holder.empty() ? "(unknown)" : holder,
         "; wait for it, stop it, or use another folder");
  }
  if (result != 0) fail_at("locking", path, errno);
}

}  // namespace

FileLock::FileLock(std::string path) : path_(std::move(path)) {
  for (;;) {
    Descriptor file(path_, O_RDWR | O_CREAT, "opening lock");
    lock_or_name_holder(file, path_);
    if (!is_still_at(file, path_)) continue;
    if (::ftruncate(file.get(), 0) != 0) fail_at("writing", path_, errno);
    const std::string pid = concat(::getpid(), "\n");
    write_all(file.get(), std::as_bytes(std::span(pid)), path_);
    descriptor_ = file.release();
    return;
  }
}

void FileLock::remove_file() { ::unlink(path_.c_str()); }

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace fathom
