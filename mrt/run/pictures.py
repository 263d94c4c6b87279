"""The pictures of a run: what it calibrates on, and what it evaluates on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from mrt import datasets
from mrt.config import Config
from mrt.config.base import Fit
from mrt.datasets import Dataset, MissingDataError, Preprocess, UnfitError, stand_in
from mrt.errors import MRTError, Remedy
from mrt.graph import Array
from mrt.graph.batch import Feed
from mrt.integer.pixels import Pixels
from mrt.report import Used

logger = logging.getLogger(__name__)


class Pictures:
    """What a configuration says of datasets; each is opened once, when it is first needed.

    Args:
        config: names them, in [CALIBRATION] and [EVALUATION].
        synthetic: take seeded pictures where a dataset's files are missing, or cannot give what the network reads.
    """

    def __init__(self, config: Config, synthetic: bool = False) -> None:
        self._config = config
        self._synthetic = synthetic
        self._opened: dict[tuple[str, Path | None], Dataset] = {}

    @property
    def calibration(self) -> Dataset:
        """What to calibrate on.

        Raises:
            MissingDataError: the files are not there.
            MRTError: they are damaged, or do not suit Input_shape.
        """
        return self._dataset(self._config.calibration.dataset, self._config.calibration.dataset_dir)

    def of(self, section: Fit) -> Dataset:
        """What a section that trains names.

        Raises:
            MissingDataError, MRTError: as `calibration`.
        """
        return self._dataset(section.dataset, section.dataset_dir)

    @property
    def calibrated(self) -> int:
        """How many to calibrate on."""
        settings = self._config.calibration
        return min(settings.batch * settings.calibrate_num, self.calibration.size("calibration"))

    @property
    def pixels(self) -> dict[str, Pixels]:
        """The input that is made of the calibration pictures' bytes, and how; none where that is not so."""
        return self.calibration.pixels

    def batches(self, count: int) -> Iterator[Feed]:
        """The first `count` pictures of the calibration data, in batches as [CALIBRATION] has them."""
        return (data for data, _ in self.labelled(count))

    def labelled(self, count: int) -> Iterator[tuple[Feed, Array]]:
        """Likewise, with labels."""
        return self.calibration.batches("calibration", min(self._config.calibration.batch, count), 0, count)

    def first(self, count: int) -> Feed:
        """The first `count` pictures of the calibration data, together; fewer where there are no more."""
        count = min(count, self.calibration.size("calibration"))
        data: Feed
        (data, _), *_ = self.calibration.batches("calibration", count, 0, count)
        return data

    def evaluated(self) -> tuple[Dataset, int, int]:
        """The dataset to evaluate on, the first picture that calibration does not use, and how many there are.

        Raises:
            MissingDataError, MRTError: as `calibration`, or calibration uses all the pictures there are.
        """
        settings = self._config.evaluation or self._config.calibration
        dataset = self._dataset(settings.dataset, settings.dataset_dir)
        shared = dataset.shared_calibration and dataset is self.calibration
        start = self.calibrated if shared else 0
        available = dataset.size("evaluation") - start
        if available <= 0:
            raise MRTError(
                f"dataset {dataset.title}: calibration uses all {start} pictures, so that none is left to evaluate on",
                Remedy.FEWER_CALIBRATED,
            )
        return dataset, start, available

    def compared(self) -> tuple[Dataset, int, int]:
        """As `evaluated`, with as many pictures as [EVALUATION] asks for."""
        dataset, start, available = self.evaluated()
        settings = self._config.evaluation
        asked = None if settings is None or settings.iter_num is None else settings.iter_num * settings.batch
        return dataset, start, available if asked is None else min(available, asked)

    def used(self, stage: str) -> Used:
        """What the report says of the pictures of "calibration" or "evaluation"."""
        if stage == "calibration":
            dataset, count = self.calibration, self.calibrated
        else:
            dataset, _, count = self.compared()
        split, size = dataset.split_name(stage), dataset.size(stage)
        return Used(dataset=dataset.title, split=split, samples=count, available=size)

    def _dataset(self, name: str, folder: Path | None) -> Dataset:
        if (name, folder) not in self._opened:
            self._opened[name, folder] = self._open(name, folder)
        return self._opened[name, folder]

    def _open(self, name: str, folder: Path | None) -> Dataset:
        try:
            return open_dataset(self._config, name, folder)
        except (MissingDataError, UnfitError) as error:
            if not self._synthetic:
                raise
            logger.warning("%s; this structural run uses seeded synthetic pictures", error)
            return stand_in(datasets.get(name), self._config.default.input_shape, preprocess(self._config))


def open_dataset(config: Config, name: str, folder: Path | None) -> Dataset:
    """A dataset for the configuration's network, with the preprocessing of [DATASET].

    Raises:
        MissingDataError: the files are not there.
        MRTError: there is no such dataset, or its files are damaged, or do not suit Input_shape.
    """
    opened = datasets.load(name, folder, config.default.input_shape, preprocess(config))
    opened.size("calibration")  # some open their files only when asked
    return opened


def preprocess(config: Config) -> Preprocess | None:
    """What [DATASET] says of the preprocessing; None where there is no such section."""
    return Preprocess(**config.dataset.model_dump()) if config.dataset else None
