// The tile of the tables for x86: 24 pixels by 64 channels, four blocks of one 512-bit vector of int32.
namespace cvm {
namespace {

constexpr int kLanes = 16, kMaxBlocks = 4;
constexpr int kTileRows = 24, kTileWidth = kLanes * kMaxBlocks;

}  // namespace
}  // namespace cvm
