"""Networks that MRT can build by name: its own small ones and the whole GluonCV model zoo."""

from __future__ import annotations

from typing import Callable

import mxnet as mx

from mrt.errors import MRTError
from mrt.nets.bert import bert_312_3, bert_base, minilm, minilm_3, tinybert
from mrt.nets.bilstm import bilstm
from mrt.nets.cifar_mobilenet import cifar_mobilenet
from mrt.nets.digits_cnn import digits_cnn
from mrt.nets.lenet import lenet
from mrt.nets.qd10_resnetv1_20 import qd10_resnetv1_20
from mrt.nets.quickdraw import quickdraw
from mrt.nets.seg_digits import seg_digits
from mrt.nets.ssd_digits import ssd_digits
from mrt.nets.tf_inception_v3 import tf_inception_v3
from mrt.nets.trec import trec, trec_lstm
from mrt.packages import prepare_gluoncv

_OWN: dict[str, Callable[[], mx.gluon.HybridBlock]] = {
    "bert_312_3": bert_312_3,
    "bert_base": bert_base,
    "bilstm": bilstm,
    "cifar_mobilenet": cifar_mobilenet,
    "digits_cnn": digits_cnn,
    "lenet": lenet,
    "minilm": minilm,
    "minilm_3": minilm_3,
    "qd10_resnetv1_20": qd10_resnetv1_20,
    "quickdraw": quickdraw,
    "seg_digits": seg_digits,
    "ssd_digits": ssd_digits,
    "tf_inception_v3": tf_inception_v3,
    "tinybert": tinybert,
    "trec": trec,
    "trec_lstm": trec_lstm,
}


def known(name: str) -> bool:
    """Whether `get` has a network of that name."""
    if name in _OWN:
        return True
    prepare_gluoncv()
    from gluoncv import model_zoo  # takes seconds

    return name.lower() in model_zoo.get_model_list()


def get(name: str, **options: object) -> mx.gluon.HybridBlock:
    """A new, uninitialised network. Its parameters are named the same whatever was built before.

    `options` are those of GluonCV's builder, such as a size.

    Raises:
        MRTError: neither MRT nor GluonCV has a network of that name, or GluonCV cannot build it.
    """
    if name in _OWN:
        with mx.name.NameManager():
            return _OWN[name]()
    if not known(name):
        raise MRTError(
            f"unknown network {name!r}; use one of {', '.join(sorted(_OWN))} or a name from GluonCV's model zoo"
        )
    try:
        return _from_gluoncv(name, pretrained_base=False, **options)  # else those with a base would fetch its weights
    except TypeError:  # they have none
        return _from_gluoncv(name, **options)


def _from_gluoncv(name: str, **options: object) -> mx.gluon.HybridBlock:
    prepare_gluoncv()
    from gluoncv import model_zoo  # takes seconds

    try:
        with mx.name.NameManager():
            return model_zoo.get_model(name, pretrained=False, **options)
    except (ValueError, OSError, mx.MXNetError) as error:
        raise MRTError(f"GluonCV cannot build {name} without its weights ({str(error).strip()[:120]})") from None
