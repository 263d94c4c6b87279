/* C interface of the CVM runtime. Every function may be called from any thread; one model may run in several
 * threads at a time. Functions that can fail return NULL or a status, and cvm_last_error() then says why. */
#ifndef CVM_H
#define CVM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CVM_API __attribute__((visibility("default")))
#else
#define CVM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CVM_MAX_DIMS 6

typedef enum cvm_status {
    CVM_OK = 0,
    CVM_REFUSED = 1,    /* the model: files missing, damaged, or not what the target takes */
    CVM_BAD_INPUT = 2,  /* the call: a batch that the model does not take, no such output, a missing pointer */
    CVM_LIMIT = 3,      /* more memory or operations than the model may take, or the machine is out of memory */
    CVM_CANCELLED = 4,  /* a run that was stopped by its timeout or its handle */
    CVM_FAILED = 5      /* anything else: a fault of the runtime */
} cvm_status;

typedef struct cvm_model cvm_model;

/* Stops runs from another thread. */
typedef struct cvm_cancel cvm_cancel;

/* Zero means the default of each. */
typedef struct cvm_options {
    int threads;             /* all processors */
    int64_t max_memory;      /* bytes that the model may take in all, its runs included: 2 GiB */
    int64_t max_operations;  /* the reference's operation count of one run: any */
} cvm_options;

/* Loads a model directory; each file that its manifest.json lists must have the SHA-256 that stands there. A directory
 * without manifest.json loads, too: cvm_sha256 tells. threads <= 0: all processors. NULL on failure. */
CVM_API cvm_model* cvm_load(const char* directory, int threads);

/* The same with limits; options may be NULL. */
CVM_API cvm_model* cvm_load_with(const char* directory, const cvm_options* options);

/* The contents of the two files, from memory that the caller may free afterwards. */
CVM_API cvm_model* cvm_load_memory(const void* symbol, size_t symbol_size, const void* params, size_t params_size,
                                   const cvm_options* options);

CVM_API void cvm_free(cvm_model* model);

/* The digest of the model directory, as its manifest.json has it, by which two people can compare their models: 64
 * hexadecimal digits, valid as long as the model. NULL where nothing says that the model's files belong together: a
 * directory without manifest.json, or a model from memory. */
CVM_API const char* cvm_sha256(const cvm_model* model);

/* The table of kernels that runs the model: "avx512", "dotprod", "portable", ... */
CVM_API const char* cvm_kernels(const cvm_model* model);

/* What went wrong in the last call of this thread that failed: one line, never NULL. */
CVM_API const char* cvm_last_error(void);

/* Of which kind that was; CVM_OK where nothing failed yet. */
CVM_API cvm_status cvm_last_status(void);

/* The input as stored in the file: writes up to CVM_MAX_DIMS dimensions and returns their number. The first
 * dimension is the batch, which cvm_run may change. */
CVM_API int cvm_input_shape(const cvm_model* model, int64_t* dims);

/* Input values are clipped to +-(2^(precision-1) - 1). */
CVM_API int cvm_input_precision(const cvm_model* model);

CVM_API int cvm_num_outputs(const cvm_model* model);

/* 1 if outputs are int8, 0 if int32. */
CVM_API int cvm_outputs_are_int8(const cvm_model* model);

/* The precision of an output: its values lie within +-(2^(precision-1) - 1). -1 where there is no such output. */
CVM_API int cvm_output_precision(const cvm_model* model, int index);

/* The shape of an output for a batch: writes the dimensions, returns their number, or -1 on failure. */
CVM_API int cvm_output_shape(cvm_model* model, int index, int64_t batch, int64_t* dims);

/* Integers of real values or of a picture's bytes: floor(value / scale + 0.5) - offset, clipped to the input's
 * precision, as Python's quantize_input; scale and offset are those of ext.json, where a scale is a fraction. Writes
 * int8 where cvm_input_precision(model) <= 8, else int32. Returns how many values were clipped, or -1 on failure: a
 * value that is not a number, or a scale that is not positive. */
CVM_API int64_t cvm_quantize(const cvm_model* model, const float* values, int64_t count, double scale, int64_t offset,
                             void* integers);
CVM_API int64_t cvm_quantize_bytes(const cvm_model* model, const uint8_t* values, int64_t count, double scale,
                                   int64_t offset, void* integers);

/* Runs a batch. `input` is row-major, int8 if input_is_int8 else int32; outputs[i] has room for output i. After a
 * failure the outputs are worth nothing, and the model can be run again. */
CVM_API cvm_status cvm_run(cvm_model* model, const void* input, int input_is_int8, int64_t batch, void* const* outputs);

/* The same, at most for so many seconds (negative: any time) and until the handle is set (NULL: none). */
CVM_API cvm_status cvm_run_within(cvm_model* model, const void* input, int input_is_int8, int64_t batch,
                                  void* const* outputs, double seconds, const cvm_cancel* cancel);

/* A handle for runs; NULL where there is no memory. It must outlive the runs that it was given to. */
CVM_API cvm_cancel* cvm_cancel_new(void);

/* Stops the runs that were given the handle, for good. */
CVM_API void cvm_cancel_set(cvm_cancel* cancel);

CVM_API void cvm_cancel_free(cvm_cancel* cancel);

#ifdef __cplusplus
}
#endif

#endif
