"""One engine in a process of its own: `python -m accuracy.worker ENGINE FOLDER` runs all of its settings on a network.

Writes `FOLDER/outputs/ENGINE/SETTING.npy`, or `SETTING.txt`: why the setting gave nothing. Settings whose result is
there are left alone.
"""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import numpy as np

from accuracy.engines import ENGINES, Array, Engine, Run
from mrt.atomic import atomic_write

_BATCH = 20


def main() -> None:
    """Run the engine named first on the network in the folder named second."""
    warnings.simplefilter("ignore")  # of the tools, about what they do with weights
    name, folder = sys.argv[1], Path(sys.argv[2])
    run_settings(ENGINES[name], folder, folder / "outputs" / name)


def run_settings(engine: Engine, folder: Path, target: Path) -> None:
    """Write the outputs of every setting that is not yet in `target`; one that fails leaves its reason there."""
    missing = [name for name in engine.settings if not any((target / f"{name}.{e}").is_file() for e in ("npy", "txt"))]
    if not missing:
        return
    calibration = np.load(folder / "calibration.npy")
    engine.prepare(folder)
    for setting in missing:
        try:
            outputs = outputs_of(engine.quantize(folder, calibration, setting), folder)
        except Exception as error:  # whatever a tool throws where it can't do a setting: the others count
            reason = (str(error).strip().splitlines() or ["no message"])[-1].strip()
            atomic_write(target / f"{setting}.txt", f"{type(error).__name__}: {reason}"[:200])
            continue
        stream = io.BytesIO()
        np.save(stream, outputs)
        atomic_write(target / f"{setting}.npy", stream.getvalue())


def outputs_of(run: Run, folder: Path) -> Array:
    """The outputs for all pictures of a network's folder, float32 (pictures, classes)."""
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    starts = range(0, len(pictures), _BATCH)
    batches = (np.ascontiguousarray(pictures[start : start + _BATCH]) for start in starts)
    found = np.concatenate([run(batch) for batch in batches]).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("outputs that are not finite")
    return found


def read_outputs(target: Path, engine: Engine) -> dict[str, Array | str]:
    """What `run_settings` wrote, by setting; only settings that it came to."""
    found: dict[str, Array | str] = {}
    for setting in engine.settings:
        array, reason = target / f"{setting}.npy", target / f"{setting}.txt"
        if array.is_file():
            found[setting] = np.load(array)
        elif reason.is_file():
            found[setting] = reason.read_text(encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
