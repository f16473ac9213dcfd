"""Tiny checkpoints, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.api import Corpus
from voxcli.testing_models import tiny_ctc, tiny_whisper


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def english_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper(tmp_path_factory.mktemp("english"), multilingual=False)


@pytest.fixture(scope="session")
def wav2vec2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("wav2vec2"))


@pytest.fixture(scope="session")
def parakeet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("parakeet"), architecture="parakeet_ctc")


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(characters=" abç", labels=(), n_utterances=4, duration=4.0)
