"""Several inputs in one: packed by the host, taken apart by the graph, on both executors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, load, packing
from cvm.__main__ import main
from cvm.errors import CVMWarning
from cvm.package import load_package, save_package
from hypothesis import given, settings
from hypothesis import strategies as st

PICTURE, WORDS, FLAG = ("picture", (-1, 3, 4, 4), 8), ("words", (7, -1), 12), ("flag", (-1,), 2)


def integers(
    rng: np.random.Generator, placed: list[packing.Slot], batch: int, beyond: int = 0
) -> dict[str, np.ndarray]:
    """Values of every input, up to `beyond` more than its precision holds."""
    found = {}
    for slot in placed:
        bound = 2 ** (slot.precision - 1) - 1 + beyond
        shape = tuple(batch if dim == -1 else dim for dim in slot.shape)
        found[slot.name] = rng.integers(-bound, bound + 1, shape).astype(np.int32)
    return found


def identities(placed: list[packing.Slot], batch: int = 1) -> Model:
    """A model that gives every input back as one head."""
    nodes, entries = packing.nodes(placed)
    heads = []
    for slot in placed:
        nodes.append(Node("cvm_clip", f"{slot.name}_out", (entries[slot.name],), {"precision": str(slot.precision)}))
        heads.append((len(nodes) - 1, 0))
    return Model(nodes, heads, {}, {"data": packing.packed_precision(placed)}, packing.packed_shape(placed, batch))


shapes = st.lists(st.integers(1, 4), min_size=0, max_size=4)
inputs = st.lists(st.tuples(shapes, st.integers(0, 4), st.integers(2, 20)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(inputs, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_out_in_every_shape_and_batch(tmp_path_factory, drawn, batch, seed) -> None:
    shaped = [
        (f"x{i}", (*shape[:axis], -1, *shape[axis:]), precision) for i, (shape, axis, precision) in enumerate(drawn)
    ]
    placed = packing.slots(shaped)
    values = integers(np.random.default_rng(seed), placed, batch, beyond=3)
    packed = packing.pack(placed, values)
    assert packed.shape == packing.packed_shape(placed, batch) and len(packed) == batch
    expected = {s.name: np.clip(values[s.name], 1 - 2 ** (s.precision - 1), 2 ** (s.precision - 1) - 1) for s in placed}
    model = identities(placed)
    folder = tmp_path_factory.mktemp("packed")
    save_package(folder, model, {})
    native = load(folder)(packed)
    unpacked = packing.unpack(placed, packed)
    for slot, one, other in zip(placed, formal.run(model, packed), native if isinstance(native, tuple) else [native]):
        for found in (unpacked[slot.name], one, other):
            np.testing.assert_array_equal(found, expected[slot.name])


def test_the_graph_clips_what_was_packed_by_hand() -> None:
    placed = packing.slots([PICTURE, WORDS])
    model = identities(placed)
    packed = np.full(packing.packed_shape(placed, 2), 2047, np.int32)
    picture, words = formal.run(model, packed)
    assert (picture == 127).all() and (words == 2047).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": None}, "input 'picture' is missing; the model takes picture, words, flag"),
        ({"more": np.zeros(2, int)}, "no input 'more'"),
        ({"flag": np.zeros(3, int)}, "different numbers of samples: picture 2, words 2, flag 3"),
        ({"words": np.zeros((2, 7), int)}, r"'words' has shape \(2, 7\), expected \(7, -1\)"),
        ({"words": np.zeros(7, int)}, r"'words' has shape \(7,\)"),
        ({"flag": np.zeros(2)}, "'flag' is float64, expected integers"),
    ],
)
def test_what_does_not_fit_is_named(change, message) -> None:
    placed = packing.slots([PICTURE, WORDS, FLAG])
    given_values = {**integers(np.random.default_rng(0), placed, 2), **change}
    with pytest.raises(CVMError, match=message):
        packing.pack(placed, {name: value for name, value in given_values.items() if value is not None})


@pytest.mark.parametrize("shape", [(3, 4), (-1, -1), (-1, 0), (-1, -2)])
def test_a_shape_has_one_batch_axis(shape) -> None:
    with pytest.raises(CVMError, match="must have one -1"):
        packing.slots([("x", shape, 8)])
    with pytest.raises(CVMError, match="one name"):
        packing.slots([PICTURE, PICTURE])


@pytest.fixture
def scaled(tmp_path):
    """A saved model: sums of each sample's picture, in steps of 1/64, and of its words' numbers."""
    placed = packing.slots([PICTURE, WORDS])
    nodes, entries = packing.nodes(placed)
    nodes.append(Node("sum", "pixels", (entries["picture"],), {"axis": "(1, 2, 3)", "keepdims": "False"}))
    nodes.append(Node("transpose", "rows", (entries["words"],), {"axes": "(1, 0)"}))
    nodes.append(Node("sum", "numbers", ((len(nodes) - 1, 0),), {"axis": "(1,)", "keepdims": "False"}))
    heads = [(len(nodes) - 3, 0), (len(nodes) - 1, 0)]
    model = Model(nodes, heads, {}, {"data": 12}, packing.packed_shape(placed, 1))
    described = [
        {"name": slot.name, "shape": slot.shape, "precision": slot.precision, "start": slot.start, "scale": scale}
        for slot, scale in zip(placed, ("1/64", "1"))
    ]
    save_package(
        tmp_path / "m",
        model,
        {"inputs": described},
        packing.pack(placed, integers(np.random.default_rng(1), placed, 1)),
    )
    return tmp_path / "m"


def test_a_dict_is_quantized_packed_and_run(scaled) -> None:
    model = load(scaled)
    rng = np.random.default_rng(0)
    picture = rng.integers(-127, 128, (5, 3, 4, 4)) / 64
    words = rng.integers(0, 2000, (7, 5))
    packed = model.quantize_input({"words": words, "picture": picture})
    for given_input in (packed, {"picture": (picture * 64).astype(np.int8), "words": words}):
        pixels, numbers = model(given_input)
        assert pixels.tolist() == (picture * 64).sum(axis=(1, 2, 3)).tolist()
        assert numbers.tolist() == words.sum(axis=0).tolist()
    with pytest.raises(CVMError, match=r"several inputs \(picture, words\): give an array for each"):
        model.quantize_input(picture)
    with pytest.raises(CVMError, match="'picture' is float64, expected integers; see quantize_input"):
        model({"picture": picture, "words": words})
    with pytest.warns(CVMWarning, match=r"'words': 1 of 7 values lie outside \[-2047, 2047\]"):
        model.quantize_input({"picture": picture[:1], "words": np.array([[3000], *[[1]] * 6])})


@pytest.mark.parametrize("backend", ["native", "formal"])
def test_the_command_takes_a_file_for_each_input_or_one_archive(scaled, tmp_path, backend, capsys) -> None:
    rng = np.random.default_rng(0)
    picture, words = rng.integers(-127, 128, (5, 3, 4, 4)) / 64, rng.integers(0, 2000, (7, 5))
    np.save(tmp_path / "p.npy", picture)
    np.save(tmp_path / "w.npy", words)
    np.savez(tmp_path / "both.npz", picture=picture, words=words)
    separate = ["--input", f"words={tmp_path / 'w.npy'}", "--input", f"picture={tmp_path / 'p.npy'}"]
    expected = np.stack([(picture * 64).sum(axis=(1, 2, 3)), words.sum(axis=0)])
    for given_files in (separate, ["--input", str(tmp_path / "both.npz")]):
        out = tmp_path / "y.npy"
        assert main(["run", str(scaled), *given_files, "--output", str(out), "--backend", backend]) == 0
        np.testing.assert_array_equal(np.load(out), expected.reshape(1, -1))
    for wrong, message in [
        (separate[:2], "'picture' is missing"),
        ([*separate, "--input", separate[1]], "words: given twice"),
        ([*separate[:3], str(tmp_path / "p.npy")], "each must be NAME=FILE"),
        (["--input", str(tmp_path / "p.npy")], "several inputs"),
    ]:
        assert main(["run", str(scaled), *wrong, "--output", str(tmp_path / "z.npy"), "--backend", backend]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "z.npy").exists()


def test_inspect_shows_every_part(scaled, capsys) -> None:
    assert main(["inspect", str(scaled)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["part", "picture", "-1x3x4x4", "8", "1/64"] in lines and ["part", "words", "7x-1", "12", "1"] in lines
    assert ["SHA-256", load_package(scaled).sha256] in lines


def test_a_layout_that_is_not_the_models_is_refused(scaled) -> None:
    model = load_package(scaled).model
    document = json.loads((scaled / "ext.json").read_text())
    document["inputs"][1]["shape"] = [8, -1]
    save_package(scaled, model, document)
    with pytest.raises(CVMError, match=r"ext\.json: its 2 inputs take 56 values"):
        load(scaled)
