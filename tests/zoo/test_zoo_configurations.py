"""Every configuration of the zoo loads and names a network that builds."""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import pytest

from mrt import nets, zoo
from mrt.config import load

CLASSIFICATION = [
    "alexnet",
    "cifar_resnet20_v1",
    "cifar_resnet56_v1",
    "cifar_resnet110_v1",
    "cifar_resnet20_v2",
    "cifar_resnet56_v2",
    "cifar_resnet110_v2",
    "cifar_wideresnet16_10",
    "cifar_wideresnet28_10",
    "cifar_wideresnet40_8",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "mobilenet0.5",
    "mobilenet0.75",
    "mobilenet1.0",
    "mobilenetv2_0.5",
    "mobilenetv2_0.75",
    "mobilenetv2_1.0",
    "resnet18_v1",
    "resnet18_v1b",
    "resnet18_v1b_0.89",
    "resnet34_v1",
    "resnet34_v1b",
    "resnet34_v2",
    "resnet50_v1",
    "resnet50_v1b",
    "resnet50_v1c",
    "resnet50_v1d",
    "resnet50_v1d_0.11",
    "resnet50_v1d_0.37",
    "resnet50_v1d_0.48",
    "resnet50_v1d_0.86",
    "resnet50_v1s",
    "resnet50_v2",
    "resnet101_v1",
    "resnet101_v1b",
    "resnet101_v1c",
    "resnet101_v1d",
    "resnet101_v1d_0.73",
    "resnet101_v1d_0.76",
    "resnet101_v1s",
    "resnet152_v1",
    "resnet152_v1b",
    "resnet152_v1c",
    "resnet152_v1d",
    "resnet152_v1s",
    "resnet152_v2",
    "squeezenet1.0",
    "squeezenet1.1",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "shufflenet_v1",
    "tf_inception_v3",
    "mnist",
    "quickdraw",
    "qd10_resnetv1_20",
    "mobilenetv3_small",
    "mobilenetv3_large",
    "se_resnet50_v1",
    "resnext50_32x4d",
    "inceptionv3",
]
CLASSES = {"imagenet": 1000, "cifar10": 10, "mnist": 10, "quickdraw": 10, "digits": 10}


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_the_published_list_is_there(name: str) -> None:
    assert zoo.configuration(name).is_file()


@pytest.mark.parametrize("name", zoo.names())
def test_every_configuration_loads(name: str) -> None:
    config = load(zoo.configuration(name))
    assert config.evaluation is not None
    assert config.compilation is not None
    shape = config.default.input_shape
    assert isinstance(shape, tuple) and shape.index(-1) == (1 if config.calibration.dataset == "trec" else 0)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_every_network_builds(name: str) -> None:
    config = load(zoo.configuration(name))
    network = config.train.network if config.train else name
    net = nets.get(network)
    assert isinstance(config.default.input_shape, tuple)
    shape = (1, *config.default.input_shape[1:])
    _, (output,), _ = net(mx.sym.var("data")).infer_shape(data=shape)
    offset = config.dataset.label_offset if config.dataset else 0
    assert output == (1, CLASSES[config.calibration.dataset] + offset)


def test_configurations_name_their_own_files(project: Path) -> None:
    """Two configurations that wrote to the same files would overwrite each other's checkpoints."""
    models = [load(zoo.configuration(name)).default for name in zoo.names()]
    written = [(model.output_dir, model.model_name) for model in models]
    assert len(set(written)) == len(written)
