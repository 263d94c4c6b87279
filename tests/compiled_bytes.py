"""Compiles networks of mrt/zoo on several numbers of threads, as on several processors, and compares the hashes.

By `mrt` and by `mrt.quantize`. With `--once`: on one thread of this processor, by default all of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
NETWORKS = ("digits", "mnist", "cifar_resnet20_v1")
THREADS = (1, 2, 4)
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
SETTINGS: dict[str, dict[str, object]] = {"": {}, "learned": {"QUANTIZATION.Rounding": "learned"}}
_BY_HAND = """
import sys, mrt
from mrt.config import load
from mrt.run.pictures import open_dataset
config = load(sys.argv[1], sys.argv[3:])
data = open_dataset(config, config.calibration.dataset, config.calibration.dataset_dir)
net = config.default.model_dir / config.default.model_name
mrt.quantize(net, data, recipe=mrt.Recipe.from_config(config)).save(sys.argv[2])
"""


def manifest(
    name: str,
    threads: int = 1,
    processor: str = "this one",
    keys: Mapping[str, object] | None = None,
    by_hand: bool = False,
    python: Sequence[str] = (sys.executable,),
) -> dict[str, Any]:
    """The manifest of the compiled model, made in a process of its own.

    Args:
        name: of the configuration.
        threads: how many of OpenMP.
        processor: one of `PROCESSORS`.
        keys: `SECTION.Key` that differ from the configuration's.
        by_hand: by `mrt.quantize` in place of `mrt CONFIG`.
        python: the command that runs it.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = {"DEFAULT.Output_dir": folder, "COMPILATION.Dump_dir": folder, "EVALUATION.Iter_num": 0}
        sets = [f"{key}={value}" for key, value in {**(keys or {}), **written}.items()]
        if by_hand:
            command = ["-c", _BY_HAND, f"mrt/zoo/{name}.ini", f"{folder}/{name}_cvm", *sets]
        else:
            command = ["mrt/main.py", f"mrt/zoo/{name}.ini", *(part for text in sets for part in ("--set", text))]
        environment = {**os.environ, **PROCESSORS[processor], "OMP_NUM_THREADS": str(threads)}
        line = [*python, "-W", "ignore", *command]
        done = subprocess.run(line, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
        (made,) = Path(folder).glob("*_cvm")
        return dict(json.loads((made / "manifest.json").read_text()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the hashes; return 1 if those of a network differ."""
    from accuracy.__main__ import NETWORKS as ACCURACY
    from accuracy.networks import problem  # imports mxnet, which takes seconds
    from mrt.zoo.settings import settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"configurations of mrt/zoo ({', '.join(NETWORKS)})")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--setting", choices=SETTINGS, default="", help="of the configuration's keys (as they are)")
    parser.add_argument("--once", action="store_true", help="one thread of this processor, by both doors")
    parser.add_argument("--models", type=Path, help="a folder in which weights are looked for first")
    options = parser.parse_args(arguments)
    processors, threads = (["this one"], [1]) if options.once else (list(PROCESSORS), options.threads)
    ways = [(number, processor, False) for processor in processors for number in threads]
    ways += [(1, processor, True) for processor in processors]
    names = options.names or (ACCURACY if options.once else NETWORKS)
    compared = differ = 0
    for name in names:
        lacking = problem(name, options.models)
        if lacking:
            print(f"{name:20} left out: {lacking}", flush=True)
            continue
        keys = {**SETTINGS[options.setting], "DEFAULT.Model_dir": settings(name, options.models).default.model_dir}
        found = set()
        for number, processor, by_hand in ways:
            digest = manifest(name, number, processor, keys, by_hand)["sha256"]
            found.add(digest)
            door = "mrt.quantize" if by_hand else "mrt"
            print(f"{name:20} {options.setting:8} {door:12} {processor:8} {number} threads  {digest[:16]}", flush=True)
        compared += 1
        differ += len(found) > 1
    print(f"{differ} of {compared} networks differ" if differ else f"{compared} networks: the same bytes everywhere")
    return min(differ, 1)


if __name__ == "__main__":
    sys.exit(main())
