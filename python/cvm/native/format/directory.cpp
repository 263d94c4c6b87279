#include "format/directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/sha256.h"
#include "format/json.h"

namespace cvm {
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr int64_t kVersion = 1;

struct Manifest {
    std::map<std::string, std::string> files;  // SHA-256 by name
    std::string sha256;                        // of the lines "SHA-256  NAME\n"
};

std::string digest(std::string_view content) {
    Sha256 hash;
    hash.add(content.data(), content.size());
    return hash.finish();
}

std::string digest(ByteSource& source) {
    Sha256 hash;
    std::vector<char> piece(size_t(1) << 16);
    while (const size_t size = size_t(std::min<uint64_t>(source.remaining(), piece.size()))) {
        source.read(piece.data(), size);
        hash.add(piece.data(), size);
    }
    return hash.finish();
}

std::string read_text(const std::string& path) {
    const auto source = open_file(path);
    if (source->remaining() > kMaxJsonBytes) fail(path, " is larger than ", kMaxJsonBytes, " bytes");
    std::string text(size_t(source->remaining()), '\0');
    source->read(text.data(), text.size());
    return text;
}

// Whether a name is that of a file in the folder itself.
bool is_plain(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

bool is_digest(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

Manifest read_manifest(std::string_view text) {
    Manifest manifest;
    int64_t version = 0;
    try {
        const JsonDocument document(text);
        std::string_view key;
        bool is_key = true, has_files = false;
        for (Json item : document.root().as_object("the manifest")) {
            if (is_key) key = item.as_string("a key");
            else if (key == "version") version = item.as_integer("version");
            else if (key == "sha256") manifest.sha256 = item.as_string("sha256");
            else if (key == "files") {
                has_files = true;
                std::string name;
                bool is_name = true;
                for (Json part : item.as_object("files")) {
                    if (is_name) name = part.as_string("a name");
                    else manifest.files[name] = part.as_string("a digest");
                    is_name = !is_name;
                }
            }
            is_key = !is_key;
        }
        if (!has_files || manifest.sha256.empty()) fail("a key is missing");
    } catch (const Error&) {
        fail(kManifest, " is not a manifest");
    }
    if (version != kVersion) fail(kManifest, " has version ", version, ", this is a reader of version ", kVersion);
    Sha256 whole;
    for (const auto& [name, sha256] : manifest.files) {
        if (!is_plain(name) || name == kManifest) fail(kManifest, ": its files must be names without folders");
        if (!is_digest(sha256)) fail(kManifest, ": a digest is not 64 hexadecimal digits");
        const std::string line = sha256 + "  " + name + "\n";
        whole.add(line.data(), line.size());
    }
    if (whole.finish() != manifest.sha256)
        fail(kManifest, ": its own digest does not fit its files; it was changed or damaged");
    for (const char* name : {"symbol", "params"})
        if (!manifest.files.count(name)) fail(kManifest, " does not list ", name);
    return manifest;
}

bool exists(const std::string& path) {
    struct stat found;
    return ::lstat(path.c_str(), &found) == 0;
}

Directory open_once(const std::string& path) {
    Directory directory;
    const std::string manifest_path = path + "/" + kManifest;
    if (!exists(manifest_path)) {
        directory.symbol = read_text(path + "/symbol");
        directory.params = open_file(path + "/params");
        return directory;
    }
    const std::string text = read_text(manifest_path);
    Manifest manifest;
    try {
        manifest = read_manifest(text);
    } catch (const Error& error) {
        fail(path, ": ", error.what());
    }
    for (const auto& [name, sha256] : manifest.files) {
        const std::string file = path + "/" + name;
        std::string found;
        if (name == "symbol") {
            directory.symbol = read_text(file);
            found = digest(directory.symbol);
        } else {
            std::unique_ptr<ByteSource> source = open_file(file);
            found = digest(*source);
            if (name == "params") {
                source->rewind();
                directory.params = std::move(source);
            }
        }
        if (found != sha256)
            fail(file, " is not the file that ", kManifest, " lists: it was changed or damaged, or comes from another model");
    }
    directory.sha256 = manifest.sha256;
    return directory;
}

std::pair<dev_t, ino_t> identity(const std::string& path) {
    struct stat found;
    if (::stat(path.c_str(), &found)) fail(path, " is not a model directory");
    return {found.st_dev, found.st_ino};
}

}  // namespace

Directory open_directory(const std::string& path) {
    for (;;) {
        const auto before = identity(path);
        try {
            return open_once(path);
        } catch (const Error&) {
            if (identity(path) == before) throw;  // else a new model took the place while the old one was read
        }
    }
}

}  // namespace cvm
