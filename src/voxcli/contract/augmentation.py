"""An augmentation on clips of many lengths at three rates: what comes out, by which generator, within which bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.randomness import Kept, draws_elsewhere, stirred
from voxcli.contract.rules import Rule, rule
from voxcli.errors import VoxError

if TYPE_CHECKING:
    import numpy as np

RATES = (8_000, 16_000, 44_100)
DURATIONS = (0.1, 0.5, 2.0, 10.0)
"""s, at 16 kHz; at the other rates the first three."""
TOLERANCE = 0.005
"""s by which a clip may pass its bounds: resampling and frames round."""
SEEDS = (0, 1, 2)
AGAIN = ((0.7, 7), *((0.3, seed) for seed in range(16)))
"""(s, seed) of clips that are heard twice: many, because a fault may hide behind a coin that `rng` tosses."""


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("augmentation", name, expected, repair, **more)


P = _rule("p", "an attribute `p`: a share, from 0 to 1", "a key `p: float = 0.5` with a docstring")
FORM = _rule(
    "form", "float32 of shape (M,), with at least one sample", "return made.astype(np.float32) of one dimension"
)
FINITE = _rule("not-finite", "finite samples", "guard what divides: a silent clip has no power and no peak")
INPUT = _rule(
    "input-changed", "the clip it is given stays as it is: it is heard again", "work on a copy: audio = audio.copy()"
)
SEEDED = _rule(
    "not-deterministic",
    "the same samples for the same clip and the same state of `rng`: a resumed run repeats itself",
    "draw everything from `rng`; keep nothing from one call to the next",
)
ELSEWHERE = _rule(
    "draws-elsewhere",
    "all randomness comes from `rng`",
    "rng.uniform(...), rng.integers(...) instead of random, numpy.random and torch",
)
LONGER = _rule(
    "longer-than-said", "no longer than `longest(duration)`: batches are filled by it", "let `longest` name the most"
)
SHORTER = _rule(
    "shorter-than-said",
    "no shorter than `shortest(duration)`, or than the clip where there is no such method: CTC needs the frames",
    "add or correct `shortest(duration)`",
)
BOUND = _rule(
    "bound", "`longest` and `shortest` return a finite number of s, `shortest` at most `longest`", "correct it"
)
SMALL = _rule(
    "short-clip",
    "any clip of at least one sample is taken, and comes back",
    "return the clip as it is where it is too short",
)
SCALES = _rule(
    "times-lost",
    "where a change of length is one of speed, `scales_time: ClassVar[bool] = True`: times of segments then follow",
    "set it, or let the length be; else the times of an utterance's segments are dropped",
    level="note",
)
IDLE = _rule("idle", "`idle(sampling_rate)` is None, or text where the clip comes back as it was", "correct `idle`")
BLEND = _rule("blend", "`blend` returns (audio, utterance)", "return audio, utterance.replace(text=…)")


def try_augmentation(bench: Bench, component: Component) -> None:
    """All of it, where the component could be made."""
    made = component.made
    if made is None:
        return
    p = getattr(made, "p", None)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        bench.remark(component, P, f"p is {p!r}")
    heard = _blended(made) if hasattr(made, "blend") else made
    with Kept():
        with bench.trial(component, "clips of 0.1 to 10 s at 8, 16 and 44.1 kHz") as outcome:
            for rate in RATES:
                for duration in DURATIONS if rate == material.RATE else DURATIONS[:-1]:
                    for seed in SEEDS if duration < 1 else SEEDS[:1]:
                        if not _one(bench, component, heard, material.clip(duration, rate), rate, seed):
                            return
        if outcome.raised:
            return
        with bench.trial(component, "silence and clips of a few samples"):
            _odd(bench, component, heard)
        with bench.trial(component, "the same seed"):
            _seeded(bench, component, heard)
        with bench.trial(component, "idle"):
            _idle(bench, component, heard)
    if hasattr(made, "blend"):
        with bench.trial(component, "blend"):
            _blend(bench, component)


Heard = Callable[[Any, int, Any], Any]


def _blended(made: Any) -> Heard:
    """`blend` with the signature of an ordinary augmentation."""

    def heard(audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> Any:
        utterance = material.utterance(0, len(audio) / sampling_rate)
        found = made.blend(utterance, audio, sampling_rate, rng, material.Clips(sampling_rate))
        return found[0]

    return heard


def _one(bench: Bench, component: Component, heard: Heard, audio: np.ndarray, rate: int, seed: int) -> bool:
    """One clip; False where its form is so wrong that nothing else needs to be tried."""
    import numpy as np

    before = audio.copy()
    what = f"{len(audio) / rate:g} s at {rate} Hz"
    after = heard(audio, rate, np.random.default_rng(seed))
    if not np.array_equal(audio, before):
        bench.remark(component, INPUT, f"the samples of a clip of {what} are others after the call")
    if not isinstance(after, np.ndarray) or after.dtype != np.float32 or after.ndim != 1 or not len(after):
        bench.remark(component, FORM, f"a clip of {what} becomes {_form(after)}")
        return False
    if not np.isfinite(after).all():
        bench.remark(component, FINITE, f"{int((~np.isfinite(after)).sum())} samples of a clip of {what} are not")
    _bounds(bench, component, len(before) / rate, len(after) / rate, what)
    return True


def _bounds(bench: Bench, component: Component, before: float, after: float, what: str) -> None:
    import math

    made = component.made
    longest = made.longest(before)
    shortest = made.shortest(before) if hasattr(made, "shortest") else min(before, longest)
    for name, bound in (("longest", longest), ("shortest", shortest)):
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound) or bound < 0:
            bench.remark(component, BOUND, f"{name}({before:g}) is {bound!r}")
            return
    if shortest > longest:
        bench.remark(component, BOUND, f"shortest({before:g}) is {shortest:g}, longest({before:g}) is {longest:g}")
    if after > longest + TOLERANCE:
        bench.remark(component, LONGER, f"a clip of {what} becomes {after:.3f} s, longest says {longest:.3f} s")
    blends = hasattr(made, "blend") and not hasattr(made, "shortest")  # the text changes with the clip
    if after < shortest - TOLERANCE and not blends:
        bench.remark(component, SHORTER, f"a clip of {what} becomes {after:.3f} s, expected {shortest:.3f} s at least")
    if abs(after - before) > TOLERANCE and not hasattr(made, "scales_time") and not hasattr(made, "blend"):
        bench.remark(component, SCALES, f"a clip of {what} becomes {after:.3f} s long, and it has no `scales_time`")


def _odd(bench: Bench, component: Component, heard: Heard) -> None:
    """Silence; one sample, a few, a frame: as cutting and other augmentations leave them."""
    import numpy as np

    clips = {"silence": material.silence(0.5)}
    clips |= {f"{count} samples": material.clip(1.0)[:count] for count in (1, 2, 37, 400)}
    for what, audio in clips.items():
        try:
            after = heard(audio, material.RATE, np.random.default_rng(0))
        except VoxError as error:
            bench.remark(component, SMALL, f"{what}: {said(error)}")
            continue
        except Exception as error:  # third-party code: what it raises is what is asked for
            bench.remark(component, SMALL, f"{what}: it raises {said(error)}")
            continue
        if not isinstance(after, np.ndarray) or after.dtype != np.float32 or after.ndim != 1 or not len(after):
            bench.remark(component, FORM, f"{what} becomes {_form(after)}")
        elif not np.isfinite(after).all():
            bench.remark(component, FINITE, f"{what} becomes samples that are not")


def _seeded(bench: Bench, component: Component, heard: Heard) -> None:
    import numpy as np

    for duration, seed in AGAIN:
        made: list[Any] = []

        def hear(duration: float = duration, seed: int = seed, made: list[Any] = made) -> None:
            made.append(heard(material.clip(duration), material.RATE, np.random.default_rng(seed)))

        stirred(1)
        hear()
        stirred(2)
        moved = draws_elsewhere(hear)
        if not np.array_equal(*made):
            bench.remark(component, SEEDED, "one clip and one seed gave other samples the second time")
        if moved:
            bench.remark(component, ELSEWHERE, f"the generator of {' and of '.join(moved)} has moved")


def _idle(bench: Bench, component: Component, heard: Heard) -> None:
    import numpy as np

    idle = getattr(component.made, "idle", None)
    if idle is None:
        return
    why = idle(material.RATE)
    if why is not None and not isinstance(why, str):
        bench.remark(component, IDLE, f"it is {why!r}")
    elif why is not None:
        audio = material.clip(0.7)
        after = heard(audio.copy(), material.RATE, np.random.default_rng(0))
        if len(after) != len(audio) or not np.allclose(after, audio, atol=2e-3):
            bench.remark(component, IDLE, f"it says {why!r}, and the clip is changed")


def _blend(bench: Bench, component: Component) -> None:
    """The utterance that comes back, and others that must stay as they are."""
    import numpy as np

    from voxcli.api import Utterance

    utterance, audio = material.utterance(0, 0.7), material.clip(0.7)
    found = component.made.blend(
        utterance, audio, material.RATE, np.random.default_rng(3), material.Clips(material.RATE)
    )
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], Utterance):
        bench.remark(component, BLEND, f"it returns {found!r:.120}")
    elif not isinstance(found[1].text, str | None):
        bench.remark(component, BLEND, f"the text of the utterance is {found[1].text!r:.120}")


def _form(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{type(value).__name__} of shape {shape} and type {dtype}" if shape is not None else f"{value!r:.80}"
