"""Exported models compiled by TVM, compared with what the specification gives: `make test-tvm`.

Reads the folder that `everywhere_engines.py --record` wrote. Each model is compiled for this machine by LLVM, and as C
source by this machine's compiler, and both run; for AArch64, the object is written. Needs apache-tvm and onnx only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.tirx import NE, call_pure_extern, register_intrin_lowering

AARCH64 = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76"}
C_OPTIONS = ["-O2", "-Dinff=__builtin_inff()"]  # TVM 0.27 writes infinity as inff


def rules_for_c() -> None:
    """What TVM 0.27's writer of C lacks: its reading of ONNX's Cast has these."""
    for name in ("fabs", "floor"):
        rule = lambda op, name=name: call_pure_extern(op.ty, f"{name}f", *op.args)  # noqa: E731
        register_intrin_lowering(f"tirx.{name}", target="c", f=rule, level=99)
    register_intrin_lowering("tirx.isnan", target="c", f=lambda op: NE(op.args[0], op.args[0]), level=99)


def differing(executable: Any, path: Path) -> str:
    """How many integers differ, of how many."""
    machine, arrays = relax.VirtualMachine(executable, tvm.cpu()), np.load(path.with_suffix(".npz"))
    different = count = 0
    for key in [key for key in arrays.files if key.startswith("x")]:
        found = machine["main"](tvm.runtime.tensor(arrays[key]))
        for i, y in enumerate([found] if isinstance(found, tvm.runtime.Tensor) else found):
            wanted = arrays[f"y{key[1:]}_{i}"]
            different += wanted.size if y.shape != wanted.shape else int((y.numpy() != wanted).sum())
            count += wanted.size
    return f"{different} of {count} differ"


def main() -> int:
    """Compile and compare every model; 1 where an integer differs."""
    parser = argparse.ArgumentParser(description="Compiles recorded models by TVM.")
    parser.add_argument("folder", type=Path, help="what everywhere_engines.py --record wrote")
    options = parser.parse_args()
    rules_for_c()
    equal = True
    for path in sorted(options.folder.glob("*.onnx")):
        module = from_onnx(onnx.load(path))
        results = {"host": differing(relax.build(module, target="llvm"), path)}
        library, sources = path.with_suffix(".so"), path.with_suffix(".c.tar")
        as_c = relax.build(module, target="c")
        as_c.export_library(str(sources))
        as_c.export_library(str(library), options=C_OPTIONS)
        results["C source"] = differing(tvm.runtime.load_module(str(library)), path)
        relax.build(module, target=tvm.target.Target(AARCH64)).export_library(str(path.with_suffix(".aarch64.tar")))
        equal &= all(result.startswith("0 of") for result in results.values())
        print(f"{path.stem}: {', '.join(f'{name} {result}' for name, result in results.items())}", flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
