"""Where MXNet computes."""

from __future__ import annotations

from typing import Any

import mxnet as mx

from mrt.config.model import OnDevice
from mrt.errors import MRTError


def context(settings: OnDevice) -> Any:
    """MXNet's context for a section's Device_type and Device_ids.

    Raises:
        MRTError: this mxnet does not see such a GPU.
    """
    if settings.device_type == "cpu":
        return mx.cpu()
    if mx.context.num_gpus() <= max(settings.device_ids):
        raise MRTError(
            f"Device_type=gpu, Device_ids={max(settings.device_ids)}: this mxnet sees {mx.context.num_gpus()} GPUs; "
            "use --device cpu, or install the gpu extra"
        )
    return mx.gpu(settings.device_ids[0])
