/* C interface of the CVM runtime. Every function may be called from any thread; one model may run in several
 * threads at a time. Functions that can fail return NULL or a nonzero value, and cvm_last_error() then says why. */
#ifndef CVM_H
#define CVM_H

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

typedef struct cvm_model cvm_model;

/* Loads the files `symbol` and `params` of a directory. threads <= 0: all processors. NULL on failure. */
CVM_API cvm_model* cvm_load(const char* directory, int threads);

CVM_API void cvm_free(cvm_model* model);

/* What went wrong in the last call of this thread that failed: one line, never NULL. */
CVM_API const char* cvm_last_error(void);

/* The input as stored in the file: writes up to CVM_MAX_DIMS dimensions and returns their number. The first
 * dimension is the batch, which cvm_run may change. */
CVM_API int cvm_input_shape(const cvm_model* model, int64_t* dims);

/* Input values are clipped to +-(2^(precision-1) - 1). */
CVM_API int cvm_input_precision(const cvm_model* model);

CVM_API int cvm_num_outputs(const cvm_model* model);

/* 1 if outputs are int8, 0 if int32. */
CVM_API int cvm_outputs_are_int8(const cvm_model* model);

/* The shape of an output for a batch: writes the dimensions, returns their number, or -1 on failure. */
CVM_API int cvm_output_shape(cvm_model* model, int index, int64_t batch, int64_t* dims);

/* Runs a batch. `input` is row-major, int8 if input_is_int8 else int32; outputs[i] has room for output i.
 * Returns 0, or -1 on failure. */
CVM_API int cvm_run(cvm_model* model, const void* input, int input_is_int8, int64_t batch, void* const* outputs);

#ifdef __cplusplus
}
#endif

#endif
