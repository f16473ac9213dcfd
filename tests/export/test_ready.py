"""The export that an engine opens: which one is found, when it is stale, and that several processes make one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voxcli.errors import ModelError, UsageError
from voxcli.export import folder, origin, ready, run, weights
from voxcli.export.options import configured
from voxcli.exporters.merged import Merged

QUICK = SimpleNamespace(exporter="merged")
Asked = Callable[[Path | str], Path]


def model(at: Path, **files: str) -> Path:
    at.mkdir(parents=True)
    (at / "config.json").write_text('{"model_type": "whisper"}')
    (at / "model.safetensors").write_text("weights")
    for name, text in files.items():
        (at / f"{name}.json").write_text(text)
    return at


def exported(checkpoint: Path, out: Path, **keys: Any) -> Path:
    with folder.new_folder(out) as partial:
        state = weights.state(checkpoint)
        origin.describe(partial, checkpoint, Merged(), to="merged", engine="quick", **{"weights": state, **keys})
        (partial / "config.json").write_text("{}")
    return out


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """`folder_for`, with an export that is quickly made; `made` counts them."""
    made: list[Path] = []

    def export(name: str, exporter: Any, *, to: str, out: Path, **keys: Any) -> Any:
        time.sleep(0.05)
        made.append(exported(Path(ready.locate(name)), out))
        return SimpleNamespace(check=None, folder=out)

    def ask(name: Path | str) -> Path:
        return Path(ready.folder_for(QUICK, "quick", str(name))).absolute()

    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ready, "export", export)
    ask.made = made  # type: ignore[attr-defined]
    return ask


def test_another_model_of_the_same_name_is_not_taken(asked: Asked, tmp_path: Path) -> None:
    one, other = model(tmp_path / "a/tiny"), model(tmp_path / "b/tiny")
    out = exported(one, tmp_path / "export/tiny/merged")
    assert asked(one) == out
    assert asked(other).parent == tmp_path / "cache/exports"
    assert asked(other) == asked("b/tiny")
    assert len(asked.made) == 1  # type: ignore[attr-defined]


def test_a_run_that_has_moved_keeps_its_export(asked: Asked, tmp_path: Path) -> None:
    model(tmp_path / "runs/mine/checkpoints/step-000001")
    (tmp_path / "runs/mine/recipe.toml").write_text("")
    assert asked("runs/mine") == tmp_path / "runs/mine/export/merged-step-000001"
    (tmp_path / "runs/mine").rename(tmp_path / "runs/yours")
    assert asked("runs/yours") == tmp_path / "runs/yours/export/merged-step-000001"
    assert len(asked.made) == 1  # type: ignore[attr-defined]


def test_weights_that_were_replaced_by_older_ones(asked: Asked, tmp_path: Path) -> None:
    checkpoint = model(tmp_path / "tiny")
    first = asked(checkpoint)
    os.utime(checkpoint / "model.safetensors", (1, 1))
    second = asked(checkpoint)
    assert second.name == f"{first.name}-2"
    assert asked(checkpoint) == second


def test_an_export_that_does_not_say_of_which_weights_it_is(asked: Asked, tmp_path: Path) -> None:
    """As voxcli wrote it before: one that is not older than the weights is taken."""
    checkpoint = model(tmp_path / "tiny")
    out = exported(checkpoint, tmp_path / "export/tiny/merged", weights=None)
    assert asked(checkpoint) == out
    later = time.time() + 10
    os.utime(checkpoint / "model.safetensors", (later, later))
    assert asked(checkpoint) != out


def test_the_base_of_an_adapter_counts(asked: Asked, tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    adapter = model(tmp_path / "adapter", adapter_config=json.dumps({"base_model_name_or_path": str(base)}))
    first = asked(adapter)
    base.rename(tmp_path / "gone")
    assert asked(adapter) == first
    (tmp_path / "gone").rename(base)
    (base / "model.safetensors").write_text("others")
    assert asked(adapter) != first


def test_two_at_once_make_one(asked: Asked, tmp_path: Path) -> None:
    checkpoint = model(tmp_path / "tiny")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(asked, [checkpoint] * 4))
    assert len(set(found)) == 1
    assert len(asked.made) == 1  # type: ignore[attr-defined]


def test_where_nothing_can_be_written(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be written") as refused:
        asked(model(tmp_path / "tiny"))
    assert "set VOX_CACHE to a folder that can be written" in str(refused.value.help)
    assert f"`vox export {tmp_path / 'tiny'} --to merged --out FOLDER`" in str(refused.value.help)


def test_an_exported_folder_of_the_home(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    out = exported(model(tmp_path / "tiny"), tmp_path / "small")
    assert asked("~/small") == out


def test_a_folder_of_another_engine(tmp_path: Path) -> None:
    out = exported(model(tmp_path / "tiny"), tmp_path / "small")
    for engine in (SimpleNamespace(), SimpleNamespace(exporter="other")):
        with pytest.raises(ModelError, match="was exported for the engine 'quick', and the engine asked for is 'slow'"):
            ready.folder_for(engine, "vox/slow", str(out))
    reads = SimpleNamespace(opens=lambda folder: True)
    assert ready.folder_for(reads, "slow", str(out)) == str(out)
    with pytest.raises(ModelError, match="was exported for the engine 'quick', and is no checkpoint") as refused:
        run.export(str(out), configured(Merged, "merged", []), to="merged")
    assert str(tmp_path / "tiny") in str(refused.value.help)
