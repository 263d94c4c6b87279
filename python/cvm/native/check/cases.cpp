// Runs models on inputs whose outputs are known, through the C interface, and compares integer for integer:
//   cases FILE [THREADS]
// FILE holds cases one after another, as tests/everywhere_record.py writes them: integers are 64 bits, values 32 bits, all
// little endian; bytes and values come after their number.
//   name, symbol, params, batch, input values, number of outputs, values of each
// Prints a line for every case that differs, then the kernels and what was compared. Exit status 1: something differs.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "include/cvm.h"

namespace {

class Reader {
public:
    explicit Reader(const char* path) : file_(std::fopen(path, "rb")) {
        if (!file_) throw std::runtime_error(std::string("cannot open ") + path);
    }
    ~Reader() { std::fclose(file_); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    bool more() {
        const int next = std::fgetc(file_);
        if (next == EOF) return false;
        std::ungetc(next, file_);
        return true;
    }
    int64_t number() { return int64_t(little_endian(8)); }
    std::string bytes() {
        std::string text(static_cast<size_t>(number()), '\0');
        if (!text.empty() && std::fread(&text[0], 1, text.size(), file_) != text.size()) throw std::runtime_error("the file of cases ends early");
        return text;
    }
    std::vector<int32_t> values() {
        std::vector<int32_t> list(static_cast<size_t>(number()));
        for (int32_t& value : list) value = int32_t(uint32_t(little_endian(4)));
        return list;
    }

private:
    uint64_t little_endian(int count) {
        uint64_t value = 0;
        for (int i = 0; i < count; ++i) {
            const int byte = std::fgetc(file_);
            if (byte == EOF) throw std::runtime_error("the file of cases ends early");
            value |= uint64_t(byte) << (8 * i);
        }
        return value;
    }

    std::FILE* const file_;
};

struct Totals {
    int64_t cases = 0, values = 0, different = 0;
    std::string kernels = "no";
};

size_t count_of(cvm_model* model, int index, int64_t batch) {
    int64_t dims[CVM_MAX_DIMS];
    const int rank = cvm_output_shape(model, index, batch, dims);
    size_t count = rank < 0 ? 0 : 1;
    for (int i = 0; i < rank; ++i) count *= size_t(dims[i]);
    return count;
}

// What is wrong with the outputs; empty if nothing is.
std::string compare(cvm_model* model, const std::vector<int32_t>& input, int64_t batch,
                    const std::vector<std::vector<int32_t>>& want, Totals& totals) {
    const bool narrow_input = cvm_input_precision(model) <= 8, narrow = cvm_outputs_are_int8(model);
    const std::vector<int8_t> bytes(input.begin(), input.end());
    if (size_t(cvm_num_outputs(model)) != want.size()) return "another number of outputs";
    std::vector<std::vector<int32_t>> got;
    std::vector<void*> outputs;
    for (size_t i = 0; i < want.size(); ++i) {
        if (count_of(model, int(i), batch) != want[i].size()) return "output " + std::to_string(i) + " has another size";
        got.emplace_back(want[i].size());
    }
    for (auto& values : got) outputs.push_back(values.data());
    const void* from = narrow_input ? static_cast<const void*>(bytes.data()) : input.data();
    if (cvm_run(model, from, narrow_input, batch, outputs.data())) return cvm_last_error();
    for (size_t i = 0; i < want.size(); ++i)
        for (size_t j = 0; j < want[i].size(); ++j) {
            const int32_t value = narrow ? static_cast<const int8_t*>(outputs[i])[j] : got[i][j];
            if (value != want[i][j])
                return "output " + std::to_string(i) + " at " + std::to_string(j) + " is " + std::to_string(value) + ", not " +
                       std::to_string(want[i][j]);
            ++totals.values;
        }
    return "";
}

void run_case(Reader& reader, int threads, Totals& totals) {
    const std::string name = reader.bytes(), symbol = reader.bytes(), params = reader.bytes();
    const int64_t batch = reader.number();
    const std::vector<int32_t> input = reader.values();
    std::vector<std::vector<int32_t>> want(static_cast<size_t>(reader.number()));
    for (auto& values : want) values = reader.values();
    const cvm_options options = {threads, 0, 0};
    cvm_model* model = cvm_load_memory(symbol.data(), symbol.size(), params.data(), params.size(), &options);
    const std::string wrong = model ? compare(model, input, batch, want, totals) : cvm_last_error();
    if (model) totals.kernels = cvm_kernels(model);
    cvm_free(model);
    ++totals.cases;
    if (wrong.empty()) return;
    ++totals.different;
    std::printf("%s: %s\n", name.c_str(), wrong.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s FILE [THREADS]\n", argv[0]);
        return 2;
    }
    try {
        Reader reader(argv[1]);
        Totals totals;
        while (reader.more()) run_case(reader, argc > 2 ? std::atoi(argv[2]) : 1, totals);
        std::printf("%s kernels: %" PRId64 " cases, %" PRId64 " values, %" PRId64 " cases differ\n", totals.kernels.c_str(),
                    totals.cases, totals.values, totals.different);
        return totals.different || !totals.cases ? 1 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
