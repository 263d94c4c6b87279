"""The runtime as a WebAssembly module with SIMD128, run by wasmtime: `make test-wasm`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from everywhere import BUILD

from web.build import NATIVE, MissingError, module


def build() -> Path:
    """Compile the runtime and the program that runs cases; returns the module. Raises `MissingError`."""
    cases = NATIVE / "check" / "cases.cpp"
    return module(BUILD / "wasm" / "cases.wasm", [cases], ["-Wl,-z,stack-size=4194304"])


def run(module: Path, cases: Path) -> str:
    """What the program prints of the cases, in wasmtime; raises `MissingError`, and `SystemExit` where one differs."""
    if importlib.util.find_spec("wasmtime") is None:
        raise MissingError("no wasmtime: pip install wasmtime")
    import wasmtime

    config = wasmtime.Config()
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["cases", f"cases/{cases.name}"]
    wasi.preopen_dir(str(cases.resolve().parent), "cases")
    output = module.with_suffix(".txt")
    wasi.stdout_file = wasi.stderr_file = str(output)
    store.set_wasi(wasi)
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(module)))
    code = 0
    try:
        start = instance.exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        start(store)
    except wasmtime.ExitTrap as end:
        code = end.code
    lines = output.read_text(encoding="utf-8").strip().splitlines()
    if code or not lines:
        raise SystemExit("\n".join(["wasm:", *lines]))
    return str(lines[-1])


def main() -> int:
    """Build, and run the cases."""
    try:
        print(f"wasm: {run(build(), BUILD / 'cases')}", flush=True)
    except MissingError as error:
        print(f"everywhere: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
