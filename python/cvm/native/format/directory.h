// A model directory: its two files, checked against manifest.json where there is one.
#pragma once

#include <memory>
#include <string>

#include "format/params.h"

namespace cvm {

struct Directory {
    std::string symbol;                  // the file's text
    std::unique_ptr<ByteSource> params;
    std::string sha256;                  // the digest of the whole; empty for an older directory, which has no manifest
};

// Opens a directory. Where it has a manifest, each file that this lists is read and compared with its SHA-256. Throws Error
// where a file is missing or not the one that was written.
Directory open_directory(const std::string& path);

}  // namespace cvm
