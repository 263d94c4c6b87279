"""Results as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from accuracy.engines import ENGINES, OURS
from accuracy.results import Network, Results, Setting
from accuracy.statistics import Estimate
from bench.machine import listed

_TITLES = {OURS: "cvm (ours)", "OpenVINO": "OpenVINO + NNCF", "MXNet": "MXNet int8"}
_HOW = """\
All engines get the same float network (as mrt prepares it: BatchNorm folded where a layer can take it up; for ONNX
Runtime and OpenVINO as ONNX whose weights are not inputs) and the same pictures, preprocessed once: some to calibrate
on, others to be judged on. Where a dataset has only one set of pictures (ImageNet), the first ones are for calibration.

*Points lost* is the float network's top-1 less the engine's. *Agreement* is the share of the pictures on which the
engine puts the same class first as the float network. *SQNR* is 10·log10(Σ float² / Σ (float - engine)²) over the
logits. *Mismatches* are pictures on which the integer graph on MXNet in float64 and the compiled model on the native
runtime gave different integers, of the first ones, which both were run on.

Ours runs with the settings of the zoo's configuration. Each peer is shown at the setting with the highest agreement on
the very pictures it is judged on, which favours the peers. Theirs are all combinations of

- ONNX Runtime: ranges by minimum and maximum, percentile or entropy; activations unsigned or signed; weights always
  per channel; its products never saturate (`session.x64quantprecision`), whatever the processor;
- OpenVINO with NNCF's post-training quantization: preset mixed or performance; fast or full bias correction; weights of
  8 bits (7 in the first layer), or of 7 bits everywhere, which is its remedy for processors without VNNI;
- MXNet's `quantize_model_mkldnn`: ranges naive or by entropy; activations auto, int8 or uint8.

In brackets are 95 % confidence intervals. Everything is paired, picture by picture: points lost and differences of
agreement have Tango's score interval for paired proportions, agreement the exact binomial interval of Clopper and
Pearson, SQNR and its differences the bootstrap over pictures (percentiles of 2,000 resamples)."""


def markdown(results: Results) -> str:
    """The page of `docs/`."""
    parts = [
        "# How accurate",
        "Written by `make accuracy`.",
        f"{results.date}, {results.processor}. {listed(results.versions)}",
    ]
    if results.networks:
        parts += [_comparison(results.networks), "## Ours against the best peer", _VERDICT, _verdicts(results.networks)]
    if results.left_out:
        parts += ["Left out:", "\n".join(f"- {name}: {reason}" for name, reason in results.left_out.items())]
    parts += ["## How it is measured", _HOW, "## Every setting"]
    parts += [_settings(network) for network in results.networks]
    return "\n\n".join(parts) + "\n"


def _comparison(networks: Iterable[Network]) -> str:
    rows = []
    for network in networks:
        head = [network.name, f"{network.pictures:,}", f"{network.top1:.2%}"]
        for name in ENGINES:
            if name in network.engines:
                engine = network.engines[name]
                rows.append(
                    [
                        *head,
                        _TITLES.get(name, name),
                        engine.best,
                        f"{engine.top1:.2%}",
                        _interval(engine.lost, 100, 2),
                        _interval(engine.agreement, 100, 2),
                        _interval(engine.sqnr, 1, 1),
                        f"{network.mismatches} of {network.compared}" if name == OURS else "",
                    ]
                )
                head = ["", "", ""]
            elif name in network.failures:
                rows.append([*head, _TITLES.get(name, name), f"failed: {network.failures[name]}", *[""] * 5])
                head = ["", "", ""]
    headers = ["network", "pictures", "float top-1", "engine", "setting", "top-1", "points lost", "agreement (%)"]
    return _table([*headers, "SQNR (dB)", "mismatches"], rows, texts=(0, 3, 4))


_VERDICT = """\
Ours less the best that any peer reaches at any of its settings, on the same pictures: above zero ours is better.
*Level* means that the interval holds zero."""


def _verdicts(networks: Iterable[Network]) -> str:
    rows = []
    for network in networks:
        gains = {name: engine.gain for name, engine in network.engines.items() if engine.gain}
        if not gains:
            continue
        agreeing = min(gains, key=lambda name: gains[name].agreement.value)
        clearest = min(gains, key=lambda name: gains[name].sqnr.value)
        agreement, sqnr = gains[agreeing].agreement, gains[clearest].sqnr
        rows.append(
            [
                network.name,
                f"{_TITLES.get(agreeing, agreeing)}: {network.engines[agreeing].best}",
                _interval(agreement, 100, 2),
                _verdict(agreement),
                f"{_TITLES.get(clearest, clearest)}: {gains[clearest].clearest}",
                _interval(sqnr, 1, 1),
                _verdict(sqnr),
            ]
        )
    headers = ["network", "best in agreement", "ours less it (points)", "", "best in SQNR", "ours less it (dB)", ""]
    return _table(headers, rows, texts=(0, 1, 3, 4, 6))


def _verdict(gain: Estimate) -> str:
    if gain.low > 0:
        return "ahead"
    return "behind" if gain.high < 0 else "level"


def _settings(network: Network) -> str:
    rows = [
        [_TITLES.get(name, name) if first else "", setting, *_scores(found)]
        for name, engine in network.engines.items()
        for first, (setting, found) in zip((True, *[False] * len(engine.settings)), engine.settings.items())
    ]
    table = _table(["engine", "setting", "top-1", "agreement", "SQNR (dB)"], rows, texts=(0, 1))
    return f"### {network.name}\n\n{network.dataset}, calibrated on {network.calibrated:,} pictures.\n\n{table}"


def _scores(setting: Setting) -> list[str]:
    if setting.top1 is None or setting.agreement is None or setting.sqnr is None:
        return ["failed", "", ""]
    return [f"{setting.top1:.2%}", f"{setting.agreement:.2%}", f"{setting.sqnr:.1f}"]


def _interval(estimate: Estimate, factor: float, digits: int) -> str:
    value, low, high = (f"{factor * part:.{digits}f}" for part in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int]) -> str:
    align = ["left" if column in texts else "right" for column in range(len(headers))]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align)
