"""Results as a Markdown page and as a plot."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from bench.engines import ENGINES, OURS
from bench.machine import listed
from bench.results import Memory, Network, Results, Timing
from bench.subjects import DENSE

_RIVALS = ("ONNX Runtime int8", "OpenVINO int8")
_COLOURS = {"MXNet": "#8c9fb0", "ONNX Runtime": "#4f7fb5", "OpenVINO": "#6a5aa8", OURS: "#d1495b"}
_HOW = """\
Every engine has {threads} threads and a process of its own, which is stopped while others have their turn. A turn is a
warm-up and then many runs; turns go round {rounds} times, starting with another engine each time. A time is the median
over rounds of the medians of turns (in brackets: the best turn); a ratio is the median of the ratios within each round,
so that drift of the machine cancels.

All engines run the same networks: GluonCV's, with seeded weights, BatchNorm folded by mrt; 224 x 224 pictures, 32 x 32
for cifar. Outputs of each are checked against the float network's. ONNX Runtime and OpenVINO get the networks as ONNX
whose weights are not inputs. The peers quantize with their own tools: MXNet with `quantize_model_mkldnn`, ONNX Runtime
with static QDQ, weights per channel, and the faster of signed and unsigned activations; OpenVINO with NNCF's
post-training quantization, run with the latency hint. MXNet in float is the faster of with and without oneDNN's fusion.
Times run from the input in memory to the output in memory; the input of the peers is float, that of {ours} is int8, as
the target has it."""

_HOW_DENSE = """\
The networks of dense prediction are as their builders have them, nothing folded for the peers: DeepLabv3 on 512 x 512
with trained weights, FastSCNN on 512 x 1024, simple_pose on 256 x 192, SSD on 300 x 300 down to its scores and box
offsets."""


def rival(timings: dict[str, Timing]) -> str | None:
    """The faster of the best int8 peers, if one was timed."""
    return min((name for name in _RIVALS if name in timings), key=lambda name: timings[name].median, default=None)


def markdown(results: Results) -> str:
    """The page of `docs/`."""
    machine = results.machine
    peak = (
        f"Its int8 peak, measured on {machine.threads} threads: {machine.peak / 1e9:.0f} G multiply-adds per second "
        f"({machine.instruction})."
        if machine.peak
        else "Its int8 peak was not measured: the micro-benchmark knows no instruction of it."
    )
    batches = sorted({batch for network in results.networks for batch in network.batches if batch > 1})
    parts = [
        "# How fast",
        "Written by `make bench`.",
        f"{results.date}, {machine.processor}, {machine.system}, load {machine.load:.1f} before. {peak}\n"
        + listed(results.versions),
        "![Milliseconds per picture](bench.png)",
        f"## One picture\n\nMilliseconds. The ratio is the time of {OURS} by that of the faster of "
        + f"{' and '.join(_RIVALS)}: below 1, {OURS} is faster.",
        _latency(results),
    ]
    for batch in batches:
        several = [network for network in results.networks if batch in network.batches]
        parts += [f"## {batch} pictures at once\n\nPictures per second.", _throughput(several, batch)]
    if results.memory:
        parts += ["## Memory", _memory(results.memory)]
    parts += ["## How it is measured", _HOW.format(threads=machine.threads, rounds=results.rounds, ours=OURS)]
    if any(network.name in DENSE for network in results.networks):
        parts.append(_HOW_DENSE)
    return "\n\n".join(parts) + "\n"


def _latency(results: Results) -> str:
    rows = []
    for network in results.networks:
        timings = network.batches[1]
        row = [network.name, f"{network.macs / 1e9:.2f}"]
        row += [f"{1e3 * t.median:.2f} ({1e3 * t.best:.2f})" if t else "" for t in map(timings.get, ENGINES)]
        row += [_against_rival(timings), _against(timings, "MXNet fp32"), _of_peak(results, network)]
        rows.append(row)
    return _table(["network", "GMAC", *ENGINES, "ratio", "MXNet fp32 / cvm", "of peak"], rows)


def _against_rival(timings: dict[str, Timing]) -> str:
    name = rival(timings)
    return f"{timings[name].ours:.2f}" if name else ""


def _against(timings: dict[str, Timing], engine: str) -> str:
    return f"{1 / timings[engine].ours:.1f}" if engine in timings else ""


def _of_peak(results: Results, network: Network) -> str:
    ours = network.batches[1].get(OURS)
    if not ours or not results.machine.peak:
        return ""
    return f"{network.macs / ours.median / results.machine.peak:.0%}"


def _throughput(networks: Sequence[Network], batch: int) -> str:
    rows = []
    for network in networks:
        timings = network.batches[batch]
        row = [network.name, *(f"{batch / t.median:.0f}" if t else "" for t in map(timings.get, ENGINES))]
        ours, single = timings.get(OURS), network.batches[1].get(OURS)
        row += [_against_rival(timings), f"{batch * single.median / ours.median:.2f}" if ours and single else ""]
        rows.append(row)
    return _table(["network", *ENGINES, "ratio", f"{OURS}: times one picture's rate"], rows)


def _memory(memory: Memory) -> str:
    verdict = "within" if memory.peak <= memory.limit else "above"
    return (
        f"A process that loads {memory.network} and runs it takes {memory.peak / 1e6:.0f} MB at its peak, of which "
        f"{memory.before / 1e6:.0f} MB are Python and NumPy; weights {memory.weights / 1e6:.1f} MB and planned arena "
        f"{memory.arena / 1e6:.1f} MB. That is {verdict} 1.5 x (weights + arena) + 64 MB = {memory.limit / 1e6:.0f} MB."
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align)


def plot(results: Results) -> bytes:
    """A PNG: one panel per network, a bar per engine, milliseconds per picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(results.networks))
    lines = -(-len(results.networks) // columns)
    figure, panels = pyplot.subplots(
        lines, columns, figsize=(4.6 * columns, 2.9 * lines), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(results.networks) :]:
        panel.remove()
    for panel, network in zip(panels.flat, results.networks):
        timings = network.batches[1]
        names = [name for name in ENGINES if name in timings]
        times = [1e3 * timings[name].median for name in names]
        colours = [_COLOURS[name.removesuffix(" fp32").removesuffix(" int8")] for name in names]
        bars = panel.barh(names, times, color=colours, height=0.7)
        for bar, name in zip(bars, names):
            bar.set_alpha(0.45 if name.endswith("fp32") else 1.0)
        panel.bar_label(bars, [f"{time:.3g}" for time in times], padding=3, fontsize=8)
        panel.set_title(network.name, fontsize=10)
        panel.invert_yaxis()
        panel.margins(x=0.14)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    machine = results.machine
    figure.suptitle(f"Milliseconds for one picture: {machine.processor}, {machine.threads} threads", fontsize=11)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    pyplot.close(figure)
    return stream.getvalue()
