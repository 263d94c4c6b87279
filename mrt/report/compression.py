"""What compressing a network left of it, step by step."""

from collections.abc import Mapping, Sequence
from typing import Optional

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

__all__ = ["CompressionStep", "SharedWeights", "TrainedIntegers", "markdown"]


class CompressionStep(BaseModel):
    """The network after a step.

    Attributes:
        name: of the step.
        accuracy: of the float network on the evaluation's pictures, the dataset's metrics by name; empty where nothing
            is evaluated.
        macs: multiply-adds for one picture.
        parameters: how many numbers.
        size_bytes: of its parameters in float.
        notes: what else is to be said, such as what could not be pruned, and why.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    accuracy: dict[str, float] = {}
    macs: int
    parameters: int
    size_bytes: int
    notes: Optional[str] = None


class TrainedIntegers(BaseModel):
    """What training the integer network gained.

    Attributes:
        bits: of most of its layers.
        layers: how many layers were trained.
        pictures: held out of the training, on which the compiled model was judged.
        before: its accuracy there as quantized.
        after: that of the best epoch, or of the start where none was better.
        epochs: accuracy there after each.
    """

    model_config = ConfigDict(extra="forbid")

    bits: int
    layers: int
    pictures: int
    before: float
    after: float
    epochs: list[float] = []

    def markdown(self) -> str:
        """As a line."""
        return (
            f"integers of {self.bits} bits trained in {self.layers} layers: {self.before:.2%} before, "
            f"{self.after:.2%} after, on {self.pictures:,} held-out training pictures\n"
        )


class SharedWeights(BaseModel):
    """What an integer network whose weights share values takes.

    Attributes:
        bits: 2^bits values are shared by a layer's weights.
        layers: how many layers that is so for.
        density: of their weights, those that are not 0, 0 to 1.
        pictures: held out of the training, on which the compiled model was judged.
        before: its accuracy there as quantized.
        pruned: with the weights that were left, trained.
        after: with shared values, trained.
        pruned_bytes: of the parameters where weights are kept in float, with the gaps between them (Han et al. 2016).
        shared_bytes: where the numbers of their values are kept, and the values.
        coded_bytes: of `params.huf`.
    """

    model_config = ConfigDict(extra="forbid")

    bits: int
    layers: int
    density: float
    pictures: int
    before: float
    pruned: float
    after: float
    pruned_bytes: int
    shared_bytes: int
    coded_bytes: Optional[int] = None

    def markdown(self, whole: Optional[int]) -> str:
        """As a table; `whole` is the size of the float network's parameters."""
        rows = [
            ("float", whole, None),
            (f"{self.density:.1%} of the weights", self.pruned_bytes, self.pruned),
            (f"{2**self.bits} values a layer", self.shared_bytes, self.after),
            ("Huffman-coded (params.huf)", self.coded_bytes, self.after),
        ]
        table = [
            (name, f"{size:,}", f"{whole / size:.1f} x" if whole else "-", "-" if right is None else f"{right:.2%}")
            for name, size, right in rows
            if size
        ]
        headers = ("parameters", "bytes", "ratio", f"integers on {self.pictures:,} held-out training pictures")
        return tabulate(table, headers=headers, tablefmt="github", disable_numparse=True) + (
            f"\n\n{self.before:.2%} as quantized\n"
        )


def markdown(steps: Sequence[CompressionStep], integers: Mapping[str, float]) -> str:
    """The steps as a table; `integers` is the accuracy of the compiled model, which is made of the last one."""
    whole = steps[0]

    def row(step: CompressionStep, integer: str) -> tuple[str, ...]:
        return (
            step.name,
            _accuracy(step.accuracy),
            integer,
            f"{step.macs / 1e6:.2f} M ({step.macs / max(whole.macs, 1):.1%})",
            f"{step.parameters:,} ({step.parameters / max(whole.parameters, 1):.1%})",
            f"{step.size_bytes:,}",
        )

    rows = [row(step, _accuracy(integers) if step is steps[-1] else "-") for step in steps]
    headers = ("step", "float", "integers", "multiply-adds", "parameters", "bytes in float")
    notes = "".join(f"- {step.name}: {step.notes}\n" for step in steps if step.notes)
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True) + "\n" + notes


def _accuracy(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.2%}" for name, value in values.items()) or "-"
