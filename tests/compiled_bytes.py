"""Compiles networks of mrt/zoo on several numbers of threads, as on several processors, and compares the bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
THREADS = (1, 2)
_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
PROCESSORS = {  # what oneDNN, BLAS, numpy and the C library's mathematics may use
    "this one": {},
    "AVX2": {"DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": _AVX512},
    "SSE4.1": {
        "DNNL_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": f"AVX F16C FMA3 AVX2 {_AVX512}",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX2_Usable,-FMA_Usable",
    },
}


def compiled_bytes(name: str, threads: int, processor: str) -> str:
    """The SHA-256 of the symbol, the parameters and their description, compiled in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked = {"DEFAULT.Output_dir": folder, "COMPILATION.Dump_dir": folder, "EVALUATION.Iter_num": 0}
        options = [part for key, value in asked.items() for part in ("--set", f"{key}={value}")]
        command = [sys.executable, "-W", "ignore", "mrt/main.py", f"mrt/zoo/{name}.ini", *options]
        environment = {**os.environ, **PROCESSORS[processor], "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
        (made,) = Path(folder).glob("*_cvm")
        content = b"".join((made / file).read_bytes() for file in ("symbol", "params", "ext.json"))
        return hashlib.sha256(content).hexdigest()


def main(names: list[str]) -> int:
    """Print the hashes; return 1 if those of a network differ."""
    differ = 0
    for name in names:
        found = set()
        for processor in PROCESSORS:
            for threads in THREADS:
                digest = compiled_bytes(name, threads, processor)
                found.add(digest)
                print(f"{name:24} {processor:8} {threads} threads  {digest[:16]}", flush=True)
        differ += len(found) > 1
    print(f"{differ} of {len(names)} networks differ" if differ else "the same bytes everywhere")
    return min(differ, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["digits", "mnist", "cifar_resnet20_v1"]))
