"""A data set listed twice, its first recordings read: order, ids, durations, and that listing reads no audio."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.api import SPLITS, Split, Utterance
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.rules import Rule, rule
from voxcli.errors import VoxError

MOST = 5_000
"""Utterances of a split that are listed; large data sets are not listed to their end."""
READ = 4
"""Recordings of a split that are read: the first ones."""
COMPARED = ("id", "audio", "offset", "duration", "text", "label", "speaker", "language")
"""What an utterance and its row among the columns have to agree in."""
EXACT = 1e-4
"""s by which their times may differ: 32 bits round."""
TOLERANCE = 0.05
"""s by which a duration may be longer than the audio: manifests round."""


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("dataset", name, expected, repair, **more)


YIELDS = _rule(
    "utterance-form",
    "`voxcli.api.Utterance`s: id and text are text, offset and duration are numbers from 0 in s, audio is a Path or a "
    "callable",
    "yield Utterance(id=…, audio=Path(…), text=…)",
)
EMPTY = _rule(
    "no-utterances",
    "example keys with which it lists something",
    "give a small folder or table of which it makes utterances",
)
IDS = _rule("ids-repeat", "ids that are unique in the data set", "join what tells them apart: folder and name")
ORDER = _rule("order-changes", "the same utterances in the same order each time", "sort what the file system lists")
LISTING = _rule(
    "listing-reads-audio",
    "listing reads no audio: a million utterances are listed before a command's first line",
    "leave `duration` None, and it is read from the header once, in parallel; or take it from a table",
)
MISSING = _rule(
    "split-missing", "a split that does not exist is empty", "return from `utterances` without yielding, or iter(())"
)
PRESENT = _rule(
    "splits-present", "`splits_present()` names exactly the splits that have utterances", "correct `splits_present`"
)
AUDIO = _rule(
    "audio-unreadable", "audio that voxcli can read: a file, or a callable", "correct the path, or the callable"
)
CALLABLE = _rule(
    "audio-form",
    "the callable returns samples of shape (N,) or (N, channels), floating point within -1 and 1, and their rate in Hz",
    "return samples.astype(np.float32), sampling_rate",
)
PICKLED = _rule(
    "audio-not-picklable",
    "a callable that can be pickled: worker processes read the audio",
    "an instance of a frozen dataclass at module level with __call__, not a lambda",
)
LENGTH = _rule(
    "duration-too-long",
    "offset + duration within the recording",
    "take them from what the audio itself says, in s; or leave `duration` None",
)
FINGERPRINT = _rule(
    "fingerprint",
    "`fingerprint(split)` is the same text each time, for each split another",
    "hash keys, names, sizes, split",
)
COLUMNS = _rule(
    "columns-differ", "`columns(split)` yields what `utterances(split)` yields", "mend it, or raise NotImplementedError"
)


def try_dataset(bench: Bench, component: Component) -> None:
    """All of it, where the component could be made."""
    made = component.made
    if made is None:
        return
    listed: dict[Split, list[Utterance]] = {}
    with bench.trial(component, "listing each split"):
        for split in SPLITS:
            found = _listed(bench, component, split)
            if found is None:
                return
            listed[split] = found
        _present(bench, component, listed)
        if not any(listed.values()):
            bench.remark(component, EMPTY, f"no split of {dict(component.given)} has an utterance")
            return
        _ids(bench, component, listed)
    with bench.trial(component, "listing again"):
        for split in SPLITS:
            again = list(itertools.islice(made.utterances(split), MOST))
            if [one.id for one in again] != [one.id for one in listed[split]]:
                bench.remark(
                    component, ORDER, f"the {split} split came in another order, or with others, the second time"
                )
    with bench.trial(component, "reading the first recordings"):
        for split in SPLITS:
            for utterance in listed[split][:READ]:
                _read(bench, component, utterance)
    with bench.trial(component, "fingerprint"):
        _fingerprint(bench, component)
    with bench.trial(component, "columns"):
        _columns(bench, component, listed)


def _listed(bench: Bench, component: Component, split: Split) -> list[Utterance] | None:
    """The utterances of a split; None where it yields something else."""
    try:
        with opened_files() as opened:
            found = list(itertools.islice(component.made.utterances(split), MOST))
    except VoxError as error:
        if split != "train":
            bench.remark(component, MISSING, f"utterances({split!r}) raises {said(error)}")
            return []
        if component.given:
            bench.remark(component, EMPTY, f"utterances({split!r}) raises {said(error)}")
        else:
            bench.untried(component, f"without keys it has no source: {said(error)}")
        return None
    for one in found:
        if reason := _wrong(one):
            bench.remark(component, YIELDS, f"utterances({split!r}): {reason}")
            return None
    audio = {os.path.abspath(one.audio) for one in found if isinstance(one.audio, Path)}
    if heard := sorted(audio & opened):
        bench.remark(
            component, LISTING, f"utterances({split!r}) opens {heard[0]}, and {len(heard) - 1} more recordings"
        )
    return found


def _wrong(one: Any) -> str:
    if not isinstance(one, Utterance):
        return f"it yields {type(one).__name__}: {one!r:.80}"
    if not isinstance(one.id, str) or not one.id:
        return f"an id is {one.id!r}"
    if not isinstance(one.audio, Path) and not callable(one.audio):
        return f"the audio of {one.id} is {type(one.audio).__name__}: {one.audio!r:.80}"
    for name in ("text", "label", "speaker", "language"):
        if not isinstance(getattr(one, name), str | None):
            return f"the {name} of {one.id} is {getattr(one, name)!r:.80}"
    for name in ("offset", "duration"):
        value = getattr(one, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
            return f"the {name} of {one.id} is {value!r:.80}"
    return ""


def _present(bench: Bench, component: Component, listed: dict[Split, list[Utterance]]) -> None:
    present = getattr(component.made, "splits_present", None)
    if present is None:
        return
    named, there = tuple(present()), tuple(split for split in SPLITS if listed[split])
    if set(named) != set(there):
        bench.remark(component, PRESENT, f"it names {', '.join(named) or 'none'}; listed: {', '.join(there) or 'none'}")


def _ids(bench: Bench, component: Component, listed: dict[Split, list[Utterance]]) -> None:
    seen: dict[str, str] = {}
    for split, found in listed.items():
        for one in found:
            if one.id in seen:
                bench.remark(component, IDS, f"the id {one.id!r} stands in {seen[one.id]} and in {split}")
                return
            seen[one.id] = split


def _read(bench: Bench, component: Component, utterance: Utterance) -> None:
    from voxcli.audio.decode import read, read_utterance

    if not isinstance(utterance.audio, Path):
        utterance = _called(bench, component, utterance)
    try:
        rate = 16_000
        whole = len(read(utterance.audio, sampling_rate=rate, name=utterance.id)) / rate
        end = utterance.offset + (utterance.duration or 0.0)
        if end > whole + TOLERANCE:
            found = f"{utterance.id} ends at {end:.3f} s of {whole:.3f} s"
            bench.remark(component, LENGTH, found)
        else:
            read_utterance(utterance, rate)
    except Exception as error:  # the data set's own callable: anything may come out of it
        bench.remark(component, AUDIO, f"{utterance.id}: {said(error)}")


def _called(bench: Bench, component: Component, utterance: Utterance) -> Utterance:
    """The utterance with its callable as a worker process would receive it."""
    import numpy as np

    assert not isinstance(utterance.audio, Path)
    samples, rate = utterance.audio()
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind != "f" or not isinstance(rate, int | np.integer) or rate <= 0:
        found = f"of {utterance.id} it returns {array.dtype} of shape {array.shape}, and the rate {rate!r}"
        bench.remark(component, CALLABLE, found)
    try:
        return utterance.replace(audio=pickle.loads(pickle.dumps(utterance.audio)))
    except Exception as error:  # pickle raises whatever it likes
        bench.remark(component, PICKLED, f"{utterance.id}: {said(error)}")
        return utterance


def _fingerprint(bench: Bench, component: Component) -> None:
    fingerprint = getattr(component.made, "fingerprint", None)
    if fingerprint is None:
        return
    first, second = ({split: fingerprint(split) for split in SPLITS} for _ in range(2))
    if not all(isinstance(one, str) and one for one in first.values()):
        bench.remark(component, FINGERPRINT, f"it is {first['train']!r:.80}")
    elif first != second:
        bench.remark(component, FINGERPRINT, "it is another one the second time")
    elif len(set(first.values())) < len(first):
        bench.remark(component, FINGERPRINT, "two splits have the same one")


def _columns(bench: Bench, component: Component, listed: dict[Split, list[Utterance]]) -> None:
    columns = getattr(component.made, "columns", None)
    if columns is None:
        return
    for split, found in listed.items():
        try:
            rows = list(itertools.islice((row for batch in columns(split) for row in batch.to_pylist()), MOST))
        except NotImplementedError:
            continue
        if len(rows) != len(found):
            bench.remark(
                component, COLUMNS, f"the {split} split has {len(rows)} rows as columns, {len(found)} as utterances"
            )
        for row, one in zip(rows, found, strict=False):
            if differing := [name for name in COMPARED if not _agree(name, row.get(name), getattr(one, name))]:
                what = f"the {split} split has other rows as columns: {', '.join(differing)} of {one.id}"
                bench.remark(component, COLUMNS, what)
                break


def _agree(name: str, column: Any, said: Any) -> bool:
    """Whether a column says what an utterance says; a duration that is not known is None or NaN."""
    if name == "audio":
        return callable(said) or (column is not None and Path(column) == said)
    if name in ("offset", "duration"):
        before, after = (value if value is not None and value > 0 else 0.0 for value in (column, said))
        return abs(before - after) < EXACT
    return bool(column == said)


_watching: list[set[str]] = []
_installed: list[bool] = []


@contextlib.contextmanager
def opened_files() -> Iterator[set[str]]:
    """Absolute paths of the files that are opened to be read within the block, by Python or by soundfile."""
    import soundfile

    if not _installed:  # an audit hook cannot be taken back; it does nothing while nobody watches
        sys.addaudithook(_audit)
        _installed.append(True)
    opened: set[str] = set()
    before = soundfile.SoundFile.__init__

    def noted(self: Any, file: Any, mode: Any = "r", *arguments: Any, **more: Any) -> None:
        if not _writes(mode, None):
            _note(file)
        before(self, file, mode, *arguments, **more)

    _watching.append(opened)
    soundfile.SoundFile.__init__ = noted  # libsndfile opens files itself, which raises no audit event
    try:
        yield opened
    finally:
        soundfile.SoundFile.__init__ = before
        _watching.remove(opened)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "open" and not _writes(*arguments[1:3]):
        _note(arguments[0])


def _writes(mode: Any, flags: Any) -> bool:
    """Whether a file is opened to be written anew: unpacking recordings reads no audio."""
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wxa")
    return isinstance(flags, int) and bool(flags & os.O_WRONLY)


def _note(file: Any) -> None:
    if isinstance(file, str | os.PathLike):
        with contextlib.suppress(TypeError, ValueError):
            _watching[-1].add(os.path.abspath(os.fsdecode(os.fspath(file))))
