"""What Whisper learns beside plain text: times of segments, text that came before, several languages at once."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Corpus, Decoding, Segment, Utterance
from voxcli.models.whisper import Whisper
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing import Project
from voxcli.testing_models import tiny_whisper
from voxcli.train.loading import save_pretrained

TASK = Seq2Seq()
SILENCE = np.zeros(32_000, dtype=np.float32)  # 2 s
SEGMENTS = (Segment("Ab!", 0.2, 0.8), Segment("-", 0.9, 1.0), Segment("C d.", 1.5, 2.4))


@pytest.fixture(scope="module")
def timed(whisper_folder: Path) -> Bundle:
    keys = {"language": "tr", "timestamps": 1.0, "previous_text": 1.0}
    return Whisper(checkpoint=str(whisper_folder), **keys).build(Corpus("", (), 0, 0.0))  # type: ignore[arg-type]


def utterance(text: str = "ab - c d", **more: object) -> Utterance:
    return Utterance(id="u", audio=Path("u.wav"), text=text, duration=2.0).replace(**more)


def learned(bundle: Bundle, one: Utterance) -> tuple[list[str], list[str]]:
    """What the decoder is given, and what it learns."""
    batch = TASK.collate([TASK.features(one, SILENCE, bundle)], bundle)
    name = bundle.processor.tokenizer.convert_ids_to_tokens
    wanted = [number for number in batch["labels"][0].tolist() if number != -100]
    return name(batch["decoder_input_ids"][0].tolist()), name(wanted)


def test_times_of_segments(timed: Bundle) -> None:
    """The text as `[text]` left it, between the times of the segments as the data have them, within the clip."""
    _, wanted = learned(timed, utterance(segments=SEGMENTS))
    assert wanted[2:] == [
        "<|0.20|>", "a", "b", "<|0.80|>", "<|0.90|>", "Ġ", "-", "<|1.00|>",
        "<|1.50|>", "Ġ", "c", "Ġ", "d", "<|2.00|>", "<|endoftext|>",
    ]  # fmt: skip


def test_segments_that_have_other_words_are_not_used(timed: Bundle) -> None:
    _, wanted = learned(timed, utterance("ab c d", segments=SEGMENTS))
    assert wanted[2:] == ["<|0.00|>", "a", "b", "Ġ", "c", "Ġ", "d", "<|2.00|>", "<|endoftext|>"]


def test_times_need_no_names_in_the_tokenizer(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    """Checkpoints converted from OpenAI's files have none: the ids follow <|notimestamps|> all the same."""
    folder = Path(shutil.copytree(whisper_folder, tmp_path / "nameless"))
    content = json.loads((folder / "tokenizer.json").read_text())
    last = next(one["id"] for one in content["added_tokens"] if one["content"] == "<|notimestamps|>")
    content["added_tokens"] = [one for one in content["added_tokens"] if one["id"] <= last]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    bundle = Whisper(checkpoint=str(folder), language="tr", timestamps=1.0).build(corpus)
    assert len(bundle.processor.tokenizer) == last + 1
    tokens = TASK.features(utterance("ab", segments=(Segment("ab", 0.5, 9.0),)), SILENCE, bundle)["tokens"]
    assert (tokens[3], tokens[-2]) == (last + 1 + 25, last + 1 + 100)


def test_what_was_said_before_is_given_and_not_learned(timed: Bundle) -> None:
    given, wanted = learned(timed, utterance("ab", previous="xy"))
    assert given[:5] == ["<|startofprev|>", "Ġ", "x", "y", "<|startoftranscript|>"]
    assert wanted == ["<|tr|>", "<|transcribe|>", "<|0.00|>", "a", "b", "<|2.00|>", "<|endoftext|>"]


@pytest.mark.parametrize(("label", "prompt"), [(10, 32), (40, 19), (58, 0), (59, 0)])
def test_a_prompt_takes_the_room_there_is(timed: Bundle, label: int, prompt: int) -> None:
    """Half of the 64 positions at most, and no more than the label leaves; the end of the text is what is kept."""
    given, _ = learned(timed, utterance("a" * label, previous="x" * 98 + "yz"))
    assert given.index("<|startoftranscript|>") == prompt
    assert len(given) <= 64
    assert given[max(prompt - 2, 0) : prompt] == (["y", "z"] if prompt else [])
    assert TASK.problem(utterance("a" * label, previous="x" * 100), timed.family.limits(), timed) is None


def test_shares_are_apart(whisper_folder: Path, corpus: Corpus) -> None:
    """Whether an utterance has times says nothing of whether it has a prompt."""
    family = Whisper(checkpoint=str(whisper_folder), language="tr", timestamps=0.5, previous_text=0.5)
    bundle = family.build(corpus)
    kinds = set()
    for number in range(40):
        given, _ = learned(bundle, utterance(id=f"u{number}", previous="x"))
        kinds.add((given[0], "<|notimestamps|>" in given))
    assert len(kinds) == 4


def test_each_clip_is_decoded_in_its_own_language(whisper_folder: Path, corpus: Corpus) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder)).build(corpus)
    clips = [utterance(text=None, language=name) for name in ("tr", "Bulgarian", None)]
    batch = TASK.collate([TASK.features(one, SILENCE, bundle) for one in clips], bundle)
    found = [one.language for one in TASK.predict(bundle, batch, Decoding(max_new_tokens=2))]
    assert found[:2] == ["tr", "bg"]
    with torch.no_grad():
        heard = bundle.model.detect_language(batch["input_features"], generation_config=bundle.model.generation_config)
    assert bundle.processor.tokenizer.convert_ids_to_tokens(int(heard[2])) == f"<|{found[2]}|>"
    asked = TASK.predict(bundle, batch, Decoding(max_new_tokens=2, language="fr"))
    assert [one.language for one in asked] == ["fr"] * 3


def test_the_generation_config_is_kept_whole(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    """Written, read and written again: every key of the checkpoint is there, with its value, beside what was chosen."""
    first = Whisper(checkpoint=str(whisper_folder), language="tr").build(corpus)
    save_pretrained(first, tmp_path / "one")
    save_pretrained(Whisper(checkpoint=str(tmp_path / "one")).build(corpus), tmp_path / "two")
    kept, once, twice = (
        json.loads((folder / "generation_config.json").read_text())
        for folder in (whisper_folder, tmp_path / "one", tmp_path / "two")
    )
    for content in (kept, once, twice):
        for key in ("transformers_version", "_from_model_config", "forced_decoder_ids"):
            content.pop(key, None)
    assert once == {**kept, "language": "tr", "task": "transcribe"}
    assert twice == once
    assert {"lang_to_id", "task_to_id", "alignment_heads", "prev_sot_token_id"} <= once.keys()


MIXED = """
[[data]]
type = "manifest"
path = "data/all.csv"

[model]
type = "whisper"
checkpoint = "base"
timestamps = 0.5
previous_text = 0.5
freeze_encoder = true

[train]
max_steps = 2
per_device_train_batch_size = 4
use_cpu = true
label_smoothing_factor = 0.1
"""


def test_a_run_of_several_languages(vox_project: Callable[..., Project]) -> None:
    """Turkish and Bulgarian in one manifest; a language that no Whisper knows is left out, and said."""
    project = vox_project({"r.toml": MIXED})
    tiny_whisper(project.path / "base", window=5)
    head, *rows = (project.speech() / "manifest.csv").read_text().splitlines()
    spoken = [row.replace(",en,", f",{('tr', 'bg', 'zz')[number % 3]},") for number, row in enumerate(rows)]
    project.write({"data/all.csv": "\n".join([head, *spoken])})
    said = project.run("train", "r.toml", "--dry-run").assert_ok().out
    assert re.search(r"dropped +2 of train", said), said
    assert "<|zz|>" in said
    project.run("train", "r.toml").assert_ok()
    folder = project.path / "runs" / "r" / "best"
    assert "language" not in json.loads((folder / "generation_config.json").read_text())
    result = project.run("transcribe", "data/audio/test-000.wav", "--model", "runs/r", "--language", "bg", "--json")
    assert json.loads(result.assert_ok().out)["language"] == "bg"
    refused = project.run("transcribe", "data/audio/test-000.wav", "--model", "runs/r", "--language", "klingon")
    assert refused.code == 1
    assert "'klingon' is no language that Whisper knows" in refused.err
