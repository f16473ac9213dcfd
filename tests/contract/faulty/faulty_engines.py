"""Engines and exporters with one fault each. They hear nothing and write little."""

import itertools
from pathlib import Path
from typing import ClassVar

from voxcli.api import Decoding, Segment, Transcript, config, hookimpl
from voxcli.errors import ModelError

CALLS = itertools.count()


class Sound:
    """An engine without a fault."""

    def __init__(self):
        self.sampling_rate = 16_000
        self.decoding = Decoding()

    @classmethod
    def open(cls, name, *, device=None, batch_duration=120.0):
        if not (Path(name) / "config.json").is_file():
            raise ModelError(f"{name} holds no model")
        return cls()

    def transcribe_batch(self, audio, decoding):
        return [self.one(clip, len(clip) / self.sampling_rate) for clip in audio]

    def one(self, clip, duration):
        return Transcript(f"{duration:.2f}", duration=duration)


class Welcoming(Sound):
    """Opens anything."""

    @classmethod
    def open(cls, name, *, device=None, batch_duration=120.0):
        return cls()


class Rateless(Sound):
    """Does not say its rate."""

    def __init__(self):
        super().__init__()
        self.sampling_rate = None


class Skipping(Sound):
    """Leaves short recordings out."""

    def transcribe_batch(self, audio, decoding):
        return super().transcribe_batch([clip for clip in audio if len(clip) > 400], decoding)


class Timeless(Sound):
    """Does not say how long a recording is."""

    def one(self, clip, duration):
        return Transcript("text")


class Beyond(Sound):
    """Its segments end after the recording."""

    def one(self, clip, duration):
        return Transcript("text", (Segment("text", 0.0, duration + 5),), duration=duration)


class Ghostly(Sound):
    """Hears something where there is nothing."""

    def transcribe_batch(self, audio, decoding):
        return super().transcribe_batch(audio, decoding) or [Transcript("boo")]


class Moody(Sound):
    """Another text at every call."""

    def one(self, clip, duration):
        return Transcript(str(next(CALLS)), duration=duration)


@config
class Options:
    """What nobody can set."""

    mode: str = "soft"


class Optionless(Sound):
    """Its `open` does not take its options."""

    options: ClassVar[type] = Options


@config
class Written:
    """An exporter without a fault."""

    def export(self, checkpoint, out):
        if not (checkpoint / "config.json").is_file():
            raise ModelError(f"{checkpoint} is no checkpoint")
        (out / "model.bin").write_bytes(b"0")
        return out


@config
class Lost(Written):
    """Returns another folder."""

    def export(self, checkpoint, out):
        return super().export(checkpoint, out).parent


@config
class Littering(Written):
    """Writes beside its folder."""

    def export(self, checkpoint, out):
        super().export(checkpoint, out)
        (out.parent / "temporary").mkdir()
        return out


@config
class Undemanding(Written):
    """Exports folders of nothing."""

    def export(self, checkpoint, out):
        (out / "model.bin").write_bytes(b"0")
        return out


@config
class Ordinary(Written):
    """Says that voxcli opens it."""

    ordinary = True


@config
class Homeless(Written):
    """Names an engine that cannot open it."""

    engine = "transformers"


@hookimpl
def vox_register(registry):
    for name, found in list(globals().items()):
        if isinstance(found, type) and found not in (Sound, Written):
            kind = "engine" if issubclass(found, Sound) else "exporter" if issubclass(found, Written) else None
            if kind is not None:
                registry.add(kind, name.lower(), f"{__name__}:{name}", summary="a fault")
