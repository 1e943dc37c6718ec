// Numbers of a plan as people read them.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace fathom {

std::string billions(double count);  // "671.0B", "37.55B", "412"
std::string billions(int64_t count);
std::string spaced(int64_t n);                             // "70 272"
std::string counted(int64_t n, const std::string& thing);  // "1 node", "4 nodes"
std::string gflops(double flops);                          // "250.45 G"
std::string tflops(double rate);                           // "386.5 TFLOP/s"
std::string percent(double share);                         // "39.1 %"
std::string hours(double value);                           // "2 788K", "172.8K", "5 000"
std::string dollars(double value);                         // "$5.576M", "$0.27"
std::string gigabytes(double bytes);                       // "70.27 GB"
std::string milliseconds(double seconds);                  // "1.05 ms"

}  // namespace fathom
