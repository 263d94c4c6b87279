"""The coded parameters file: the same arrays, from fewer bytes, or one line."""

import os
import shutil
from pathlib import Path

import cvm
import numpy as np
import pytest
from cvm import huffman, params
from cvm.errors import CVMError, LimitError
from cvm.package import load_package, save_package
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    "dense": lambda rng, n: rng.integers(-128, 128, n),
    "sparse": lambda rng, n: rng.integers(-7, 8, n) * (rng.random(n) < 0.07),
    "far apart": lambda rng, n: (np.arange(n) % 1000 == 999) * 5,
    "one value": lambda rng, n: np.full(n, -3),
    "zeros": lambda rng, n: np.zeros(n, int),
    "steep": lambda rng, n: np.minimum(rng.geometric(0.5, n), 60),
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([np.int8, np.int32]),
    st.sampled_from([(1,), (4096,), (4097,), (3, 5, 7), (90, 100)]),
    st.integers(0, 2**32 - 1),
)
def test_round_trip(kind: str, dtype: type, shape: tuple[int, ...], seed: int) -> None:
    values = KINDS[kind](np.random.default_rng(seed), int(np.prod(shape))).astype(dtype).reshape(shape)
    wide = np.random.default_rng(seed).integers(-(2**31), 2**31, 9).astype(np.int32)
    found = huffman.decode(huffman.encode({"a": values, "b": wide}))
    assert params.encode(found) == params.encode({"a": values, "b": wide})


def test_shared_and_sparse_weights_become_small() -> None:
    rng = np.random.default_rng(0)
    weights = (rng.choice([-90, -40, 35, 80], 100_000) * (rng.random(100_000) < 0.1)).astype(np.int8)
    entropy = 100_000 * (0.1 * 2 + 0.469) / 8  # two bits for a value, and of where it is
    assert len(huffman.encode({"w": weights})) < 1.1 * entropy


def test_mutants_are_read_or_refused() -> None:
    rng = np.random.default_rng(1)
    whole = huffman.encode({n: KINDS[n](rng, 1000).astype(np.int8) for n in ("sparse", "steep")})
    refused = 0
    for _ in range(800):
        mutant = bytearray(whole)
        for _ in range(int(rng.integers(1, 4))):
            mutant[int(rng.integers(len(mutant)))] = int(rng.integers(256))
        if rng.random() < 0.2:
            mutant = mutant[: int(rng.integers(len(mutant)))]
        try:
            huffman.decode(bytes(mutant), 2**20)
        except CVMError:
            refused += 1
    assert refused > 200


def test_a_model_is_read_from_its_coded_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    weight = (rng.integers(-5, 6, (8, 12)) * (rng.random((8, 12)) < 0.3)).astype(np.int32)
    dense = cvm.Node("dense", "d", ((0, 0), (1, 0)), {"units": "8", "use_bias": "False"})
    nodes = [cvm.Node("null", "data"), cvm.Node("null", "w"), dense]
    model = cvm.Model(nodes, [(2, 0)], {"w": weight}, {"data": 8, "w": 4}, (1, 12))
    save_package(tmp_path / "m", model, {}, coded=True)
    whole = cvm.load(tmp_path / "m")
    os.remove(tmp_path / "m" / "params")
    coded = cvm.load(tmp_path / "m")
    x = rng.integers(-127, 128, (3, 12)).astype(np.int8)
    np.testing.assert_array_equal(coded(x), whole(x))
    np.testing.assert_array_equal(load_package(tmp_path / "m").model.params["w"], weight)
    assert coded.sha256 == whole.sha256

    shutil.copytree(tmp_path / "m", tmp_path / "other")
    (tmp_path / "other" / "params.huf").write_bytes(huffman.encode({"w": -weight.astype(np.int8)}))
    with pytest.raises(CVMError, match=r"not the file that manifest\.json lists"):
        cvm.load(tmp_path / "other")
    with pytest.raises(LimitError, match="more than the memory"):
        cvm.load(tmp_path / "m", max_memory=50)
