"""Synthetic batches have the sizes of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plugin_families import Contrastive, Pretraining

from voxcli.api import Bundle, Corpus, Utterance
from voxcli.memory.batch import Blank, label_length, tensors
from voxcli.memory.bundles import bundle_of
from voxcli.memory.setup import Setup, Shape
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus("abc d", (), 0, 0.0)


@pytest.fixture(scope="module")
def setups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Setup]:
    root = tmp_path_factory.mktemp("models")

    def ctc(architecture: str) -> CTC:
        return CTC(checkpoint=str(tiny_ctc(root / architecture, architecture=architecture)))

    whisper = str(tiny_whisper(root / "whisper"))
    made: dict[str, tuple[Any, Any]] = {
        "window": (Whisper(checkpoint=whisper), Seq2Seq()),
        "clip": (Whisper(checkpoint=whisper, encoder_context="clip", timestamps=1.0), Seq2Seq()),
        "wav2vec2": (ctc("wav2vec2"), CTCTask()),
        "parakeet": (ctc("parakeet_ctc"), CTCTask()),
        "pretraining": (Pretraining(), Contrastive()),
    }
    return {name: Setup(family, task, CORPUS, Train(), device="cpu") for name, (family, task) in made.items()}


def _unread() -> tuple[np.ndarray, int]:
    raise AssertionError


@pytest.mark.parametrize("name", ["window", "clip", "wav2vec2", "parakeet", "pretraining"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_sizes_are_those_of_a_collation(setups: dict[str, Setup], name: str, count: int) -> None:
    setup = setups[name]
    bundle = bundle_of(setup)
    shape = Shape(count, 1.5, 14)
    real, blank = tensors(setup, bundle, shape), Blank(setup, bundle, shape).tensors()
    assert real.keys() == blank.keys()
    for key, value in real.items():
        assert (value.shape, value.dtype) == (blank[key].shape, blank[key].dtype), key
        assert len(value) == count or key in ("labels", "label_lengths")


@pytest.mark.parametrize(("name", "key"), [("window", "labels"), ("clip", "labels"), ("wav2vec2", "label_lengths")])
@pytest.mark.parametrize("n_labels", [9, 20])
def test_labels_are_as_long_as_asked(setups: dict[str, Setup], name: str, key: str, n_labels: int) -> None:
    setup = setups[name]
    batch = tensors(setup, bundle_of(setup), Shape(3, 2.0, n_labels))
    found = batch[key].shape[1] if key == "labels" else int(batch[key].max())
    assert found == n_labels


def test_one_utterance_is_shorter_so_that_there_is_padding(setups: dict[str, Setup]) -> None:
    batch = tensors(setups["wav2vec2"], bundle_of(setups["wav2vec2"]), Shape(3, 2.0, 10))
    lengths = batch["attention_mask"].sum(1)
    assert lengths.tolist() == [32_000, 32_000, 28_800]


@pytest.mark.parametrize("name", ["window", "wav2vec2"])
def test_a_label_is_as_long_without_its_audio(setups: dict[str, Setup], name: str) -> None:
    setup = setups[name]
    bundle = bundle_of(setup)
    utterance = Utterance(id="a", audio=_unread, duration=2.0, text="abc dab", language="en")

    class Silent:
        """The same task, without a `label_length` of its own."""

        def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
            return setup.task.features(utterance, audio, bundle)

        def collate(self, items: Any, bundle: Bundle) -> dict[str, Any]:
            return setup.task.collate(items, bundle)

    by_audio = label_length(Silent(), bundle, utterance)  # type: ignore[arg-type]
    assert label_length(setup.task, bundle, utterance) == by_audio > 6


def test_a_task_without_labels_has_none(setups: dict[str, Setup]) -> None:
    setup = setups["pretraining"]
    utterance = Utterance(id="a", audio=_unread, duration=1.0, text="abc")
    assert label_length(setup.task, bundle_of(setup), utterance) == 0


def test_what_a_mask_covers_is_known(setups: dict[str, Setup]) -> None:
    setup = setups["pretraining"]
    blank = Blank(setup, bundle_of(setup), Shape(4, 1.0, 0))
    ((shape, count),) = blank.chosen.items()
    assert shape == (4, 49)
    assert 0.2 * 4 * 49 < count < 4 * 49
    assert blank.n_bytes == sum(one.nbytes for one in blank.tensors().values() if isinstance(one, torch.Tensor))


def test_folders_are_not_needed_twice(setups: dict[str, Setup], tmp_path: Path) -> None:
    assert bundle_of(setups["window"]) is bundle_of(setups["window"])
    assert bundle_of(setups["window"], 1) is not bundle_of(setups["window"])
