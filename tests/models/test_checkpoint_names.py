"""What is said of a checkpoint that is not there, and how fast."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from voxcli.errors import ModelError
from voxcli.models import checkpoint


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No network, and an empty cache."""
    monkeypatch.setattr(checkpoint, "_reachable", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_hub_id_without_a_network(offline: Path) -> None:
    begin = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        checkpoint.read_config("openai/whisper-small")
    assert time.perf_counter() - begin < 5
    assert "there is no checkpoint 'openai/whisper-small'" in caught.value.message
    assert f"{Path.cwd()}/openai/whisper-small" in caught.value.message
    assert "cannot be reached" in caught.value.message
    assert "give a local folder" in str(caught.value.help)
    assert checkpoint.source("openai/whisper-small") == {"local_files_only": True}


def test_a_path_that_does_not_exist(offline: Path) -> None:
    with pytest.raises(ModelError, match=r"looked for the folder /no/such/place$"):
        checkpoint.read_config("/no/such/place")


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has no config\.json"):
        checkpoint.read_config(str(tmp_path))


def test_a_config_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        checkpoint.read_config(str(tmp_path))


def test_a_config_of_another_library(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_mels": 80}')
    with pytest.raises(ModelError, match="names no model_type"):
        checkpoint.read_config(str(tmp_path))


def test_an_adapter_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "x"}')
    with pytest.raises(ModelError, match="holds an adapter") as caught:
        checkpoint.read_config(str(tmp_path))
    assert "name its base model" in str(caught.value.help)
