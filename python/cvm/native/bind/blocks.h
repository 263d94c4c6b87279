// Memory of outputs. Fresh memory from the system costs more than most steps of a model, so large blocks that were let go
// are kept for the next run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace cvm {

class Blocks {
public:
    struct Free {
        void operator()(uint8_t* memory) const { ::operator delete(memory, kLine); }
    };
    // A block, from the start of a cache line on, and where it came from, so that it finds back.
    struct Block {
        std::unique_ptr<uint8_t, Free> memory;
        size_t bytes;
    };

    static Blocks& instance() {
        static Blocks* blocks = new Blocks;  // never destroyed: arrays may outlive static destruction
        return *blocks;
    }

    std::unique_ptr<Block> take(size_t bytes) {
        {
            const std::lock_guard lock(mutex_);
            for (auto at = kept_.begin(); at != kept_.end(); ++at) {
                if ((*at)->bytes != bytes) continue;
                std::unique_ptr<Block> block = std::move(*at);
                kept_.erase(at);
                return block;
            }
        }
        std::unique_ptr<uint8_t, Free> memory(static_cast<uint8_t*>(::operator new(bytes, kLine)));
        return std::unique_ptr<Block>(new Block{std::move(memory), bytes});
    }

    // Keeps the newest blocks.
    void give(std::unique_ptr<Block> block) noexcept {
        if (block->bytes < kLeast || block->bytes > kMost) return;
        const std::lock_guard lock(mutex_);
        kept_.push_back(std::move(block));  // into room that is there
        size_t bytes = 0;
        for (size_t i = kept_.size(); i-- > 0;) {
            bytes += kept_[i]->bytes;
            if (bytes <= kMost && kept_.size() - i <= kCount) continue;
            kept_.erase(kept_.begin(), kept_.begin() + std::ptrdiff_t(i) + 1);
            return;
        }
    }

private:
    Blocks() { kept_.reserve(kCount + 1); }

    static constexpr std::align_val_t kLine{64};
    static constexpr size_t kLeast = size_t(1) << 20, kMost = size_t(64) << 20, kCount = 8;

    std::mutex mutex_;
    std::vector<std::unique_ptr<Block>> kept_;
};

}  // namespace cvm
