/* Runs a model on raw int8 or int32 values: run MODEL_DIR INPUT OUTPUT, files in row-major order. */
#include <cvm.h>
#include <stdio.h>
#include <stdlib.h>

static long long elements(const int64_t* dims, int rank) {
    long long total = 1;
    for (int i = 0; i < rank; ++i) total *= dims[i];
    return total;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL_DIR INPUT OUTPUT\n", argv[0]);
        return 2;
    }
    cvm_model* model = cvm_load(argv[1], 0);
    if (!model) {
        fprintf(stderr, "%s\n", cvm_last_error());
        return 2;
    }
    int64_t dims[CVM_MAX_DIMS];
    const int narrow_input = cvm_input_precision(model) <= 8;
    const size_t count = (size_t)elements(dims, cvm_input_shape(model, dims));
    const size_t batch = (size_t)dims[0];
    const size_t input_bytes = count * (narrow_input ? 1 : 4);
    void* input = malloc(input_bytes);
    FILE* file = fopen(argv[2], "rb");
    if (!input || !file || fread(input, 1, input_bytes, file) != input_bytes) {
        fprintf(stderr, "%s must hold %zu bytes\n", argv[2], input_bytes);
        return 2;
    }
    fclose(file);

    const int number = cvm_num_outputs(model);
    const size_t item = cvm_outputs_are_int8(model) ? 1 : 4;
    void** outputs = calloc((size_t)number, sizeof(void*));
    size_t* sizes = calloc((size_t)number, sizeof(size_t));
    for (int i = 0; i < number; ++i) {
        const int rank = cvm_output_shape(model, i, (int64_t)batch, dims);
        if (rank < 0) {
            fprintf(stderr, "%s\n", cvm_last_error());
            return 2;
        }
        sizes[i] = (size_t)elements(dims, rank) * item;
        outputs[i] = malloc(sizes[i]);
    }
    if (cvm_run(model, input, narrow_input, (int64_t)batch, outputs)) {
        fprintf(stderr, "%s\n", cvm_last_error());
        return 2;
    }
    file = fopen(argv[3], "wb");
    for (int i = 0; file && i < number; ++i) fwrite(outputs[i], 1, sizes[i], file);
    if (!file || fclose(file)) {
        fprintf(stderr, "cannot write %s\n", argv[3]);
        return 2;
    }
    for (int i = 0; i < number; ++i) free(outputs[i]);
    free(outputs);
    free(sizes);
    free(input);
    cvm_free(model);
    return 0;
}
