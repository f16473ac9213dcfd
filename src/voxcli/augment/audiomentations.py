"""Any transform of the library audiomentations, by its class name (https://github.com/iver56/audiomentations).

The library draws from Python's and numpy's global generators. They are seeded from our generator for one call, under a
lock, and put back: what is drawn follows from seed, epoch and utterance as everywhere, in any thread or process.
"""

from __future__ import annotations

import difflib
import inspect
import json
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from voxcli.api import Finding, config, field
from voxcli.augment import bounds
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_LOCK = threading.Lock()
_INSTALL = "install it: pip install 'voxcli[augment]'"
_OURS = ("p", "samples", "sample_rate")
_TRIED_RATE = 16000
_TOLERANCE = 0.01  # s beyond `lengthens` that rounding may take
_INSTEAD = {  # names that need a list of transforms, which recipes do by several [[augment]]
    "Compose": "one [[augment]] for each, in their order",
    "SomeOf": "one [[augment]] for each, with p below 1",
    "OneOf": "one [[augment]] for each, with p below 1",
}


@config
class Audiomentations:
    """A transform of audiomentations. Times of its arguments are s, rates Hz, as its documentation says."""

    transform: str
    """Class name: `TanhDistortion`, `SevenBandParametricEQ`, `AirAbsorption`, `BitCrush` …"""
    p: float = 0.5
    """Share of the training utterances that are changed; the transform's own `p` is 1."""
    args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class: `args = { min_distortion = 0.1, max_distortion = 0.4 }`."""
    lengthens: float = 1.0
    """How much longer a clip may become, as a factor; for transforms that change the length."""
    shortens: float = 1.0
    """How much shorter: 0.8 for a TimeStretch by 1.25."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (M,). Raises `DataError` where a clip becomes longer than `lengthens` says."""
        changed = self._changed(audio, sampling_rate, int(rng.integers(2**32)))
        if len(changed) > len(audio) * max(self.lengthens, 1.0) + _TOLERANCE * sampling_rate:
            factor = len(changed) / max(len(audio), 1)
            raise DataError(
                f"{self.transform} made a clip {factor:.3g} times as long, and lengthens is {self.lengthens:g}",
                help=f"lengthens = {factor * 1.05:.2g} in its [[augment]]: batches have to leave room",
            )
        return changed

    def _changed(self, audio: np.ndarray, sampling_rate: int, seed: int) -> np.ndarray:
        """(N,) -> (M,), with the global generators seeded for the call and as they were after it."""
        import random

        import numpy as np

        with _LOCK:
            ours, numpys = random.getstate(), np.random.get_state()
            try:
                random.seed(seed)
                np.random.seed(seed)
                apply = _built(self.transform, json.dumps(self.args, sort_keys=True))
                changed = np.asarray(apply(samples=audio.astype(np.float32), sample_rate=sampling_rate))
            finally:
                random.setstate(ours)
                np.random.set_state(numpys)
        return np.ascontiguousarray(changed.reshape(-1), dtype=np.float32)

    def longest(self, duration: float) -> float:
        """As `lengthens` says, s."""
        return duration * max(self.lengthens, 1.0)

    def shortest(self, duration: float) -> float:
        """As `shortens` says, s."""
        return duration * min(self.shortens, 1.0)

    def findings(self) -> Iterator[Finding]:
        """The library is missing; it has no such transform; the transform takes no such arguments."""
        yield from bounds.share(self.p)
        yield from bounds.within("lengthens", self.lengthens, 1, 20, "1.25: a quarter longer")
        yield from bounds.within("shortens", self.shortens, 0.05, 1, "0.8: a fifth shorter")
        try:
            known = transforms()
        except ImportError as error:
            message = f"audiomentations cannot be imported: {error}"
            yield Finding("error", message, _INSTALL, path=("transform",))
            return
        if self.transform not in known:
            message = f"audiomentations has no transform '{self.transform}'"
            yield Finding("error", message, self._close(known), path=("transform",))
            return
        yield from self._arguments(known[self.transform])

    def _close(self, known: Mapping[str, Any]) -> str:
        if self.transform in _INSTEAD:
            return _INSTEAD[self.transform]
        lower = {name.lower(): name for name in known}
        close = difflib.get_close_matches(self.transform.lower().replace("_", "").replace("-", ""), lower, n=3)
        names = " or ".join(f"'{lower[name]}'" for name in close)
        return f"did you mean {names}?" if names else f"known: {', '.join(sorted(known))}"

    def _arguments(self, cls: Any) -> Iterator[Finding]:
        takes = [name for name in inspect.signature(cls).parameters if name not in _OURS]
        if "p" in self.args:
            yield Finding("error", "args.p is set", "p beside transform is the share", path=("args", "p"))
            return
        for name in self.args:
            if name not in takes:
                close = difflib.get_close_matches(name, takes, n=1)
                help = f"did you mean '{close[0]}'?" if close else f"it takes {', '.join(takes) or 'none'}"
                message = f"{self.transform} takes no argument '{name}'"
                yield Finding("error", message, help, path=("args", name))
                return
        yield from self._tried(takes)

    def _tried(self, takes: list[str]) -> Iterator[Finding]:
        """What comes of a second of a tone: packages that are missing show when a transform is called."""
        import contextlib
        import io

        import numpy as np

        tone = 0.1 * np.sin(np.arange(_TRIED_RATE, dtype=np.float32) * 0.1)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                self(tone, _TRIED_RATE, np.random.default_rng(0))
        except DataError as error:
            yield Finding("error", error.message, error.help, path=("lengthens",))
        except ImportError as error:
            message = f"{self.transform} needs a package that is not installed: {error.name or error}"
            help = "pip install 'audiomentations[extras]', or take another transform"
            yield Finding("error", message, help, path=("transform",))
        except Exception as error:  # whatever a transform raises about its arguments
            message = f"{self.transform} refuses its arguments: {str(error) or type(error).__name__}"
            yield Finding("error", message, f"it takes {', '.join(takes) or 'none'}", path=("args",))


def transforms() -> dict[str, Any]:
    """Name -> class of every waveform transform of the installed library. Raises `ImportError`."""
    import audiomentations
    from audiomentations.core.transforms_interface import BaseWaveformTransform

    found = {name: value for name, value in vars(audiomentations).items() if inspect.isclass(value)}
    return {name: value for name, value in found.items() if issubclass(value, BaseWaveformTransform)}


@lru_cache(maxsize=64)
def _built(name: str, arguments: str) -> Any:
    """A transform that always applies; once in a process."""
    return transforms()[name](**json.loads(arguments), p=1.0)
