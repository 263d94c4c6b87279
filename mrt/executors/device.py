"""Where MXNet computes."""

from __future__ import annotations

from typing import Any

import mxnet as mx

from mrt.config.sections import OnDevice
from mrt.errors import MRTError, Remedy


def context(settings: OnDevice) -> Any:
    """MXNet's context for a section's type of device and its numbers.

    Raises:
        MRTError: this mxnet does not see such a GPU.
    """
    if settings.device_type == "cpu":
        return mx.cpu()
    if mx.context.num_gpus() <= max(settings.device_ids):
        raise MRTError(f"GPU {max(settings.device_ids)}: this mxnet sees {mx.context.num_gpus()} GPUs", Remedy.DEVICE)
    return mx.gpu(settings.device_ids[0])
