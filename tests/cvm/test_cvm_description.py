"""ext.json: what it says is read once and checked."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from cvm import CVMError
from cvm.description import Description, Input, Meaning, Output, decode, parse

PREPROCESS = {"layout": "NCHW", "channels": "RGB", "mean": [1, 2.5, 3], "std": [1, 1, 2], "scale": 255.0, "resize": 256}
TWO = [
    {"name": "picture", "shape": [-1, 3, 4, 4], "precision": 8, "scale": "1/64", "start": 0, "preprocess": PREPROCESS},
    {"name": "words", "shape": [7, -1], "precision": 16, "scale": "1", "start": 48, "batch_axis": 1},
]


def test_inputs_outputs_and_labels() -> None:
    found = parse({"producer": "x", "inputs": TWO, "outputs": [{"scale": ["1/2", "3"], "offset": -4}], "labels": ["a"]})
    picture, words = found.inputs
    assert picture.shape == (-1, 3, 4, 4) and picture.meaning == Meaning((Fraction(1, 64),))
    assert picture.preprocess is not None and picture.preprocess.size == 256
    assert picture.preprocess.mean == (1.0, 2.5, 3.0) and picture.preprocess.interpolation == "bilinear"
    assert words == Input("words", (7, -1), 16, Meaning((Fraction(1),)), 48)
    assert found.outputs == (Output(meaning=Meaning((Fraction(1, 2), Fraction(3)), -4)),)
    assert found.labels == ("a",) and found.producer == "x"
    assert [(slot.name, slot.start, slot.stop, slot.batch_axis) for slot in found.slots()] == [
        ("picture", 0, 48, 0),
        ("words", 48, 55, 1),
    ]


def test_older_files_have_one_input_and_need_say_nothing() -> None:
    found = parse({"input": {"scale": "1/3"}, "outputs": [{}], "labels": None})
    assert found.inputs == (Input(meaning=Meaning((Fraction(1, 3),))),) and not found.slots()
    assert parse({}) == Description() == parse({"input": None})
    assert parse({"inputs": [{"preprocess": {"words": ["a"], "layout": "TN"}}]}).inputs[0].preprocess is None


def at(path: str, value: object) -> object:
    """TWO's document with one value changed; the path is keys and indices with dots between."""
    document = json.loads(json.dumps({"inputs": TWO, "outputs": [{"scale": "1"}]}))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = document
    for part in parents:
        place = place[part]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("inputs", {}, "inputs: must be a list"),
        ("inputs.1", 3, r"inputs\[1\]: must be an object"),
        ("inputs.0.name", None, r"inputs\[0\].name: None is not a text"),
        ("inputs.0.scale", "1/0", r"inputs\[0\].scale: '1/0' is not a scale"),
        ("inputs.0.scale", "-1", "not a scale"),
        ("inputs.0.scale", 0.5, "not a scale"),
        ("inputs.0.scale", [], "empty list"),
        ("inputs.0.scale", "1e999999999", "not a scale"),
        ("inputs.0.scale", "1/1" + "0" * 390, "too small for a scale"),
        ("inputs.0.scale", "1" + "0" * 390, "not a scale"),
        ("inputs.0.offset", 1.5, "not an integer"),
        ("inputs.0.offset", True, "not an integer"),
        ("inputs.0.precision", 33, "not in 1..32"),
        ("inputs.0.shape", [3, 4, 4], "a shape with one -1"),
        ("inputs.0.shape", [-1, 0, 4], "a shape with one -1"),
        ("inputs.0.shape", "x", "must be a list"),
        ("inputs.1.start", 47, "'words' begins inside another one"),
        ("inputs.1.name", "picture", "two have one name"),
        ("inputs.0.preprocess.mean", [1], r"inputs\[0\].preprocess: mean and std must have 3 values"),
        ("inputs.0.preprocess.mean", [1, 2, "x"], "mean: .* is not a list of numbers"),
        ("inputs.0.preprocess.std", [1, 1, 0], "be positive"),
        ("inputs.0.preprocess.scale", None, "scale: .* is not a list of numbers"),
        ("inputs.0.preprocess.resize", [1, 2, 3], "neither a length nor"),
        ("inputs.0.preprocess.interpolation", "lanczos", "not one of bilinear, by_size"),
        ("inputs.0.preprocess.channels", "BGR", "neither RGB nor grey"),
        ("outputs.0", None, r"outputs\[0\]: must be an object"),
        ("labels", ["a", 1], r"labels\[1\]: 1 is not a text"),
        ("producer", 1, "producer: 1 is not a text"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(path, value, message) -> None:
    with pytest.raises(CVMError, match=r"ext\.json: .*" + message) as refused:
        parse(at(path, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"1"])
def test_what_is_no_object_is_refused(content) -> None:
    with pytest.raises(CVMError, match=r"ext\.json"):
        decode(content)
