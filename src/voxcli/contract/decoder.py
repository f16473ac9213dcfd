"""A decoder on frames that are certain, on noise, on blanks and on none: what it emits, where, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Alphabet, Emission
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.randomness import Kept, stirred
from voxcli.contract.rules import Rule, rule
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

TOKENS = ("", " ", *"abcdefghijklmnopqrstuvwxyz")
ALPHABET = Alphabet(TOKENS, 0)
TEXT = "one two three"
CERTAIN = 0.999
"""Probability of the class that is meant; the others share the rest."""


def _rule(name: str, expected: str, repair: str) -> Rule:
    return rule("decoder", name, expected, repair)


FORM = _rule(
    "emissions",
    "`voxcli.api.Emission`s in order: a token that is no blank, 0 <= start < end <= T, a probability from 0 to 1",
    "return [Emission(token, start, end, probability), …]",
)
TEXT_READ = _rule("certain-text", "frames that are certain are read as they are", "compare with the decoder `greedy`")
NOTHING = _rule("blanks-written", "nothing where every frame is blank, and where there are no frames", "return []")
SEEDED = _rule(
    "not-deterministic", "the same emissions for the same frames", "no randomness, nothing kept between calls"
)
INPUT = _rule("input-changed", "the log-probabilities stay as they are", "work on a copy")


def try_decoder(bench: Bench, component: Component) -> None:
    """All of it, where the component could be made."""
    made = component.made
    if made is None:
        return
    with Kept():
        if hasattr(made, "check"):
            with bench.trial(component, "check(alphabet)"):
                try:
                    made.check(ALPHABET)
                except DataError as error:  # as it may: a decoder can be of one alphabet alone
                    bench.untried(component, f"it refuses the alphabet of a to z: {said(error)}")
                    return
        with bench.trial(component, "frames that are certain"):
            frames = _spelt(TEXT)
            found = _decoded(bench, component, frames)
            text = "".join(TOKENS[one.token] for one in found if 0 <= one.token < len(TOKENS))
            if text != TEXT:
                bench.remark(component, TEXT_READ, f"frames that say {TEXT!r} with {CERTAIN} each are read as {text!r}")
        with bench.trial(component, "blanks, one frame, none"):
            for count in (0, 1, 20):
                if found := _decoded(bench, component, _blank(count)):
                    bench.remark(component, NOTHING, f"{count} blank frames become {found!r:.160}")
            _decoded(bench, component, _spelt("a")[:1])
        with bench.trial(component, "noise, twice"):
            noise = _noise(60)
            before = noise.copy()
            stirred(1)
            first = _decoded(bench, component, noise)
            stirred(2)
            if _decoded(bench, component, noise) != first:
                bench.remark(component, SEEDED, "the same frames gave other emissions the second time")
            if not (noise == before).all():
                bench.remark(component, INPUT, "they are others after the call")


def _decoded(bench: Bench, component: Component, frames: np.ndarray) -> Sequence[Emission]:
    """What it emits, looked at; nothing where it is not of the right form."""
    found: Any = component.made.decode(frames, ALPHABET)
    if not isinstance(found, Sequence):
        bench.remark(component, FORM, f"it returns {type(found).__name__}")
        return ()
    last = 0
    for one in found:
        if not isinstance(one, Emission):
            bench.remark(component, FORM, f"it emits {type(one).__name__}: {one!r:.80}")
            return ()
        in_time = 0 <= one.start < one.end <= len(frames) and one.start >= last
        of_the_alphabet = 0 <= one.token < len(TOKENS) and one.token != ALPHABET.blank
        if not in_time or not of_the_alphabet or not 0 <= one.probability <= 1 + 1e-6:
            bench.remark(component, FORM, f"of {len(frames)} frames it emits {one!r}")
            return found
        last = one.start
    return found


def _spelt(text: str) -> np.ndarray:
    """Three frames for each character and one blank after it, (4 L, V) float32."""
    import numpy as np

    classes = [number for character in text for number in (*[TOKENS.index(character)] * 3, 0)]
    chances = np.full((len(classes), len(TOKENS)), (1 - CERTAIN) / (len(TOKENS) - 1))
    chances[np.arange(len(classes)), classes] = CERTAIN
    return np.log(chances).astype(np.float32)


def _blank(count: int) -> np.ndarray:
    import numpy as np

    chances = np.full((count, len(TOKENS)), (1 - CERTAIN) / (len(TOKENS) - 1))
    chances[:, 0] = CERTAIN
    return np.log(chances).astype(np.float32)


def _noise(count: int) -> np.ndarray:
    import numpy as np

    logits = 2.0 * np.random.default_rng(5).standard_normal((count, len(TOKENS)))
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
