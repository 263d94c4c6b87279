"""The runtime as a WebAssembly module with SIMD128, compiled by Zig: `make test-wasm`.

C++ exceptions are WebAssembly's own (the standardised ones, with exnref). Zig's library for this target is built
without them, so the three files of it that throw and catch are compiled here, from the sources that Zig brings.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from everywhere import BUILD, PROJECT, MissingError

NATIVE = PROJECT / "python" / "cvm" / "native"
ROOMS = ("base", "format", "graph", "ops", "plan", "kernels", "exec", "model", "capi", "wasm")
EXCEPTIONS = "-mexception-handling -fwasm-exceptions -mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh=false"
FLAGS = ["-target", "wasm32-wasi", "-O3", "-msimd128", *EXCEPTIONS.split()]


def zig() -> tuple[list[str], Path]:
    """The compiler's command and the folder of its libraries' sources. Raises `MissingError`."""
    found = importlib.util.find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        raise MissingError("no Zig: pip install ziglang")
    return [sys.executable, "-m", "ziglang"], Path(found.submodule_search_locations[0]) / "lib"


def build() -> Path:
    """Compile the runtime and the program that runs cases; returns the module. Raises `MissingError`."""
    command, lib = zig()
    folder = BUILD / "wasm"
    folder.mkdir(parents=True, exist_ok=True)
    own = ["-std=c++17", f"-I{NATIVE}", "-include", str(NATIVE / "wasm" / "one_thread.h")]
    include = [f"-I{lib / name}" for name in ("libcxxabi/include", "libcxxabi/src", "libcxx/src", "libunwind/include")]
    library = [*include, "-D_LIBCXXABI_BUILDING_LIBRARY", "-D_LIBCPP_BUILDING_LIBRARY", "-D_LIBCXXABI_HAS_NO_THREADS"]
    # The linker takes what it meets first: these, not Zig's own that do without exceptions.
    abi = lib / "libcxxabi" / "src"
    sources = {abi / f"cxa_{name}.cpp": ["-std=c++23", *library] for name in ("exception", "personality")}
    sources[lib / "libunwind" / "src" / "Unwind-wasm.c"] = [
        *include,
        "-D_LIBUNWIND_HAS_NO_THREADS",
        "-D_LIBUNWIND_HIDE_SYMBOLS",
    ]
    own_sources = [path for room in ROOMS for path in sorted((NATIVE / room).glob("*.cpp"))]
    sources |= {path: own for path in own_sources if path != NATIVE / "exec" / "threads.cpp"}
    sources |= {NATIVE / "check" / "cases.cpp": own, NATIVE / "wasm" / "exception_tag.s": []}

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.parent.name}_{source.stem}.o"
        if target.exists() and target.stat().st_mtime > newest:
            return target
        language = "cc" if source.suffix in (".c", ".s") else "c++"
        flags = FLAGS if source.suffix != ".s" else ["-target", "wasm32-wasi", "-mexception-handling"]
        subprocess.run([*command, language, *flags, *sources[source], "-c", str(source), "-o", str(target)], check=True)
        return target

    newest = max(path.stat().st_mtime for path in NATIVE.rglob("*") if path.is_file())
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        objects = list(workers.map(compile_one, sources))
    module = folder / "cases.wasm"
    link = [*command, "c++", *FLAGS, *map(str, objects), "-Wl,-z,stack-size=4194304", "-o", str(module)]
    subprocess.run(link, check=True)
    return module


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
