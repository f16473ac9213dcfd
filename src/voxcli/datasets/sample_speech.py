"""The speech that ships with voxcli: English prompts by one speaker, with their text (see sample/speech/README.md).

It is there so that every command can be tried on real recordings without a download. Texts of the validation and test
splits never occur in the training split.
"""

from __future__ import annotations

from collections.abc import Iterator

from voxcli.api import Split, Utterance, config
from voxcli.datasets.manifest import Manifest
from voxcli.sample import SPEECH


@config
class SampleSpeech:
    """`type = "sample-speech"`: about 16 minutes of English prompts, 16 kHz. Takes no keys."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The prompts of a split, in the manifest's order."""
        return self._manifest().utterances(split)

    def fingerprint(self, split: Split) -> str:
        """Hash of the manifest and the split."""
        return self._manifest().fingerprint(split)

    def _manifest(self) -> Manifest:
        return Manifest(path=SPEECH / "manifest.csv")
