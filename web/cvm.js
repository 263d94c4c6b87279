// Compiled CVM models in WebAssembly: the integers are those of every other executor. See cvm.d.ts for what is public.

const BAD_FILE = 8;
const NOT_THERE = 52;
const LARGEST_RANK = 6;

export class CVMError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "CVMError";
    this.status = status;
  }
}

export async function compile(source) {
  const given = source instanceof URL || typeof source === "string" ? await fetch(source) : await source;
  if (given instanceof WebAssembly.Module) return given;
  if (!(given instanceof Response)) return WebAssembly.compile(given);
  if (!given.ok) throw new CVMError(`${given.url}: ${given.status} ${given.statusText}`, 1);
  return WebAssembly.compile(await given.arrayBuffer());
}

export async function load({ wasm, symbol, params, description = null }) {
  const module = await compile(wasm);
  return new Model(await Runtime.start(module), bytes(symbol), bytes(params), description);
}

export async function loadFolder(folder, wasm) {
  const base = String(folder).replace(/\/?$/, "/");
  const file = async (name) => {
    const answer = await fetch(base + name);
    if (!answer.ok) throw new CVMError(`${base}${name}: ${answer.status} ${answer.statusText}`, 1);
    return answer;
  };
  const [symbol, params, description] = await Promise.all(["symbol", "params", "ext.json"].map(file));
  return load({
    wasm,
    symbol: await symbol.arrayBuffer(),
    params: await params.arrayBuffer(),
    description: await description.json(),
  });
}

function bytes(given) {
  if (typeof given === "string") return new TextEncoder().encode(given);
  return ArrayBuffer.isView(given) ? new Uint8Array(given.buffer, given.byteOffset, given.byteLength) : new Uint8Array(given);
}

// One instance of the module, and its memory.
class Runtime {
  static async start(module) {
    const runtime = new Runtime();
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from] ??= {};
      imports[from][name] = runtime.#system[name] ?? (() => NOT_THERE);
    }
    const instance = await WebAssembly.instantiate(module, imports);
    runtime.exports = instance.exports;
    runtime.exports._initialize?.();
    return runtime;
  }

  // What the standard library asks of its host; there are no files.
  #system = {
    fd_prestat_get: () => BAD_FILE,
    environ_sizes_get: (count, size) => (this.setInt32(count, 0), this.setInt32(size, 0), 0),
    environ_get: () => 0,
    clock_time_get: (_, __, into) => {
      this.view().setBigInt64(into, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    },
    proc_exit: (code) => {
      throw new CVMError(`the runtime ended with ${code}`, 5);
    },
  };

  view() {
    return new DataView(this.exports.memory.buffer);
  }

  setInt32(at, value) {
    this.view().setInt32(at, value, true);
  }

  // A copy of an array's bytes in the module's memory.
  give(array) {
    const at = this.room(array.byteLength);
    new Uint8Array(this.exports.memory.buffer, at, array.byteLength).set(bytes(array));
    return at;
  }

  room(size) {
    const at = this.exports.malloc(Math.max(size, 1));
    if (!at) throw new CVMError(`there is no memory for ${size} bytes`, 3);
    return at;
  }

  take(Kind, at, count) {
    return new Kind(this.exports.memory.buffer, at, count).slice();
  }

  text(at) {
    const memory = new Uint8Array(this.exports.memory.buffer);
    return new TextDecoder().decode(memory.slice(at, memory.indexOf(0, at)));
  }

  fail() {
    throw new CVMError(this.text(this.exports.cvm_last_error()), this.exports.cvm_last_status());
  }

  // Calls with arrays in the module's memory, which is freed afterwards.
  with(arrays, call) {
    const places = [];
    try {
      for (const array of arrays) places.push(typeof array === "number" ? this.room(array) : this.give(array));
      return call(...places);
    } finally {
      places.forEach((at) => this.exports.free(at));
    }
  }
}

class Model {
  #runtime;
  #model;

  constructor(runtime, symbol, params, description) {
    this.#runtime = runtime;
    this.description = description;
    const { exports } = runtime;
    this.#model = runtime.with([symbol, params], (at, other) =>
      exports.cvm_load_memory(at, symbol.length, other, params.length, 0),
    );
    if (!this.#model) runtime.fail();
    this.kernels = runtime.text(exports.cvm_kernels(this.#model));
    this.inputPrecision = exports.cvm_input_precision(this.#model);
    this.inputShape = this.#dims((into) => exports.cvm_input_shape(this.#model, into));
    this.outputs = exports.cvm_num_outputs(this.#model);
    this.outputsAreInt8 = exports.cvm_outputs_are_int8(this.#model) === 1;
  }

  outputShape(index = 0, batch = 1) {
    const { exports } = this.#runtime;
    return this.#dims((into) => exports.cvm_output_shape(this.#model, index, BigInt(batch), into));
  }

  run(input, batch = 1) {
    const runtime = this.#runtime;
    const small = input instanceof Int8Array;
    if (!small && !(input instanceof Int32Array)) throw new CVMError("the input must be an Int8Array or Int32Array", 2);
    const wanted = size(this.inputShape.slice(1)) * batch;
    if (input.length !== wanted) throw new CVMError(`the input has ${input.length} values, expected ${wanted}`, 2);
    const Kind = this.outputsAreInt8 ? Int8Array : Int32Array;
    const counts = Array.from({ length: this.outputs }, (_, index) => size(this.outputShape(index, batch)));
    const rooms = counts.map((count) => count * Kind.BYTES_PER_ELEMENT);
    return runtime.with([input, 4 * rooms.length, ...rooms], (at, table, ...places) => {
      places.forEach((place, index) => runtime.setInt32(table + 4 * index, place));
      const status = runtime.exports.cvm_run(this.#model, at, small ? 1 : 0, BigInt(batch), table);
      if (status) runtime.fail();
      return places.map((place, index) => runtime.take(Kind, place, counts[index]));
    });
  }

  quantize(values) {
    const { scale, offset } = this.#meaning();
    return this.#quantized("cvm_quantize", Float32Array.from(values), scale, offset);
  }

  quantizePicture({ data, width, height }) {
    const input = this.#input();
    const made = input.preprocess;
    const [, channels, rows, columns] = input.shape;
    if (!made) throw new CVMError("the model's input is no picture", 2);
    if (width !== columns || height !== rows) {
      throw new CVMError(`the picture is ${width} x ${height}, expected ${columns} x ${rows}`, 2);
    }
    const plane = rows * columns;
    const pixels = new Uint8Array(channels * plane);
    for (let i = 0; i < plane; ++i) {
      const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
      if (channels === 1) pixels[i] = grey(red, green, blue);
      else [red, green, blue].forEach((value, channel) => (pixels[channel * plane + i] = value));
    }
    if (input.zero) return this.#quantized("cvm_quantize_bytes", pixels, 1, input.offset ?? 0);
    const { fround } = Math;
    const real = Float32Array.from(pixels, (pixel, i) => {
      const channel = Math.floor(i / plane);
      return fround(fround(pixel / fround(made.scale)) - fround(made.mean[channel])) / fround(made.std[channel]);
    });
    return this.quantize(real);
  }

  dequantize(integers, index = 0) {
    const output = this.description?.outputs?.[index];
    if (typeof output?.scale_float !== "number") throw new CVMError(`nothing gives a scale for output ${index}`, 2);
    return Float64Array.from(integers, (value) => (value + (output.offset ?? 0)) * output.scale_float);
  }

  free() {
    if (this.#model) this.#runtime.exports.cvm_free(this.#model);
    this.#model = 0;
  }

  #quantized(call, values, scale, offset) {
    const runtime = this.#runtime;
    const Kind = this.inputPrecision <= 8 ? Int8Array : Int32Array;
    return runtime.with([values, values.length * Kind.BYTES_PER_ELEMENT], (at, into) => {
      const clipped = runtime.exports[call](this.#model, at, BigInt(values.length), scale, BigInt(offset), into);
      if (clipped < 0n) runtime.fail();
      return runtime.take(Kind, into, values.length);
    });
  }

  #input() {
    const inputs = this.description?.inputs ?? [];
    if (inputs.length !== 1) throw new CVMError(`the model has ${inputs.length} described inputs, expected 1`, 2);
    return inputs[0];
  }

  #meaning() {
    const input = this.#input();
    if (typeof input.scale_float !== "number") throw new CVMError("the input has no single scale: give its integers", 2);
    return { scale: input.scale_float, offset: input.offset ?? 0 };
  }

  #dims(call) {
    const rank = { count: 0 };
    return this.#runtime.with([8 * LARGEST_RANK], (into) => {
      rank.count = call(into);
      if (rank.count < 0) this.#runtime.fail();
      return Array.from(this.#runtime.take(BigInt64Array, into, rank.count), Number);
    });
  }
}

function size(shape) {
  return shape.reduce((product, dim) => product * dim, 1);
}

// ITU-R 601-2, as Pillow computes it.
function grey(red, green, blue) {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}
