"""What compressing a network left of it, step by step."""

from collections.abc import Mapping, Sequence
from typing import Optional

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

__all__ = ["CompressionStep", "TrainedIntegers", "markdown"]


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
