"""The load stage: the float network, and where it is cut."""

from __future__ import annotations

from mrt import memory
from mrt.config import Config
from mrt.graph import Graph
from mrt.report import Progress
from mrt.run.keys import split_as_configured
from mrt.run.products import BASE, CUT, FLOAT_BYTES, NETWORK
from mrt.run.sample_source import SampleSource
from mrt.run.seeded import structural_network
from mrt.run.source import load_network, untrained_network
from mrt.run.stage import Made, Products, Stage

_FITTED_PICTURES = 16


class Load(Stage):
    """The network that a configuration names."""

    gives = (NETWORK,)

    def __init__(self, config: Config) -> None:
        """[DEFAULT] says which."""
        self._config = config

    def run(self, have: Products, progress: Progress) -> Made:
        """The network."""
        with progress.stage("load"):
            network = load_network(self._config)
            memory.collect()
        return {NETWORK: network}


class LoadGiven(Stage):
    """The network that the caller has."""

    gives = (NETWORK,)

    def __init__(self, network: Graph) -> None:
        """It is taken as it is."""
        self._network = network

    def run(self, have: Products, progress: Progress) -> Made:
        """The network."""
        return {NETWORK: self._network}


class LoadUntrained(Stage):
    """The network that a configuration names, with seeded weights (`mrt.run.seeded`)."""

    gives = (NETWORK,)

    def __init__(self, config: Config, name: str | None, samples: SampleSource) -> None:
        """`name` is what `mrt.nets` builds where [DEFAULT] Model_name says nothing to it; `samples` fit BatchNorms."""
        self._config = config
        self._name = name
        self._samples = samples

    def run(self, have: Products, progress: Progress) -> Made:
        """The network."""
        with progress.stage("load"):
            untrained: Graph = untrained_network(self._config, self._name)
            memory.collect()
            network = structural_network(untrained, self._samples.first(_FITTED_PICTURES))
        return {NETWORK: network}


class Cut(Stage):
    """Where the network is cut in a base that becomes integers and a top that stays in float."""

    takes = (NETWORK,)
    gives = (CUT, BASE, FLOAT_BYTES)

    def __init__(self, config: Config) -> None:
        """[SPLIT_MODEL] Keys says where; without keys, the whole network is the base."""
        self._keys = config.split_model.keys

    def run(self, have: Products, progress: Progress) -> Made:
        """The two parts, and the size of the whole's parameters."""
        network = have[NETWORK]
        cut = split_as_configured(network, self._keys)
        size = sum(int(array.nbytes) for array in network.params.values())
        return {CUT: cut, BASE: cut.base if cut else network, FLOAT_BYTES: size}
