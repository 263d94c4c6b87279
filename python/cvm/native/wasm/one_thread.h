// What the runtime names of the standard library's threads, where a WebAssembly module has one thread and the library none.
// Included before every file of that build.
#pragma once

#include <mutex>

namespace std {

class mutex {
public:
    void lock() {}
    void unlock() {}
};

class thread {
public:
    struct id {
        bool operator!=(const id&) const { return false; }
    };
};

namespace this_thread {
inline thread::id get_id() { return {}; }
}  // namespace this_thread

}  // namespace std
