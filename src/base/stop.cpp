#include "base/stop.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace fathom {
namespace {

std::atomic<int> g_signal{0};

void on_signal(int signal) {
  if (g_signal.load(std::memory_order_relaxed) != 0) _exit(128 + signal);
  g_signal.store(signal, std::memory_order_relaxed);
}

}  // namespace

void install_stop_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() { return g_signal.load(std::memory_order_relaxed) != 0; }
int stop_signal() { return g_signal.load(std::memory_order_relaxed); }
void clear_stop() { g_signal.store(0, std::memory_order_relaxed); }
void request_stop(int signal) { on_signal(signal); }

}  // namespace fathom
