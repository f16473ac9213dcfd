"""Texts of a decoder that repeats itself, by what `vox evaluate` wrote of a run."""

from __future__ import annotations

import json
from pathlib import Path

from run_folders import falling, steps, validation

from voxcli.doctor.checks.run.endless_texts import EndlessTexts
from voxcli.doctor.context import Context
from voxcli.doctor.run.record import of_run
from voxcli.doctor.subject import Subject

SHARES = {"utterances": 3, "empty": 0.0, "blank": None, "repeating": 0.3, "at_limit": 0.0, "length_ratio": 1.4}
TEXTS = {
    "a": "a text as people say it, without much that comes twice",
    "b": "and so on " * 12,
    "c": "short",
}


def test_utterances_whose_text_repeats_itself_are_named(tmp_path: Path) -> None:
    entries = [*steps(falling(200)), validation(200, 0.9, texts=SHARES)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (tmp_path / "recipe.toml").write_text('[model]\ntype = "whisper"\n')
    (tmp_path / "evaluation/test-step-000200").mkdir(parents=True)
    lines = [json.dumps({"id": name, "hypothesis": text}) for name, text in TEXTS.items()]
    (tmp_path / "evaluation/test-step-000200/utterances.jsonl").write_text("\n".join([*lines, "{", "3"]) + "\n")
    (finding,) = EndlessTexts().run(Context(Subject(("run",), "r", tmp_path)))
    assert finding.utterances == ("b",)
    assert finding.message == "step 200: 30% of the texts repeat themselves"
    assert of_run(tmp_path).task == "seq2seq"
