"""What accuracy a network loses when each of its groups is pruned alone, at nine ratios."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mrt.atomic import atomic_write
from mrt.compress.choose import RATIOS, Chooser
from mrt.compress.groups import ChannelGroups
from mrt.compress.prune import prune
from mrt.graph import Graph

Judge = Callable[[Graph], float]
"""The accuracy of a network on the pictures that sensitivity is measured on, 0 to 1."""


def curves(
    groups: ChannelGroups,
    chooser: Chooser,
    judge: Judge,
    cache: Path | None = None,
    origin: str = "",
    advance: Callable[[int], None] = lambda count: None,
) -> Mapping[str, list[float]]:
    """For each group that can be pruned, by name, (base - pruned) / base at each of `RATIOS`.

    Args:
        groups: of the network.
        chooser: says what goes at a ratio.
        judge: measures.
        cache: a file that holds what was measured before; written after every group.
        origin: what the measurement is made from; a cache of another is measured anew.
        advance: called with the measurements done.
    """
    known = _cached(cache, origin)
    base = max(judge(groups.graph), 1e-12)
    found: dict[str, list[float]] = {}
    for group in chooser.prunable:
        if group.name not in known:
            losses = []
            for ratio in RATIOS:
                units = chooser.single(group, ratio)
                pruned = judge(prune(groups, units)) if len(units) else base
                losses.append((base - pruned) / base)
            known[group.name] = losses
            if cache is not None:
                atomic_write(cache, json.dumps({"origin": origin, "losses": known}, indent=1))
        found[group.name] = known[group.name]
        advance(len(RATIOS))
    return found


def _cached(path: Path | None, origin: str) -> dict[str, list[float]]:
    """What a cache holds; nothing where it is damaged, of another origin or not there."""
    try:
        raw = json.loads(path.read_text()) if path else {}
        if raw.get("origin") != origin:
            return {}
        return {
            str(name): [float(loss) for loss in losses]
            for name, losses in raw["losses"].items()
            if len(losses) == len(RATIOS) and np.isfinite(losses).all()
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}
