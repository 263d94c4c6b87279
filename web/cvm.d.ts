/** What compiles to a module: its bytes, a fetched answer, or an address; or the module. */
export type Wasm = Given | Promise<Given> | URL | string;
type Given = WebAssembly.Module | BufferSource | Response;

/** `ext.json` of a model's folder: what its integers mean. */
export interface Description {
  inputs: Array<{
    name: string;
    shape: number[];
    precision: number;
    scale_float?: number | number[];
    offset?: number;
    zero?: unknown;
    preprocess?: { mean: number[]; std: number[]; scale: number; channels: "RGB" | "grey" } | null;
  }>;
  outputs: Array<{ name: string; shape: number[]; scale_float?: number; offset?: number }>;
  labels?: string[];
}

/** Red, green, blue and alpha of each pixel, row by row; a canvas's `ImageData` is one. */
export interface Picture {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** `status`: 1 the model is refused, 2 a bad call, 3 too much memory or work, 4 cancelled, 5 a fault of the runtime. */
export class CVMError extends Error {
  readonly status: number;
  constructor(message: string, status: number);
}

export interface Model {
  readonly description: Description | null;
  /** The table of kernels that runs it. */
  readonly kernels: string;
  /** Inputs are clipped to +-(2^(precision - 1) - 1). */
  readonly inputPrecision: number;
  /** As stored in the model; the first dimension is the batch. */
  readonly inputShape: number[];
  /** How many there are. */
  readonly outputs: number;
  readonly outputsAreInt8: boolean;
  outputShape(index?: number, batch?: number): number[];
  /** Runs a batch, row-major. One array for each output. @throws CVMError */
  run(input: Int8Array | Int32Array, batch?: number): Array<Int8Array> | Array<Int32Array>;
  /** The integers of real values, as Python's `quantize_input` rounds. @throws CVMError */
  quantize(values: ArrayLike<number>): Int8Array | Int32Array;
  /** The integers of a picture that has the input's size. @throws CVMError */
  quantizePicture(picture: Picture): Int8Array | Int32Array;
  /** The real values of an output's integers. @throws CVMError */
  dequantize(integers: ArrayLike<number>, index?: number): Float64Array;
  /** Gives its memory back; it cannot be used any more. */
  free(): void;
}

/** The module that several models can share. @throws CVMError */
export function compile(source: Wasm): Promise<WebAssembly.Module>;

/** A model of its files' contents. @throws CVMError where it is refused */
export function load(files: {
  wasm: Wasm;
  symbol: ArrayBuffer | ArrayBufferView | string;
  params: ArrayBuffer | ArrayBufferView;
  description?: Description | null;
}): Promise<Model>;

/** A model of the folder at an address: its `symbol`, `params` and `ext.json`. @throws CVMError */
export function loadFolder(folder: URL | string, wasm: Wasm): Promise<Model>;
