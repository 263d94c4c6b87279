"""What a run of a network that is cut leaves of its parts: base and top, and both together again."""

from __future__ import annotations

from mrt.config import Config
from mrt.graph import Graph
from mrt.report import Progress
from mrt.run.checkpoints import Checkpoints
from mrt.run.merge import merge
from mrt.run.products import CUT, MERGED, PARTS, PREPARED, QUANTIZED
from mrt.run.stage import Checkpoint, Made, Products, Stage


class Parts(Stage):
    """Writes the prepared base and the top, where [SPLIT_MODEL] Dump asks for it."""

    takes = (CUT, PREPARED)
    gives = (PARTS,)

    def __init__(self, config: Config, checkpoints: Checkpoints) -> None:
        """`checkpoints` is where they go."""
        self._written = config.split_model.dump
        self._checkpoints = checkpoints

    def run(self, have: Products, progress: Progress) -> Made:
        """Whether the network has parts."""
        cut = have[CUT]
        if cut and self._written:
            with progress.stage("split"):
                self._checkpoints.save_graph("base", have[PREPARED])
                self._checkpoints.save_graph("top", cut.top)
        return {PARTS: cut is not None}


class Merge(Stage):
    """The integer base and the float top as one graph, checked, for those who want to look at it; None without cut."""

    takes = (QUANTIZED, CUT)
    gives = (MERGED,)

    def __init__(self, config: Config, checkpoint: Checkpoint | None = None) -> None:
        """[MERGE_MODEL] has maps to check."""
        self._settings = config.merge_model
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The merged graph."""
        cut = have[CUT]
        merged: Graph | None = None
        if cut:
            with progress.stage("merge"):
                merged = merge(have[QUANTIZED], cut.top, self._settings.attribute_deps, self._settings.oscale_maps)
        return {MERGED: merged}
