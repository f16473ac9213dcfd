"""`vox data clean` on real prompts, some of whose transcripts describe sounds or hold notes that nobody speaks."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

ITALIAN = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared")) / "data/asterisk-it"

pytestmark = pytest.mark.skipif(not ITALIAN.is_dir(), reason=f"{ITALIAN} is not here")


def test_the_wrong_transcripts_of_some_italian_prompts(vox_project):
    with (ITALIAN / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith(("audio/be", "audio/conf"))]
    project = vox_project()
    lines = [json.dumps({**row, "path": str(ITALIAN / row["path"])}) for row in rows]
    project.write({"it.jsonl": "\n".join(lines) + "\n"})
    found = project.run("data", "clean", "it.jsonl", "--json").assert_ok()
    assert json.loads(found.out)["looked_at"] == len(rows) > 40
    with (project.path / "it-clean-dropped.csv").open(encoding="utf-8", newline="") as file:
        dropped = {Path(row["path"]).stem: row["reason"] for row in csv.DictReader(file)}
    assert dropped == {
        "beeperr": "fast",  # "un suono di beep …"
        "confbridge-join": "fast",
        "confbridge-leave": "fast",
        "confbridge-begin-leader_PRESIDENTE": "fast",  # a note on another prompt
        "confbridge-mute-extended": "fast",  # the texts of three others behind its own
        "confbridge-muted": "language",  # "(You are now muted.)"
    }
