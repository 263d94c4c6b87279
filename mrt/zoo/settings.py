"""A zoo network's configuration as the zoo commands run it."""

from __future__ import annotations

import os
from pathlib import Path

from mrt import zoo
from mrt.config import Config, load
from mrt.config.paths import model_files


def settings(name: str, models: Path | None, *overrides: str) -> Config:
    """The configuration of a zoo network, with weights looked for in `models` first where that is given.

    Raises:
        MRTError: the configuration is not valid.
    """
    path = zoo.configuration(name)
    config = load(path, overrides)
    if models is None or model_files(models, config.default.model_name) is None:
        return config
    return load(path, [*overrides, f"DEFAULT.Model_dir={models}", f"DEFAULT.Output_dir={config.default.output_dir}"])


def has_weights(config: Config) -> bool:
    """Whether trained weights are on this machine: the model's files, or GluonCV's copy of an earlier download."""
    name = config.default.model_name
    if model_files(config.default.model_dir, name) is not None:
        return True
    cache = Path(os.environ.get("MXNET_HOME") or Path.home() / ".mxnet").expanduser() / "models"
    return any(cache.glob(f"{name}-*.params"))
