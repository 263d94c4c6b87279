"""Trains networks: those that `mrt.nets` builds (`mrt train`), and any float graph."""

from mrt.train.fit import Epoch, Objective, cross_entropy, fit
from mrt.train.judge import evaluate, judge
from mrt.train.learner import BlockLearner, GraphLearner, Learner
from mrt.train.named import export, initial_network, make_folder, train
from mrt.train.resume import TrainingCheckpoint
from mrt.train.settings import FitSettings, TrainSettings

__all__ = [
    "BlockLearner",
    "Epoch",
    "FitSettings",
    "GraphLearner",
    "Learner",
    "Objective",
    "TrainSettings",
    "TrainingCheckpoint",
    "cross_entropy",
    "evaluate",
    "export",
    "fit",
    "initial_network",
    "judge",
    "make_folder",
    "train",
]
