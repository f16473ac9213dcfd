"""A task with a tiny model of its own: items, batches, a loss that adds up, gradients, predictions in order."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Classification, Decoding, Transcript, Utterance
from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.families import built, duration_for, of_task, utterance_for
from voxcli.contract.randomness import Kept, draws_elsewhere, stirred
from voxcli.contract.rules import Rule, rule
from voxcli.contract.sameness import same, sayings
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

ROWS = 3
SEEDS = 4
"""States of `rng` with which each clip is drawn twice."""
TOLERANCE = 1e-3
"""Share by which the loss of a batch and the sum over its rows may differ: float32, in another order."""


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("task", name, expected, repair, **more)


METRICS = _rule(
    "metrics", "`metrics: ClassVar[tuple[str, ...]]`: names, the first decides which checkpoint is best", "write it"
)
FEATURES = _rule("features", "`features` returns a dict for an ordinary utterance", "return {…}")
NEEDS_MODEL = _rule(
    "features-need-model",
    "`features` and `collate` work in processes whose `bundle.model` is None",
    "use bundle.processor and bundle.family",
)
SEEDED = _rule(
    "not-deterministic",
    "the same item, and the same batch, for the same utterance",
    "what is drawn belongs into drawn_features",
)
ELSEWHERE = _rule(
    "draws-elsewhere",
    "`drawn_features` draws from its `rng` alone",
    "rng.uniform(...), rng.integers(...) instead of random, numpy.random and torch",
)
PICKLED = _rule(
    "item-not-picklable", "items and batches that can be pickled: they come from worker processes", "arrays, numbers"
)
COLLATED = _rule("batch", "`collate` returns a dict with tensors", "return {name: tensor}")
LOSS = _rule(
    "loss", "the sum of the losses, which carries the gradient, and the count it is divided by: two scalar tensors",
    "return losses.sum(), count",
)  # fmt: skip
FINITE = _rule(
    "not-finite", "a finite loss above no rows, and finite gradients", "compute it in float32; guard logarithms"
)
NO_GRADIENT = _rule("no-gradient", "a gradient for at least one parameter", "do not detach what the loss is made of")
SUM = _rule(
    "loss-not-a-sum",
    "a batch's sum and count are the sums over its rows: else the size of micro-batches changes what is learned",
    "reduction='sum'; what does not add up has `overview`, see voxcli.api.Task",
)
PREDICT = _rule(
    "predictions",
    "B predictions in the batch's order, or ModelError where the task makes none",
    "return one Transcript or Classification for each row",
)
TRANSCRIBE = _rule("transcribe", "one prediction for a recording of any length", "cut it into windows where it is long")
PROBLEM = _rule("problem", "None for an ordinary utterance, else text that says why", "correct `problem`")
FIGURES = _rule(
    "figures",
    "`measured_loss` returns (sum, count, values): the sum and count of `loss`, values of shape (len(figures), 2)",
    "stack a sum and a weight for each of `figures`",
)


def try_task(bench: Bench, component: Component) -> None:
    """All of it, with the first family that the task trains."""
    task = component.made
    if task is None:
        return
    metrics = getattr(task, "metrics", None)
    if not isinstance(metrics, tuple) or not all(isinstance(one, str) for one in metrics):
        bench.remark(component, METRICS, f"metrics is {metrics!r:.120}")
    with bench.trial(component, "tiny model"):
        family: Any = next(of_task(bench, component.registration.name), None)
        if family is None:
            bench.untried(
                component,
                f"no model family that says task = {component.registration.name!r} can be tried",
                repair='register one, with example keys where it needs some: examples={"model/NAME": {...}}',
            )
            return
        bundle = built(family)
    trial = _Trial(bench, component, task, bundle, family)
    with Kept():
        with bench.trial(component, "features and batches"):
            trial.batches()
        if trial.items and hasattr(task, "drawn_features"):
            with bench.trial(component, "drawn features"):
                trial.drawn()
        for what, method in (
            ("loss and gradients", trial.loss),
            ("the loss of a batch and of its rows", trial.adds_up),
            ("predictions", trial.predictions),
            ("recordings of any length", trial.recordings),
        ):
            if trial.items:  # what comes later needs what came before
                with bench.trial(component, what):
                    method()
        with bench.trial(component, "problem"):
            trial.problem()


class _Trial:
    """One task with one model."""

    def __init__(self, bench: Bench, component: Component, task: Any, bundle: Bundle, family: Any) -> None:
        self.bench, self.component, self.task, self.bundle = bench, component, task, bundle
        self.limits = family.limits()
        self.rate = self.limits.sampling_rate
        self.duration = duration_for(family)
        self.items: list[dict[str, Any]] = []

    def remark(self, rule: Rule, found: str) -> None:
        self.bench.remark(self.component, rule, found)

    def batches(self) -> None:
        """Items without a model, twice; as a worker process sends them; as one batch."""
        without = self.bundle.replace(model=None)
        try:
            stirred(1)
            first = [self._item(number, without) for number in range(ROWS)]
            stirred(2)
            again = [self._item(number, without) for number in range(ROWS)]
            if not all(isinstance(one, dict) for one in first):
                self.remark(FEATURES, f"it returns {type(first[0]).__name__}")
                return
            batch, second = self.task.collate(first, without), self.task.collate(again, without)
        except AttributeError as error:
            if "NoneType" not in str(error):
                raise
            self.remark(NEEDS_MODEL, said(error))
            return
        if not isinstance(batch, Mapping) or not any(hasattr(value, "dtype") for value in batch.values()):
            self.remark(COLLATED, f"it returns {type(batch).__name__}")
            return
        self.items = first
        if not same(batch, second):
            self.remark(SEEDED, "the same utterances gave another batch the second time")
        try:
            sent = pickle.loads(pickle.dumps((first, batch)))
        except Exception as error:  # pickle raises whatever it likes
            self.remark(PICKLED, said(error))
        else:
            if not same(sent[1], batch):
                self.remark(PICKLED, "a batch comes back as another one")

    def drawn(self) -> None:
        """Each item twice with one state of `rng`, without a model."""
        import numpy as np

        without = self.bundle.replace(model=None)
        for number, seed in itertools.product(range(ROWS), range(SEEDS)):
            made: list[Any] = []

            def draw(number: int = number, seed: int = seed, made: list[Any] = made) -> None:
                utterance, audio = utterance_for(number, self.duration), self._audio(number)
                made.append(self.task.drawn_features(utterance, audio, without, np.random.default_rng(seed)))

            stirred(1)
            draw()
            stirred(2)
            if moved := draws_elsewhere(draw):
                self.remark(ELSEWHERE, f"the generator of {' and of '.join(moved)} has moved")
            if not isinstance(made[0], dict):
                self.remark(FEATURES, f"`drawn_features` returns {type(made[0]).__name__}")
                return
            if not same(*made):
                self.remark(SEEDED, "`drawn_features` gave another item the second time, with `rng` in the same state")

    def loss(self) -> None:
        """One batch in training mode, backwards."""
        import torch

        model = self.bundle.model.train()
        batch = self.task.collate(self.items, self.bundle)
        found = self.task.loss(self.bundle, batch)
        if not isinstance(found, tuple) or len(found) != 2 or not all(_scalar(one) for one in found):
            self.remark(LOSS, f"it returns {found!r:.160}")
            self.items = []
            return
        total, count = found
        if not bool(torch.isfinite(total)) or not bool(torch.isfinite(count)) or float(count) <= 0:
            self.remark(FINITE, f"the sum is {float(total.detach())}, the count {float(count)}")
        if not total.requires_grad:
            self.remark(LOSS, "the sum carries no gradient")
            return
        model.zero_grad(set_to_none=True)
        total.backward()
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        if not any(bool((one != 0).any()) for one in gradients):
            self.remark(NO_GRADIENT, "every gradient is zero or missing")
        elif not all(bool(torch.isfinite(one).all()) for one in gradients):
            self.remark(FINITE, "some gradients are not finite")
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            model.eval()
            self._measured(batch)
            model.train()

    def _measured(self, batch: Mapping[str, Any]) -> None:
        """The figures of a batch in evaluation, where nothing is drawn, and its loss."""
        figures = getattr(self.task, "figures", ())
        if not figures:
            return
        found = self.task.measured_loss(self.bundle, batch)
        shape = tuple(found[2].shape) if len(found) == 3 else ()
        if shape != (len(figures), 2):
            self.remark(FIGURES, f"{len(figures)} figures, and values of shape {shape}")
            return
        for what, one, other in zip(("sum", "count"), found, self.task.loss(self.bundle, batch), strict=False):
            if _apart(float(one), float(other)):
                self.remark(FIGURES, f"its {what} is {float(one):g}, that of `loss` is {float(other):g}")

    def adds_up(self) -> None:
        """One batch of N rows, and N batches of one: clips of one length, so that nothing is padded but labels."""
        import torch

        whole = self.task.collate(self.items, self.bundle)
        rows = [self.task.collate([one], self.bundle) for one in self.items]
        with torch.no_grad():
            if hasattr(self.task, "overview"):
                self._overview(whole, rows)
                return
            self.bundle.model.eval()
            found = [self.task.loss(self.bundle, one) for one in (whole, *rows)]
            self.bundle.model.train()
        for place, what in enumerate(("sum", "count")):
            one, several = float(found[0][place]), sum(float(pair[place]) for pair in found[1:])
            if _apart(one, several):
                self.remark(SUM, f"the {what} of a batch of {ROWS} is {one:g}, over its rows it is {several:g}")

    def _overview(self, whole: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """What is known of a step adds up over its batches, and one that is all of it has no need of it."""
        import torch

        step = self.task.overview(self.bundle, whole)
        parts = sum(self.task.overview(self.bundle, one) for one in rows)
        if step.shape != parts.shape or not torch.allclose(step, parts, rtol=TOLERANCE, atol=TOLERANCE):
            self.remark(SUM, f"`overview` of a batch of {ROWS} is not the sum over its rows")
        totals = []
        for batch in (whole, {**whole, "overview": step}):
            torch.manual_seed(1)
            totals.append(float(self.task.loss(self.bundle, batch)[0]))
        if _apart(*totals):
            self.remark(
                SUM, f"the sum of a batch that is all of a step is {totals[0]:g}, with `overview` {totals[1]:g}"
            )

    def predictions(self) -> None:
        """Of the whole batch, and of its rows in another order."""
        import torch

        self.bundle.model.eval()
        decoding = Decoding(max_new_tokens=6)
        with torch.no_grad():
            try:
                found = self.task.predict(self.bundle, self.task.collate(self.items, self.bundle), decoding)
                turned = self.task.predict(self.bundle, self.task.collate(self.items[::-1], self.bundle), decoding)
            except ModelError:
                return
        for made in (found, turned):
            if not isinstance(made, Sequence) or len(made) != ROWS:
                count = len(made) if isinstance(made, Sequence) else "no sequence"
                self.remark(PREDICT, f"of {ROWS} rows there are {count} predictions")
                return
        if sayings(found) == sayings(turned) != sayings(found)[::-1]:
            self.remark(PREDICT, "rows in another order bring the predictions in the old one")

    def recordings(self) -> None:
        """A short one, and one beyond the model's window where that is near."""
        import torch

        self.bundle.model.eval()
        longest = min(2.5 * self.limits.max_duration, 12.0)
        decoding = Decoding(max_new_tokens=6)
        for duration in (max(0.2, self.limits.min_duration), longest):
            try:
                with torch.no_grad():
                    found = self.task.transcribe(self.bundle, material.clip(duration, self.rate), decoding)
            except ModelError:
                return
            except Exception as error:  # third-party code: what it raises is what is asked for
                self.remark(TRANSCRIBE, f"a recording of {duration:g} s: {said(error)}")
                return
            if not isinstance(found, Transcript | Classification):
                self.remark(TRANSCRIBE, f"of a recording of {duration:g} s it says {found!r:.120}")
                return

    def problem(self) -> None:
        """Ordinary utterances, before and after the model is built; and one of a millisecond."""
        for number in range(ROWS):
            utterance = utterance_for(number, self.duration)
            for bundle in (None, self.bundle, self.bundle.replace(model=None)):
                if (why := self.task.problem(utterance, self.limits, bundle)) is not None:
                    self.remark(PROBLEM, f"{utterance.text!r} in {self.duration:g} s: {why!r:.120}")
                    return
        short: Utterance = utterance_for(0, 1e-3)
        why = self.task.problem(short, self.limits, self.bundle)
        if not isinstance(why, str | None):
            self.remark(PROBLEM, f"of a clip of a millisecond it says {why!r:.120}")

    def _item(self, number: int, bundle: Bundle) -> dict[str, Any]:
        made: dict[str, Any] = self.task.features(utterance_for(number, self.duration), self._audio(number), bundle)
        return made

    def _audio(self, number: int) -> np.ndarray:
        return material.clip(self.duration, self.rate, material.TEXTS[number % len(material.TEXTS)])


def _apart(one: float, other: float) -> bool:
    return abs(one - other) > TOLERANCE * max(abs(one), abs(other), 1e-6)


def _scalar(value: Any) -> bool:
    return hasattr(value, "dim") and value.dim() == 0
