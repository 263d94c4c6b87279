"""The runtime in WebAssembly with SIMD128, compiled by Zig (extra `cross`): `make web` makes build/web of it.

    python -m web.build MODEL_DIR ...    # build/web: the package, its page and these compiled models

Zig's library for WebAssembly is built without exceptions, so the three files of it that throw and catch are compiled
here, from the sources that Zig brings.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NATIVE = PROJECT / "python" / "cvm" / "native"
BUILD = PROJECT / "build" / "web"
ROOMS = ("base", "format", "graph", "ops", "plan", "kernels", "exec", "model", "capi", "wasm")
PACKAGE = ("package.json", "README.md", "cvm.js", "cvm.d.ts", "index.html", "page.js", "page.css")
MODEL = ("symbol", "params", "ext.json", "data.npy")
EXPORTS = [
    "malloc", "free", "cvm_load_memory", "cvm_free", "cvm_kernels", "cvm_last_error", "cvm_last_status",
    "cvm_input_shape", "cvm_input_precision", "cvm_num_outputs", "cvm_outputs_are_int8", "cvm_output_precision",
    "cvm_output_shape", "cvm_quantize", "cvm_quantize_bytes", "cvm_run",
]  # fmt: skip


class MissingError(Exception):
    """What is not installed here."""


def zig() -> tuple[list[str], Path]:
    """The compiler's command and the folder of its libraries' sources.

    Raises:
        MissingError: there is none.
    """
    found = importlib.util.find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        raise MissingError("no Zig: pip install ziglang")
    return [sys.executable, "-m", "ziglang"], Path(found.submodule_search_locations[0]) / "lib"


def module(target: Path, more: Sequence[Path] = (), link: Sequence[str] = (), legacy: bool = False) -> Path:
    """Compile the runtime to a module; returns `target`. What did not change since is not compiled again.

    Args:
        target: the file to write; objects go beside it.
        more: sources besides the runtime's.
        link: what the linker is told.
        legacy: WebAssembly's exceptions as browsers had them before they were standardised, and all still have; the
            standardised ones otherwise.

    Raises:
        MissingError: there is no Zig.
    """
    command, lib = zig()
    target.parent.mkdir(parents=True, exist_ok=True)
    exceptions = f"-mexception-handling -fwasm-exceptions -mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh={legacy}"
    flags = ["-target", "wasm32-wasi", "-O3", "-msimd128", *exceptions.lower().split()]
    own = ["-std=c++17", f"-I{NATIVE}", "-include", str(NATIVE / "wasm" / "one_thread.h")]
    include = [f"-I{lib / name}" for name in ("libcxxabi/include", "libcxxabi/src", "libcxx/src", "libunwind/include")]
    library = [*include, "-D_LIBCXXABI_BUILDING_LIBRARY", "-D_LIBCPP_BUILDING_LIBRARY", "-D_LIBCXXABI_HAS_NO_THREADS"]
    unwinding = [*include, "-w", "-D_LIBUNWIND_HAS_NO_THREADS", "-D_LIBUNWIND_HIDE_SYMBOLS"]
    # The linker takes what it meets first: these, not Zig's own that do without exceptions.
    abi = lib / "libcxxabi" / "src"
    sources = {abi / f"cxa_{name}.cpp": ["-std=c++23", *library] for name in ("exception", "personality")}
    sources[lib / "libunwind" / "src" / "Unwind-wasm.c"] = unwinding
    own_sources = [path for room in ROOMS for path in sorted((NATIVE / room).glob("*.cpp"))]
    sources |= {path: own for path in [*own_sources, *more] if path != NATIVE / "exec" / "threads.cpp"}
    sources[NATIVE / "wasm" / "exception_tag.s"] = []
    newest = max(path.stat().st_mtime for path in NATIVE.rglob("*") if path.is_file())

    def compile_one(source: Path) -> Path:
        made = target.parent / f"{source.parent.name}_{source.stem}.o"
        if made.exists() and made.stat().st_mtime > newest:
            return made
        language = "cc" if source.suffix in (".c", ".s") else "c++"
        given = flags if source.suffix != ".s" else ["-target", "wasm32-wasi", "-mexception-handling"]
        subprocess.run([*command, language, *given, *sources[source], "-c", str(source), "-o", str(made)], check=True)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        objects = list(workers.map(compile_one, sources))
    subprocess.run([*command, "c++", *flags, *map(str, objects), *link, "-o", str(target)], check=True)
    return target


def package(models: Sequence[Path]) -> Path:
    """Make build/web: the package, its page and the models that the page offers; returns the folder.

    Raises:
        MissingError: there is no Zig, or a folder is no compiled model.
    """
    link = ["-mexec-model=reactor", "-Wl,--strip-all", "-Wl,-z,stack-size=4194304"]
    link += [f"-Wl,--export={name}" for name in EXPORTS]
    made = module(BUILD / "objects" / "cvm.wasm", link=link, legacy=True)
    folder = BUILD / "package"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in [made, *(PROJECT / "web" / name for name in PACKAGE)]:
        shutil.copy(path, folder)
    for model in models:
        missing = [name for name in MODEL if not (model / name).is_file()]
        if missing:
            raise MissingError(f"{model} is no compiled model: it has no {missing[0]}")
        shutil.copytree(model, folder / "models" / model.name)
    names = [model.name for model in models]
    (folder / "models.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


def main() -> int:
    """See the module."""
    try:
        print(package([Path(name) for name in sys.argv[1:]]))
    except MissingError as error:
        print(f"web: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
