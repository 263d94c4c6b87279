// The tile of the tables with vectors: 24 pixels by 64 channels, four blocks of 16 int32.
namespace cvm {
namespace {

constexpr int kLanes = 16, kMaxBlocks = 4;
constexpr int kTileRows = 24, kTileWidth = kLanes * kMaxBlocks;

}  // namespace
}  // namespace cvm
