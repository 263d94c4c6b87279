#include "format/params.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace cvm {
namespace {

constexpr uint64_t kListMagic = 0xF7E58D4F05049CB7u;
constexpr uint64_t kArrayMagic = 0xDD5E40F096B4A13Fu;
constexpr uint64_t kArrayHeader = 44;  // bytes of an array without shape and data
constexpr uint64_t kMaxName = 4096;

class FileSource : public ByteSource {
public:
    // Without waiting: a pipe or a device in the file's place is refused.
    explicit FileSource(const std::string& path) : path_(path) {
        const int handle = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        struct stat found;
        if (handle < 0) fail("cannot open ", path);
        const bool regular = ::fstat(handle, &found) == 0 && S_ISREG(found.st_mode);
        if (regular) file_ = ::fdopen(handle, "rb");
        if (!file_) {
            ::close(handle);
            fail("cannot read ", path, regular ? "" : ": not a regular file");
        }
        size_ = remaining_ = uint64_t(found.st_size);
    }
    ~FileSource() override { std::fclose(file_); }
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;

    void read(void* into, uint64_t size) override {
        if (size > remaining_ || std::fread(into, 1, size, file_) != size) fail(path_, " is truncated");
        remaining_ -= size;
    }
    uint64_t remaining() const override { return remaining_; }
    void rewind() override {
        std::rewind(file_);
        remaining_ = size_;
    }

private:
    std::string path_;
    std::FILE* file_ = nullptr;
    uint64_t size_ = 0, remaining_ = 0;
};

class MemorySource : public ByteSource {
public:
    MemorySource(const void* data, size_t size) : first_(static_cast<const char*>(data)), at_(first_), remaining_(size) {}
    void read(void* into, uint64_t size) override {
        if (size > remaining_) fail("the data is truncated");
        if (size) std::memcpy(into, at_, size);
        at_ += size;
        remaining_ -= size;
    }
    uint64_t remaining() const override { return remaining_; }
    void rewind() override {
        remaining_ += uint64_t(at_ - first_);
        at_ = first_;
    }

private:
    const char* first_;
    const char* at_;
    uint64_t remaining_;
};

template <typename T>
T read_value(ByteSource& source) {
    // Little endian whatever the host is.
    unsigned char bytes[sizeof(T)];
    source.read(bytes, sizeof(T));
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t(bytes[i]) << (8 * i);
    return static_cast<T>(value);
}

std::shared_ptr<const Tensor> read_array(ByteSource& source, const std::string& name) {
    const std::string where = "params: array '" + name + "'";
    if (read_value<uint64_t>(source) != kArrayMagic) fail(where, " has a wrong magic number");
    if (read_value<uint64_t>(source) != 0) fail(where, " has a nonzero reserved field");
    if (read_value<int32_t>(source) != 1 || read_value<int32_t>(source) != 0) fail(where, " is not on the CPU device");
    const int32_t ndim = read_value<int32_t>(source);
    const int code = read_value<uint8_t>(source);
    const int bits = read_value<uint8_t>(source);
    const int lanes = read_value<uint16_t>(source);
    if (code != 0 || (bits != 8 && bits != 32) || lanes != 1) fail(where, " is neither int8 nor int32");
    if (ndim < 1 || ndim > kMaxDims) fail(where, " has ", ndim, " dimensions");
    auto tensor = std::make_shared<Tensor>();
    for (int32_t i = 0; i < ndim; ++i) tensor->shape.push_back(read_value<int64_t>(source));
    try {
        check_shape(tensor->shape);
    } catch (const Error& error) {
        fail(where, ": ", error.what());
    }
    const int64_t bytes = read_value<int64_t>(source);
    const int64_t count = elements(tensor->shape);
    if (bytes != count * (bits / 8)) fail(where, " claims ", bytes, " bytes for shape ", to_string(tensor->shape));
    if (uint64_t(bytes) > source.remaining()) fail(where, " claims ", bytes, " bytes, more than the file has left");
    if (bits == 8) {
        tensor->narrow.resize(size_t(count));
        source.read(tensor->narrow.data(), uint64_t(bytes));
    } else {
        tensor->wide.resize(size_t(count));
        source.read(tensor->wide.data(), uint64_t(bytes));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        for (int32_t& value : tensor->wide) value = int32_t(__builtin_bswap32(uint32_t(value)));
#endif
    }
    return tensor;
}

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::string& path) { return std::make_unique<FileSource>(path); }

std::unique_ptr<ByteSource> view_memory(const void* data, size_t size) {
    return std::make_unique<MemorySource>(data, size);
}

std::map<std::string, std::shared_ptr<const Tensor>> read_params(ByteSource& source) {
    if (read_value<uint64_t>(source) != kListMagic) fail("params: wrong magic number");
    if (read_value<uint64_t>(source) != 0) fail("params: nonzero reserved field");
    const uint64_t count = read_value<uint64_t>(source);
    if (count > source.remaining() / (8 + kArrayHeader)) fail("params: claims ", count, " names, more than the file can hold");
    std::vector<std::string> names;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t length = read_value<uint64_t>(source);
        if (length < 1 || length > kMaxName || length > source.remaining()) fail("params: a name of ", length, " bytes");
        std::string name(size_t(length), '\0');
        source.read(name.data(), length);
        for (char c : name)
            if (static_cast<unsigned char>(c) > 127) fail("params: the name '", name, "' is not ASCII");
        names.push_back(std::move(name));
    }
    if (read_value<uint64_t>(source) != count) fail("params: the number of arrays differs from the number of names");
    std::map<std::string, std::shared_ptr<const Tensor>> params;
    for (const std::string& name : names) {
        if (params.count(name)) fail("params: '", name, "' occurs twice");
        params[name] = read_array(source, name);
    }
    if (source.remaining()) fail("params: ", source.remaining(), " trailing bytes");
    return params;
}

}  // namespace cvm
