"""The pictures of a run: what it calibrates on, and what it evaluates on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from mrt import datasets
from mrt.config import Config
from mrt.datasets import Dataset, MissingDataError, Preprocess, Synthetic
from mrt.errors import MRTError
from mrt.graph import Array

logger = logging.getLogger(__name__)


class Pictures:
    """What a configuration says of datasets; each is opened once, when it is first needed.

    Args:
        config: names them, in [CALIBRATION] and [EVALUATION].
        synthetic: take seeded pictures where a dataset's files are missing.
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

    @property
    def calibrated(self) -> int:
        """How many to calibrate on."""
        settings = self._config.calibration
        return min(settings.batch * settings.calibrate_num, self.calibration.size("calibration"))

    def batches(self, count: int) -> Iterator[Array]:
        """The first `count` pictures of the calibration data, in batches as [CALIBRATION] has them."""
        return (data for data, _ in self.labelled(count))

    def labelled(self, count: int) -> Iterator[tuple[Array, Array]]:
        """Likewise, with labels."""
        return self.calibration.batches("calibration", min(self._config.calibration.batch, count), 0, count)

    def first(self, count: int) -> Array:
        """The first `count` pictures of the calibration data, together."""
        (data, _), *_ = self.calibration.batches("calibration", count, 0, count)
        return data

    def evaluated(self) -> tuple[Dataset, int, int]:
        """The dataset to evaluate on, the first picture that calibration does not use, and how many there are.

        Raises:
            MissingDataError, MRTError: as `calibration`, or calibration uses all the pictures there are.
        """
        settings = self._config.evaluation or self._config.calibration
        dataset = self._dataset(settings.dataset, settings.dataset_dir)
        shared = dataset.shared_calibration and settings.dataset == self._config.calibration.dataset
        start = self.calibrated if shared else 0
        available = dataset.size("evaluation") - start
        if available <= 0:
            raise MRTError(
                f"[EVALUATION] Dataset={settings.dataset}: calibration uses all {start} pictures; lower Calibrate_num"
            )
        return dataset, start, available

    def compared(self) -> tuple[Dataset, int, int]:
        """As `evaluated`, with as many pictures as [EVALUATION] asks for."""
        dataset, start, available = self.evaluated()
        settings = self._config.evaluation
        asked = None if settings is None or settings.iter_num is None else settings.iter_num * settings.batch
        return dataset, start, available if asked is None else min(available, asked)

    def _dataset(self, name: str, folder: Path | None) -> Dataset:
        if (name, folder) not in self._opened:
            self._opened[name, folder] = self._open(datasets.get(name), folder)
        return self._opened[name, folder]

    def _open(self, dataset: type[Dataset], folder: Path | None) -> Dataset:
        given, shape = self._config.dataset, self._config.default.input_shape
        preprocess = Preprocess(**given.model_dump()) if given else None
        try:
            opened = dataset(folder, shape, preprocess)
            opened.size("calibration")  # some open their files only when asked
            return opened
        except MissingDataError as error:
            if not self._synthetic:
                raise
            logger.warning("%s; this structural run uses seeded synthetic pictures", error)
            return Synthetic(dataset, shape, preprocess)
