"""What a report keeps for those who look closer: layers, ranges, examples, what was fused. It stays small."""

from typing import Optional

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Example", "Fused", "LayerNoise", "Spread"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())


class LayerNoise(_Part):
    """The signal to quantization noise of what a node of the prepared network computes; None where it is exact."""

    node: str
    operator: str
    sqnr_db: Optional[float]


class Spread(_Part):
    """The values that calibration saw of a tensor, and the range that its integers were given.

    Attributes:
        tensor: its name in the prepared network.
        first: where the first bin begins; `last`, where the last one ends.
        counts: of equal bins; exact zeros are in none.
        low: the smallest real value that the integers stand for; `high`, the largest.
        bits: of the integers.
    """

    tensor: str
    first: float
    last: float
    counts: list[int]
    low: float
    high: float
    bits: int


class Example(_Part):
    """A picture with what both networks say of it. Pictures are PNG or JPEG files in base 64.

    Attributes:
        picture: what the network reads, made small.
        truth: what the dataset says, in words; None where that is no class.
        float_: what the float network says; `integer`, the integer one.
        float_picture: likewise as a picture, boxes or a map; None where words are enough.
        truth_picture: what the dataset says as a map, where it has maps.
    """

    picture: str
    truth: Optional[str] = None
    float_: str = Field(alias="float")
    integer: str
    float_picture: Optional[str] = None
    integer_picture: Optional[str] = None
    truth_picture: Optional[str] = None


class Fused(_Part):
    """How many times operators of the network, by MXNet's names, became one of the prepared network."""

    operators: list[str]
    into: str
    count: int
