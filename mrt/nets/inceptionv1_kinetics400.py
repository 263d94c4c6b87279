"""GluonCV's Inception v1 for actions, whose own builder moves weights that are not there yet to a device."""

from __future__ import annotations

import mxnet as mx

from mrt.packages import prepare_gluoncv


def inceptionv1_kinetics400() -> mx.gluon.HybridBlock:
    """A frame (N, 3, 224, 224) to scores of 400 actions; untrained."""
    prepare_gluoncv()
    from gluoncv.model_zoo.action_recognition.actionrec_inceptionv1 import ActionRecInceptionV1

    return ActionRecInceptionV1(nclass=400, pretrained_base=False)
