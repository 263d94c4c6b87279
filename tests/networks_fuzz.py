"""Networks with one or a few oddities each, drawn at random and taken through the shipped recipe: `make fuzz-networks`.

Whatever MXNet runs must end in a compiled model whose executors agree on every integer, or in a refusal of one line;
never in a dead process, a traceback or a hang. Each network has a seed of its own, so that one can be run again:

    PYTHONPATH=tests python tests/networks_fuzz.py --seed 17 --count 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import resource
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from saved_networks import NAME, save

from mrt import pipeline
from mrt.config import load
from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.report import Progress

sym = mx.sym
Random = np.random.Generator
Oddity = Callable[[Random, Any], Any]
SECONDS = 180.0
MEMORY = 8 << 30  # of address space, of which MXNet takes some for itself
OK, REFUSED, INVALID, FAILED = "compiled", "refused", "not MXNet's", "FAILED"
INI = """[DEFAULT]
Model_dir={folder}
Model_name={name}
Output_dir={folder}/out
Input_shape=(-1,1,8,8)
Batch=4
[CALIBRATION]
Dataset=digits
Calibrate_num=2
[EVALUATION]
Iter_num=2
[COMPILATION]
"""


def pick(random: Random, *choices: Any) -> Any:
    """One of the choices."""
    return choices[int(random.integers(len(choices)))]


def shape_of(x: Any) -> tuple[int, ...]:
    """Of a batch of two."""
    return tuple(x.infer_shape(data=(2, 1, 8, 8))[1][0])


def conv(random: Random, x: Any) -> Any:
    """A convolution of pictures, or a dense layer of what is none."""
    shape = shape_of(x)
    if len(shape) != 4:
        return sym.FullyConnected(x, num_hidden=int(random.integers(1, 20)), flatten=pick(random, True, False))
    groups = pick(random, 1, 1, shape[1])
    kernel = pick(random, (1, 1), (3, 3), (2, 3))
    return sym.Convolution(
        x,
        num_filter=shape[1] * pick(random, 1, 2) if groups > 1 else int(random.integers(1, 20)),
        num_group=groups,
        kernel=kernel,
        pad=tuple(k // 2 for k in kernel),
        stride=(1, 1) if min(shape[2:]) < 4 else pick(random, (1, 1), (2, 1)),
        dilate=pick(random, (1, 1), (1, 1), (2, 1)) if kernel == (3, 3) else (1, 1),
        no_bias=pick(random, True, False),
    )


def split(random: Random, x: Any) -> Any:
    """Some of the channels, or all in parts that are multiplied, added or joined."""
    size = shape_of(x)[1]
    kind = pick(random, "axis", "slice", "parts", "backwards", "uneven")
    begin = int(random.integers(size))
    end = int(random.integers(begin + 1, size + 1))
    if kind == "axis":
        return sym.slice_axis(x, axis=1, begin=begin, end=end)
    if kind == "slice":
        return sym.slice(x, begin=(None, begin), end=(None, end))
    if kind == "backwards":
        return sym.slice(x, begin=(None, None), end=(None, None), step=(1, -1))
    if kind == "uneven" and size > 1:
        cut = int(random.integers(1, size))
        a, b = sym.split_v2(x, (cut,), axis=1)
        return sym.Concat(sym.sigmoid(b), a, dim=1)
    if size % 2:
        return x
    a, b = sym.SliceChannel(x, num_outputs=2, axis=1)
    return pick(random, lambda: a * sym.sigmoid(b), lambda: a + b, lambda: sym.Concat(b, a, dim=1))()


def reshape(random: Random, x: Any) -> Any:
    """Entries in another shape; axes in another order."""
    shape = shape_of(x)
    rank = len(shape)
    order = [0, *(random.permutation(rank - 1) + 1)]
    return pick(
        random,
        lambda: sym.Flatten(x),
        lambda: sym.Reshape(x, shape=(0, 0, -1)),
        lambda: sym.Reshape(x, shape=(-1, shape[1], int(np.prod(shape[2:])))),
        lambda: sym.Reshape(x, shape=(2, int(np.prod(shape[1:])))),
        lambda: sym.Reshape(x, target_shape=(0, int(np.prod(shape[1:])))),
        lambda: sym.Reshape(sym.Flatten(x), shape=(-1, 0), reverse=True),
        lambda: sym.Reshape(x, shape=(-2, 1)),
        lambda: sym.transpose(x, axes=tuple(int(axis) for axis in order)),
        lambda: sym.SwapAxis(x, dim1=1, dim2=rank - 1),
        lambda: sym.squeeze(sym.expand_dims(x, axis=1), axis=1),
        lambda: sym.expand_dims(sym.Flatten(x), axis=pick(random, 1, 2)),
        lambda: sym.Reshape(sym.Flatten(x), shape=(0, -4, 1, -1)),
        lambda: sym.tile(x, reps=(1, 2) + (1,) * (rank - 2)),
        lambda: sym.repeat(x, repeats=2, axis=1),
        lambda: sym.reverse(x, axis=1),
        lambda: sym.stack(x, x * 2, axis=pick(random, 1, -1)),
    )()


def steps_first(random: Random, x: Any) -> Any:
    """A sequence whose batch is the second axis, read by a dense or a recurrent layer."""
    steps = sym.transpose(sym.Reshape(sym.Flatten(x), shape=(0, 4, -1)), axes=(1, 0, 2))
    if int(np.prod(shape_of(x)[1:])) % 4:
        return x
    read = sym.FullyConnected(steps, num_hidden=5, flatten=False)
    name = f"steps{random.integers(10**6)}"
    states = [sym.zeros((1, 0, 3)), sym.zeros((1, 0, 3))]
    recurrent = pick(random, "lstm", "gru", "rnn_tanh")
    return pick(
        random,
        lambda: sym.transpose(pick(random, read, sym.softmax(read, axis=-1), sym.tanh(read)), axes=(1, 0, 2)),
        lambda: pick(random, sym.mean, sym.sum, sym.max, sym.min, sym.norm)(read, axis=0),
        lambda: sym.sum(sym.broadcast_mul(steps, sym.softmax(read, axis=0).slice_axis(axis=2, begin=0, end=1)), axis=0),
        lambda: sym.transpose(sym.broadcast_sub(read, sym.mean(read, axis=0, keepdims=True)), axes=(1, 0, 2)),
        lambda: sym.Reshape(sym.slice_axis(read, axis=0, begin=-1, end=None), shape=(-3, 0)),
        lambda: sym.transpose(sym.reverse(sym.slice(read, begin=(1, None), end=(4, None)), axis=0), axes=(1, 0, 2)),
        lambda: sym.mean(
            sym.RNN(
                *(steps, sym.Variable(f"{name}_parameters"), *states[: 1 + (recurrent == "lstm")]),
                state_size=3,
                num_layers=1,
                mode=recurrent,
                name=name,
            ),
            axis=0,
        ),
    )()


def cell(random: Random, x: Any) -> Any:
    """An unrolled recurrent cell."""
    if int(np.prod(shape_of(x)[1:])) % 4:
        return x
    kind = pick(random, mx.rnn.LSTMCell, mx.rnn.GRUCell, mx.rnn.RNNCell)
    steps = sym.Reshape(sym.Flatten(x), shape=(0, 4, -1))
    unrolled, _ = kind(3, prefix=f"cell{random.integers(10**6)}_").unroll(
        4, inputs=steps, merge_outputs=True, layout="NTC"
    )
    return unrolled


def function(random: Random, x: Any) -> Any:
    """A function of each entry."""
    positive = sym.abs(x) + 0.1
    return pick(
        random,
        lambda: sym.Activation(x, act_type=pick(random, "relu", "sigmoid", "tanh", "softsign", "softrelu")),
        lambda: sym.LeakyReLU(
            x, act_type=pick(random, "leaky", "elu", "selu", "gelu"), slope=pick(random, 0.0, 0.1, 1.0)
        ),
        lambda: sym.clip(x, pick(random, -1e9, -1.0, 0.0), pick(random, 1e-3, 0.5, 1e9)),
        lambda: sym.exp(x * 0.3),
        lambda: sym.log(positive),
        lambda: sym.sqrt(positive),
        lambda: sym.rsqrt(positive),
        lambda: sym.reciprocal(positive),
        lambda: sym.square(x),
        lambda: sym.hard_sigmoid(x),
        lambda: positive ** pick(random, 0.5, 2, 3),
        lambda: sym.erf(x),
        lambda: sym.Dropout(x),
        lambda: sym.BlockGrad(sym.identity(x)),
        lambda: sym.Cast(sym.Cast(x, dtype="float16"), dtype="float32"),
    )()


def arithmetic(random: Random, x: Any) -> Any:
    """With numbers, with itself, with what is made of it."""
    number = pick(random, -3.0, -1e-4, 1e-6, 0.0, 0.5, 7.0, 1e4)
    axes = tuple(range(1, len(shape_of(x))))
    mean = sym.mean(x, axis=pick(random, axes, (1,), (len(axes),)), keepdims=True)
    return pick(
        random,
        lambda: x + number,
        lambda: number - x,
        lambda: x * number,
        lambda: x / (number or 1.0),
        lambda: number / (sym.abs(x) + 1),
        lambda: sym.broadcast_sub(x, mean),
        lambda: sym.broadcast_mul(x, sym.sigmoid(mean)),
        lambda: sym.broadcast_div(x, sym.abs(mean) + 1),
        lambda: sym.broadcast_maximum(x, mean),
        lambda: sym.broadcast_minimum(mean, x),
        lambda: sym.add_n(x, x * 0.5, sym.relu(x)),
        lambda: x * x - x,
        lambda: sym.maximum(x, number),
        lambda: sym.where(x > 0, x, x * 0.1),
        lambda: x * (x >= number),
        lambda: x * (x != 0) + (x == 0),
        lambda: sym.zeros_like(x) + x,
        lambda: sym.Concat(x, x * 50, dim=1),
    )()


def normalised(random: Random, x: Any) -> Any:
    """By statistics of its own or of training."""
    shape = shape_of(x)
    name = f"norm{random.integers(10**6)}"
    eps = pick(random, 1e-12, 1e-5, 1e-3)
    return pick(
        random,
        lambda: sym.BatchNorm(x, fix_gamma=pick(random, True, False), eps=eps, name=name),
        lambda: sym.contrib.SyncBatchNorm(x, key=name, name=name),
        lambda: sym.LayerNorm(x, axis=pick(random, 1, -1), eps=eps, name=name),
        lambda: sym.InstanceNorm(x, eps=eps, name=name) if len(shape) > 2 else x,
        lambda: sym.GroupNorm(x, num_groups=1, eps=eps, name=name) if len(shape) > 2 else x,
        lambda: sym.L2Normalization(x, mode=pick(random, "instance", "channel") if len(shape) > 2 else "instance"),
        lambda: sym.LRN(x, nsize=3) if len(shape) == 4 else x,
        lambda: sym.softmax(x, axis=pick(random, 1, -1), temperature=pick(random, 0.5, 1.0, 4.0)),
        lambda: sym.log_softmax(x, axis=1),
    )()


def reduced(random: Random, x: Any) -> Any:
    """Fewer entries."""
    rank = len(shape_of(x))
    reduce = pick(random, sym.mean, sym.sum, sym.max, sym.min)
    axis = int(random.integers(1, rank))
    return reduce(x, axis=pick(random, axis, axis - rank), keepdims=pick(random, True, False) or rank == 2)


def resampled(random: Random, x: Any) -> Any:
    """Pictures of another size."""
    shape = shape_of(x)
    if len(shape) != 4 or min(shape[2:]) < 2:
        return x
    kind, convention = pick(random, "max", "avg", "sum"), pick(random, "valid", "full")
    pooled = sym.Pooling(
        x,
        kernel=(2, 2),
        stride=pick(random, (2, 2), (1, 1)),
        pool_type=kind,
        pooling_convention=convention,
        count_include_pad=pick(random, True, False),
    )
    return pick(
        random,
        lambda: pooled,
        lambda: sym.Pooling(x, global_pool=True, kernel=(1, 1), pool_type=pick(random, "max", "avg")),
        lambda: sym.UpSampling(x, scale=pick(random, 2, 3), sample_type="nearest"),
        lambda: sym.Deconvolution(x, num_filter=3, kernel=(3, 3), stride=(2, 2), pad=(1, 1), adj=(1, 1)),
        lambda: sym.Pad(x, mode=pick(random, "constant", "edge", "reflect"), pad_width=(0, 0, 0, 0, 1, 0, 0, 1)),
        lambda: sym.Crop(x, h_w=(shape[2] - 1, shape[3] - 1), center_crop=pick(random, True, False), num_args=1),
        lambda: sym.contrib.AdaptiveAvgPooling2D(x, output_size=pick(random, 1, 2)),
        lambda: sym.contrib.BilinearResize2D(x, height=5, width=6),
        lambda: sym.slice_like(x, pooled, axes=(2, 3)),
    )()


def attention(random: Random, x: Any) -> Any:
    """Products of matrices that are both the network's data."""
    rows = sym.Reshape(x, shape=(0, 0, -1)) if len(shape_of(x)) > 2 else sym.expand_dims(x, axis=1)
    scores = sym.softmax(sym.batch_dot(rows, rows, transpose_b=True) * 0.1, axis=-1)
    return sym.batch_dot(scores, rows)


def branches(random: Random, x: Any) -> Any:
    """Several layers of one tensor, added to it."""
    total = x
    for i in range(int(random.integers(2, 12))):
        total = total + sym.relu(x) * (0.1 * i)
    return total


def joined(random: Random, x: Any) -> Any:
    """Layers of one tensor, of very different sizes, beside each other."""
    rank = len(shape_of(x))

    def layer() -> Any:
        if rank == 4:
            made = sym.Convolution(x, num_filter=int(random.integers(1, 9)), kernel=(1, 1))
        else:
            made = sym.FullyConnected(x, num_hidden=int(random.integers(1, 9)))
        return pick(random, made, sym.relu(made)) * float(10.0 ** -random.integers(4))

    first = x if rank == 4 else sym.Flatten(x)
    return pick(random, sym.relu, lambda both: both)(sym.Concat(first, layer(), layer(), dim=1))


def sequences(random: Random, x: Any) -> Any:
    """What ends, is masked or turned round at a length: of all samples, or of each."""
    if int(np.prod(shape_of(x)[1:])) % 4:
        return x
    flat = sym.Flatten(x)
    steps = sym.transpose(sym.Reshape(flat, shape=(0, 4, -1)), axes=(1, 0, 2))
    lengths = [1 + pick(random, 1, 3) * (sym.mean(flat, axis=1) > 0)] if random.integers(2) else []
    use = {"use_sequence_length": bool(lengths)}
    return pick(
        random,
        lambda: sym.SequenceLast(steps, *lengths, **use),
        lambda: sym.transpose(sym.SequenceReverse(steps, *lengths, **use), axes=(1, 0, 2)),
        lambda: sym.transpose(sym.SequenceMask(steps, *lengths, **use), axes=(1, 0, 2)),
        lambda: sym.SequenceMask(sym.Reshape(flat, shape=(0, 4, -1)), *lengths, value=-1, axis=1, **use),
    )()


ODDITIES: tuple[Oddity, ...] = (
    conv,
    split,
    reshape,
    steps_first,
    cell,
    function,
    arithmetic,
    normalised,
    reduced,
    resampled,
    attention,
    branches,
)
LATER: tuple[Oddity, ...] = (joined, sequences)
"""Drawn apart, in one network of three, so that a seed's other oddities stay what they were."""


def ended(random: Random, x: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """The network's end, as trained or as deployed, and the shapes of labels."""
    label = sym.Variable("softmax_label")
    flat = sym.FullyConnected(sym.Flatten(x), num_hidden=10)
    return pick(
        random,
        lambda: (flat, {}),
        lambda: (x, {}),
        lambda: (sym.SwapAxis(x, dim1=0, dim2=1), {}),
        lambda: (sym.Group([flat, x]), {}),
        lambda: (sym.SoftmaxOutput(flat, label), {"softmax_label": (2,)}),
        lambda: (sym.Group([sym.softmax(flat), sym.BlockGrad(label)]), {"softmax_label": (2,)}),
        lambda: (sym.MakeLoss(sym.softmax_cross_entropy(flat, label)), {"softmax_label": (2,)}),
    )()


def drawn(seed: int) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """The network of a seed, and the shapes of its labels."""
    random = np.random.default_rng(seed)
    with mx.name.NameManager():
        x = conv(random, sym.Variable("data"))
        if random.integers(2):
            x = sym.relu(x)
        for _ in range(int(random.integers(1, 4))):
            x = pick(random, *ODDITIES)(random, x)
        apart = np.random.default_rng((seed, 1))
        if apart.integers(3) == 0:
            x = pick(apart, *LATER)(apart, x)
        return ended(random, x)


def spoil(random: Random, folder: Path) -> None:
    """Weights as training leaves them now and then: zero, tiny, far-out, or in another type."""
    path = folder / f"{NAME}-0000.params"
    arrays = dict(mx.nd.load(str(path)))
    for key in [key for key in arrays if key.endswith("weight") and random.integers(4) == 0]:
        value = arrays[key].asnumpy()
        first = (slice(0, 1),) + (slice(None),) * (value.ndim - 1)
        kind = pick(random, "zero", "zero channel", "tiny", "large channel", "half")
        if kind == "zero":
            value *= 0
        elif kind == "tiny":
            value *= 1e-9
        elif kind in ("zero channel", "large channel"):
            value[first] *= 0 if kind == "zero channel" else 100
        arrays[key] = mx.nd.array(value, dtype="float16" if kind == "half" else "float32")
    mx.nd.save(str(path), arrays)


def run(seed: int, folder: Path) -> str:
    """What becomes of the network of a seed.

    Raises:
        Exception: what must not happen.
    """
    try:
        symbol, labels = drawn(seed)
        save(symbol, folder, inputs=labels)
    except (mx.base.MXNetError, ValueError, AssertionError, IndexError):
        return INVALID  # MXNet says that the shapes do not fit together, or the generator drew nothing sensible
    spoil(np.random.default_rng(seed), folder)
    path = folder / "net.ini"
    path.write_text(INI.format(folder=folder, name=NAME))
    logging.getLogger("mrt").setLevel(logging.CRITICAL)
    try:
        report = pipeline.run(load(path), Progress(_silent()))
    except MRTError as error:
        if "\n" in str(error):
            raise AssertionError(f"a refusal of several lines: {error}") from error
        return f"{REFUSED}: {error}"
    if report.bit_exact is None or report.bit_exact.mismatches:
        raise AssertionError(f"executors differ: {report.bit_exact}")
    if not report.certificate or not report.certificate["ok"]:
        raise AssertionError(f"not certified: {report.certificate}")
    return OK


def _silent() -> Any:
    from rich.console import Console

    return Console(file=io.StringIO())


def outcome(seed: int) -> str:
    """What becomes of the network of a seed, in a process of its own with limits; a failure ends with its traceback."""
    folder = Path(tempfile.mkdtemp())

    def task() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            told = run(seed, folder)
        except BaseException:
            told = f"{FAILED}: {traceback.format_exc()}"
        (folder / "outcome").write_text(told)

    try:
        failure = attempt(task, SECONDS)
        return f"{FAILED}: {failure.reason}" if failure else (folder / "outcome").read_text()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run many; print what failed, and how often each thing was refused."""
    parser = argparse.ArgumentParser(description="Random small MXNet networks through the shipped recipe.")
    parser.add_argument("--seed", type=int, default=0, help="of the first network (%(default)s)")
    parser.add_argument("--count", type=int, default=2000, help="how many (%(default)s)")
    options = parser.parse_args(arguments)
    tally: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        told = outcome(seed)
        kind = told.split(":")[0]
        tally[kind] += 1
        if kind == FAILED:
            print(f"seed {seed}: {told}", flush=True)
        elif kind == REFUSED:
            if options.count < 50:
                print(f"seed {seed}: {told}", flush=True)
            refusals[told[len(REFUSED) + 2 :]] += 1
    for line, count in refusals.most_common():
        print(f"{count:5} {line}")
    print(", ".join(f"{count} {kind}" for kind, count in tally.most_common()))
    return 1 if tally[FAILED] else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
