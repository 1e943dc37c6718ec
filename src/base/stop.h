// The stop flag: the first SIGINT or SIGTERM asks for a clean end, the second ends the process.
//
// Threads: any; the flag is the process's own state, and its setter is safe in a signal handler.
#pragma once

namespace fathom {

void install_stop_handlers();   // called once by app
bool stop_requested();          // polled by loops between steps
int stop_signal();              // SIGINT, SIGTERM, what request_stop() was given, or 0
void clear_stop();              // a chat uses Ctrl-C to end one answer, not the program
void request_stop(int signal);  // what the handler does; tests call it

}  // namespace fathom
