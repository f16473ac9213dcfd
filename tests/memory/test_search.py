"""What fits a device: every row fits when it is traced whole, changes what it says, and keeps what it can."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from voxcli.api import Corpus
from voxcli.memory import search as searching
from voxcli.memory.batching import Batching
from voxcli.memory.cards import Device
from voxcli.memory.fixed import needed
from voxcli.memory.frontier import Frontier
from voxcli.memory.search import Evaluation, Found, search
from voxcli.memory.setup import Setup
from voxcli.memory.step import trace_step
from voxcli.memory.variants import optimizers, variants
from voxcli.memory.worst import Clips
from voxcli.models.ctc import CTC
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.ctc import CTCTask
from voxcli.testing_models import tiny_ctc

MIB = 2**20
CORPUS = Corpus(characters=" 'abcdefghijklmnopqrstuvwxyz", labels=(), n_utterances=10, duration=100.0)


@pytest.fixture(autouse=True, scope="module")
def traced_once() -> Iterator[None]:
    """Searches of one setup within different budgets trace the same variants."""
    kept: dict[str, Frontier] = {}
    fit = Frontier.fit

    def again(setup: Setup, **more: Any) -> Frontier:
        key = repr(setup)
        if key not in kept:
            kept[key] = fit(setup, **more)
        return kept[key]

    with patch.object(Frontier, "fit", again):
        yield


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    checkpoint = tiny_ctc(tmp_path_factory.mktemp("ctc"), hidden_size=64, intermediate_size=256, num_hidden_layers=5)
    return Setup(
        family=CTC(checkpoint=str(checkpoint)),
        task=CTCTask(),
        corpus=CORPUS,
        train=Train(max_steps=1, batch_duration=60.0, learning_rate=3e-5),
    )


@pytest.fixture(scope="module")
def clips() -> Clips:
    rng = np.random.default_rng(0)
    durations = rng.uniform(1.0, 15.0, 400)
    return Clips.of(durations, (durations * 8).astype(int))


def look(setup: Setup, clips: Clips, usable: int, **more: Any) -> Found:
    # without the fixed costs, which are larger than these models
    return search(setup, clips, usable=usable, needed=lambda _, peak: peak, half="bf16", **more)


def worst_of(candidate: searching.Candidate, clips: Clips) -> int:
    train = candidate.setup.train
    longest = candidate.changes.get("filter.max_duration")
    kept = clips if longest is None else clips.up_to(longest)
    shapes = kept.shapes(batch_duration=train.batch_duration, batch_size=train.per_device_train_batch_size)
    return max(trace_step(candidate.setup, shape).peaks.worst.total for shape in shapes if shape == candidate.shape)


@pytest.fixture(scope="module")
def found(setup: Setup, clips: Clips) -> Found:
    return look(setup, clips, 70 * MIB)


def test_every_row_fits_when_it_is_traced_whole(found: Found, clips: Clips) -> None:
    assert len(found.candidates) > 3
    assert not found.notes
    for candidate in found.candidates[::3]:
        assert worst_of(candidate, clips) <= 1.005 * candidate.total <= 1.005 * 70 * MIB
        assert candidate.margin == pytest.approx(1 - candidate.total / (70 * MIB))


def test_the_rows_are_of_several_ways_and_the_quickest_is_first(found: Found) -> None:
    assert {one.method for one in found.candidates} >= {"as it is", "frozen"}
    speeds = [one.speed * one.data_kept for one in found.candidates]
    assert speeds == sorted(speeds, reverse=True)


def test_what_a_row_says_is_what_it_changes(found: Found, setup: Setup) -> None:
    for candidate in found.candidates:
        assert candidate.changes or candidate.label == "the recipe as it is"
        assert ("checkpointing" in candidate.label) == ("train.gradient_checkpointing" in candidate.changes)
        assert ("LoRA" in candidate.label) == ("adapter" in candidate.changes)
        train = candidate.setup.train
        for key, value in candidate.changes.items():
            section, _, name = key.partition(".")
            if section == "train":
                assert getattr(train, name) == value
        assert candidate.label.count("bf16") == (train.mixed_precision == "bf16")
        if candidate.method == "lora":
            assert candidate.changes["train.learning_rate"] == 1e-3


def test_a_divided_batch_is_made_up_by_accumulation(found: Found, setup: Setup) -> None:
    divided = [one for one in found.candidates if "train.batch_duration" in one.changes]
    assert divided
    for candidate in divided:
        train = candidate.setup.train
        assert train.batch_duration is not None
        assert train.batch_duration * train.gradient_accumulation_steps == pytest.approx(60.0, rel=0.02)


def test_the_recipe_itself_is_recommended_where_it_fits(setup: Setup, clips: Clips) -> None:
    roomy = look(setup, clips, 10_000 * MIB)
    assert roomy.recommended is not None
    assert roomy.recommended.changes == {}
    assert roomy.recommended.speed == 1.0


def test_clips_are_left_out_only_where_one_alone_does_not_fit(setup: Setup, clips: Clips) -> None:
    tight = look(setup, clips, 17 * MIB)
    assert tight.candidates
    shorter = [one for one in tight.candidates if "filter.max_duration" in one.changes]
    assert shorter
    for candidate in shorter:
        longest = candidate.changes["filter.max_duration"]
        assert candidate.data_kept == pytest.approx(clips.share(longest), abs=0.02)
        assert candidate.data_kept >= searching.LEAST_KEPT
        assert f"clips up to {longest:g} s" in candidate.label
        assert worst_of(candidate, clips) <= 1.005 * 17 * MIB
    assert not look(setup, clips, 2 * MIB).candidates


def test_an_evaluation_that_does_not_fit_gets_smaller_batches(setup: Setup, clips: Clips) -> None:
    large = Evaluation(batch_duration=120.0, activations=200 * MIB, smallest=1.0)
    rows = look(setup, clips, 70 * MIB, evaluation=large).candidates
    assert rows
    for candidate in rows:
        assert candidate.changes["evaluate.batch_duration"] < 120.0
        assert candidate.evaluation <= candidate.total <= 70 * MIB
    assert not look(setup, clips, 70 * MIB, evaluation=Evaluation(1.0, 200 * MIB, 1.0)).candidates


def test_one_change_alone_is_named(setup: Setup, clips: Clips, found: Found) -> None:
    assert found.helps_most is not None
    assert len(set(found.helps_most.changes) - {"train.learning_rate", "train.gradient_accumulation_steps"}) == 1


def test_variants_are_recipes(setup: Setup) -> None:
    """No two are alike, and each holds to the rules of `recipe.combinations`."""
    from voxcli.recipe import combinations
    from voxcli.recipe.problems import Problems

    made = list(variants(setup, half="bf16"))
    assert made[0].changes == {}
    assert len({repr(sorted(one.changes.items(), key=str)) for one in made}) == len(made)
    for variant in made:
        problems = Problems()
        core = {"quantization": variant.setup.quantization, "adapter": variant.setup.adapter}
        combinations.check({**core, "train": variant.setup.train}, None, problems)
        assert not problems.findings, variant.words


def test_what_a_recipe_has_is_not_proposed_again(setup: Setup) -> None:
    quantised = setup.replace(adapter=Adapter(), quantization=Quantization(load_in_8bit=True))
    methods = {one.method: one.changes for one in variants(quantised.with_train(mixed_precision="fp16"), half="bf16")}
    assert set(methods) == {"as it is", "lora", "nf4"}
    assert methods["lora"]["quantization"] is None
    assert methods["nf4"]["quantization"]["bnb_4bit_compute_dtype"] == "float16"
    scratch = setup.replace(family=CTC(architecture="wav2vec2"))
    assert {one.method for one in variants(scratch)} == {"as it is", "frozen"}
    assert [words for words, _ in optimizers(setup.with_train(optim="sgd"))] == [""]


def test_batches_of_windows_are_whole_clips() -> None:
    clips = Clips.of([4.0] * 50, [5] * 50, padded=lambda _: 30.0)
    own = Batching(170.0, None, 1)  # five windows
    assert own.smaller(clips)[1:] == [Batching(60.0, None, 2), Batching(30.0, None, 5)]
    assert Batching(None, 8, 2).smaller(clips)[-1] == Batching(None, 1, 16)
    assert own.changes(own) == {}


def test_a_card_of_the_table_needs_more_than_its_tensors(setup: Setup, clips: Clips) -> None:
    device = Device("small", total=800 * MIB, usable=800 * MIB)
    rows = search(setup, clips, usable=device.usable, needed=partial(needed, device), half=device.half).candidates
    assert rows
    assert all(one.total > one.peaks.worst.total + 400 * MIB for one in rows)


def test_keys_are_written_as_toml_reads_them(found: Found) -> None:
    from voxcli.recipe.render import value_text

    for candidate in found.candidates:
        for value in candidate.changes.values():
            assert value is None or tomllib.loads(f"value = {value_text(value)}")["value"] == value


def test_eager_attention_is_planned_beside_kernels_that_keep_no_weights(setup: Setup) -> None:
    asked = {one.setup.train.attn_implementation for one in variants(setup.with_train(attn_implementation="eager"))}
    assert asked == {"eager", "sdpa"}
    assert {one.setup.train.attn_implementation for one in variants(setup)} == {None}
