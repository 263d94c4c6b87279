"""The transformer against the published one's arithmetic, in NumPy."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from scipy import special

from mrt import nets
from mrt.config import load
from mrt.errors import MRTError
from mrt.nets.bert import Bert, BertShape
from mrt.nets.digits_cnn import digits_cnn
from mrt.nets.pretrained import read_weights, weights_file

SHAPE = BertShape(layers=2, width=24, heads=3, inner=40, vocabulary=50, classes=2, positions=16)
LENGTH = 9
_PARTS = {
    "attention.self.query": (24, 24),
    "attention.self.key": (24, 24),
    "attention.self.value": (24, 24),
    "attention.output.dense": (24, 24),
    "intermediate.dense": (40, 24),
    "output.dense": (24, 40),
}


def stored(seed: int = 0) -> dict[str, np.ndarray]:
    """A file's arrays, by PyTorch users' names."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (50, 24),
        "embeddings.position_embeddings.weight": (20, 24),
        "embeddings.token_type_embeddings.weight": (2, 24),
        "pooler.dense.weight": (24, 24),
        "pooler.dense.bias": (24,),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        for name, shape in _PARTS.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        norms += [f"encoder.layer.{layer}.{name}" for name in ("attention.output.LayerNorm", "output.LayerNorm")]
    shapes |= {f"{norm}.{part}": (24,) for norm in norms for part in ("weight", "bias")}
    return {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def reference(w: dict[str, np.ndarray], tokens: np.ndarray, lengths: list[int]) -> np.ndarray:
    """What the pooler gives, a sentence at a time and without any mask."""

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return unit * w[f"{name}.weight"] + w[f"{name}.bias"]

    pooled = []
    for row, length in zip(tokens, lengths):
        x = w["embeddings.word_embeddings.weight"][row[:length]] + w["embeddings.position_embeddings.weight"][:length]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(2):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                dense(x, f"{at}attention.self.{part}").reshape(length, 3, 8).transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            shares = special.softmax(q @ k.transpose(0, 2, 1) / np.sqrt(8), axis=-1)
            mixed = (shares @ v).transpose(1, 0, 2).reshape(length, 24)
            x = norm(x + dense(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
            inner = dense(x, f"{at}intermediate.dense")
            inner = inner * 0.5 * (1 + special.erf(inner / np.sqrt(2)))
            x = norm(x + dense(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
        pooled.append(np.tanh(dense(x[0], "pooler.dense")))
    return np.array(pooled)


def network(shape: BertShape = SHAPE) -> Bert:
    mx.random.seed(0)
    built = Bert(shape)
    built.initialize(mx.init.Normal(0.3))
    return built


def batch(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.random.default_rng(1).integers(1, 50, (len(lengths), LENGTH))
    mask = (np.arange(LENGTH) < np.array(lengths)[:, None]).astype(int)
    return tokens * mask, mask


def test_computes_the_published_network_on_the_tokens_that_the_mask_shows(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.numpy", reason="needs the extra text").save_file
    weights = stored()
    save_file({f"bert.{name}": array for name, array in weights.items()}, tmp_path / "w.safetensors")
    net = network()
    read_weights(net, tmp_path / "w.safetensors")
    tokens, mask = batch([9, 5, 2])
    found = net(mx.nd.array(tokens), mx.nd.array(mask)).asnumpy()
    classes, bias = (net.collect_params()[f"bert_classes_{part}"].data().asnumpy() for part in ("weight", "bias"))
    np.testing.assert_allclose(found, reference(weights, tokens, [9, 5, 2]) @ classes.T + bias, atol=2e-5)


@pytest.mark.parametrize("gelu", ["erf", "tanh"])
def test_any_length_up_to_the_positions_gives_the_same(gelu: str) -> None:
    net = network(BertShape(**{**vars(SHAPE), "gelu": gelu}))
    net.hybridize()
    tokens, mask = batch([4, 3])
    long = net(mx.nd.array(tokens), mx.nd.array(mask)).asnumpy()
    short = net(mx.nd.array(tokens[:, :4]), mx.nd.array(mask[:, :4])).asnumpy()
    np.testing.assert_allclose(long, short, atol=1e-5)
    assert np.ptp(long) > 0.01


def test_refuses_weights_of_another_network(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.numpy", reason="needs the extra text").save_file
    path = tmp_path / "w.safetensors"
    weights = stored()
    save_file({**weights, "pooler.dense.bias": np.zeros(3, np.float32)}, path)
    with pytest.raises(MRTError, match=r"pooler.dense.bias has the shape \(3,\), bert takes \(24,\)"):
        read_weights(network(), path)
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, path)
    with pytest.raises(MRTError, match=r"has no weights encoder.layer.1.output.dense.bias; it is not of a BERT of 2"):
        read_weights(network(), path)
    path.write_bytes(b"nothing")
    with pytest.raises(MRTError, match=r"w.safetensors: is no readable .safetensors file"):
        read_weights(network(), path)
    with pytest.raises(MRTError, match=r"initial: no_such_package is neither a file nor an installed package"):
        weights_file("no_such_package")
    assert weights_file(str(path)) == path
    with pytest.raises(MRTError, match=r"initial: weights are read for networks of BERT's kind"):
        read_weights(digits_cnn(), path)


@pytest.mark.parametrize("name", ["minilm", "minilm_3", "tinybert", "bert_312_3", "bert_base", "bilstm"])
def test_networks_of_text_give_a_score_for_each_class(name: str) -> None:
    net = nets.get(name)
    _, (output,), _ = net(mx.sym.var("data0"), mx.sym.var("data1")).infer_shape(data0=(3, 16), data1=(3, 16))
    assert output == (3, 2)


def test_configurations_of_text_name_networks_that_build_and_nodes_that_are_there(project: Path) -> None:
    paths = sorted((project / "mrt/zoo/text").glob("*.ini"))
    assert len(paths) >= 5
    for path in paths:
        config = load(path)
        assert config.train is not None and nets.known(config.train.network)
        for student, teacher in (config.distillation.pairs if config.distillation else {}).items():
            for name, node in ((config.train.network, student), ("minilm", teacher)):
                internals = nets.get(name)(mx.sym.var("data0"), mx.sym.var("data1")).get_internals()
                assert f"{node}_output" in internals.list_outputs(), (path, node)
