// An order of a convolution's input bytes in which vpmaddubsw adds neighbouring products without saturation.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace cvm {

// The order for one block of output channels.
struct PairedOrder {
    std::vector<Fetch> fetches;   // make that order, one after another
    std::vector<int64_t> places;  // [taps][tap_bytes]: where each byte of the input comes to be
    int64_t bytes = 0;            // that the fetches make
};

// `weights`: [taps][tap_bytes][width]. Of two neighbouring bytes, the weights a and b have |a + b| <= 128 for every channel: with
// inputs of 0 .. 255, the two products and their sum are within 255 * 128 = 32640 then. Pairs are found among the 16 bytes
// that a fetch reads; a byte that finds no partner has a zero beside it.
PairedOrder pair_inputs(const std::vector<int8_t>& weights, int64_t taps, int64_t tap_bytes, int64_t width);

}  // namespace cvm
