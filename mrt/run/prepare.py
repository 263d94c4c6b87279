"""The prepare stage: a few operators instead of many, then channels of similar ranges."""

from __future__ import annotations

from mrt.calibrate.largest_per_channel import largest_per_channel
from mrt.config.sections import PrepareSwitches
from mrt.executors.device import context
from mrt.report import Progress
from mrt.run.products import BASE, PREPARED
from mrt.run.sample_source import SampleSource
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.transform import PREPARE, PassManager
from mrt.transform.channel_gains import ChannelGains
from mrt.transform.equalize import Equalize, measured
from mrt.transform.gain_choice import find_gains
from mrt.transform.shared_gains import SharedGains, share
from mrt.transform.split_channels import SplitChannels
from mrt.transform.split_choice import find_splits

VERIFIED_PICTURES = 2
GAIN_PICTURES = 32
SAMPLE_PICTURES = 64
"""On how many pictures, at most, what needs few is measured: largest values per channel, input moments."""


class Prepare(Stage):
    """Rewrites the network, verified on pictures if so asked, and equalizes its channels."""

    takes = (BASE,)
    gives = (PREPARED,)

    def __init__(self, switches: PrepareSwitches, samples: SampleSource, checkpoint: Checkpoint | None = None) -> None:
        """`samples` are what the passes are verified on, and the channels' ranges measured."""
        self._switches = switches
        self._samples = samples
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The prepared network."""
        where = context(self._switches)
        with progress.stage("prepare"):
            verified = self._samples.first(VERIFIED_PICTURES) if self._switches.verify else None
            prepared = PassManager(PREPARE, verify=verified, context=where).run(have[BASE])
            if self._switches.equalize and (values := measured(prepared)):
                pictures = self._samples.batches(min(SAMPLE_PICTURES, self._samples.calibrated))
                largest = largest_per_channel(prepared, values, pictures, where)
                prepared = PassManager([Equalize(largest)], verify=verified, context=where).run(prepared)
            if self._switches.equalize:
                first = self._samples.first(min(GAIN_PICTURES, self._samples.calibrated))
                shared, left = share(prepared, find_gains(prepared, first, where))
                passes = [SharedGains(shared), ChannelGains(left)]
                prepared = PassManager(passes, verify=verified, context=where).run(prepared)
                parts = find_splits(prepared, first, where)
                prepared = PassManager([SplitChannels(parts)], verify=verified, context=where).run(prepared)
        return {PREPARED: prepared}
