"""A checkpoint's processor is read once, and nobody hears of what others do to theirs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from voxcli.api import Corpus
from voxcli.models import processors
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper


@pytest.fixture(autouse=True)
def nothing_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_read", {})


class Reads:
    """How often a class reads a checkpoint."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
        self.count = 0
        read = kind.from_pretrained

        def counted(*given: Any, **named: Any) -> Any:
            self.count += 1
            return read(*given, **named)

        monkeypatch.setattr(kind, "from_pretrained", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    from transformers import WhisperProcessor

    return Reads(monkeypatch, WhisperProcessor)


def test_a_whisper_built_three_times_reads_its_processor_once(
    whisper_folder: Path, corpus: Corpus, reads: Reads
) -> None:
    built = [
        Whisper(checkpoint=str(whisper_folder), language=language).build(corpus).processor
        for language in ("tr", "fr", "tr")
    ]
    assert reads.count == 1
    labels = [one.tokenizer("ab").input_ids for one in built]
    assert labels[0] == labels[2] != labels[1]  # what a label begins with is each one's own
    assert [one.tokenizer.language for one in built] == ["tr", "fr", "tr"]


def test_changes_stay_with_whoever_makes_them(whisper_folder: Path, reads: Reads) -> None:
    from transformers import WhisperProcessor

    one, other = (processors.opened(WhisperProcessor, str(whisper_folder)) for _ in range(2))
    before = other.tokenizer.backend_tokenizer.to_str()
    one.tokenizer.add_tokens(["<mine>"])
    one.tokenizer.pad_token = "<mine>"
    one.tokenizer.set_prefix_tokens(language="tr", task="translate", predict_timestamps=True)
    one.tokenizer("a", padding="max_length", max_length=9, truncation=True)
    one.feature_extractor.mel_filters[:] = 0
    one.tokenizer.chat_template = "{{ x }}"
    third = processors.opened(WhisperProcessor, str(whisper_folder))
    assert reads.count == 1
    for kept in (other, third):
        assert kept.tokenizer.backend_tokenizer.to_str() == before
        assert "<mine>" not in kept.tokenizer.get_vocab()
        assert kept.tokenizer.pad_token != "<mine>"
        assert kept.tokenizer.chat_template is None
        assert kept.feature_extractor.mel_filters.any()


def test_a_copy_is_the_same_tokenizer(whisper_folder: Path, english_folder: Path, tmp_path: Path) -> None:
    from transformers import WhisperProcessor

    for folder in (whisper_folder, english_folder):
        read = WhisperProcessor.from_pretrained(folder)
        copied = processors.copied(read)
        assert copied.tokenizer.backend_tokenizer.to_str() == read.tokenizer.backend_tokenizer.to_str()
        assert copied.tokenizer.get_vocab() == read.tokenizer.get_vocab()
        assert copied.tokenizer("Abç <|0.00|>!").input_ids == read.tokenizer("Abç <|0.00|>!").input_ids
        copied.save_pretrained(tmp_path / "copied")
        read.save_pretrained(tmp_path / "read")
        for path in sorted((tmp_path / "read").iterdir()):
            assert (tmp_path / "copied" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", ["WordLevel", "WordPiece", "BPE", "Unigram"])
def test_every_model_of_tokenizers_is_copied(kind: str) -> None:
    import tokenizers
    from tokenizers import decoders, normalizers, pre_tokenizers
    from tokenizers import processors as templates
    from transformers import PreTrainedTokenizerFast

    vocab = {"[UNK]": 0, "[CLS]": 1, "a": 2, "b": 3, "ab": 4, "##b": 5}
    model: Any = {
        "WordLevel": lambda: tokenizers.models.WordLevel(vocab, unk_token="[UNK]"),
        "WordPiece": lambda: tokenizers.models.WordPiece(vocab, unk_token="[UNK]"),
        "BPE": lambda: tokenizers.models.BPE(vocab, [("a", "b")], unk_token="[UNK]"),
        "Unigram": lambda: tokenizers.models.Unigram([(token, -1.0) for token in vocab], unk_id=0),
    }[kind]()
    made = tokenizers.Tokenizer(model)
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece()
    made.post_processor = templates.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    made.add_special_tokens(["[CLS]", "<s>"])
    made.add_tokens([tokenizers.AddedToken("ba", lstrip=True, normalized=False), "zz"])
    made.enable_padding(length=8, pad_token="<s>", pad_id=6)
    made.enable_truncation(7, stride=1)
    read = PreTrainedTokenizerFast(tokenizer_object=made)
    copied = processors.copied(read)
    assert copied.backend_tokenizer.to_str() == read.backend_tokenizer.to_str()
    assert copied("AB a zz  ba q").input_ids == read("AB a zz  ba q").input_ids


def test_a_tokenizer_written_in_python_is_copied(
    wav2vec2_folder: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    reads = Reads(monkeypatch, AutoTokenizer)
    one, other = (CTC(checkpoint=str(wav2vec2_folder), vocabulary="checkpoint").build(corpus) for _ in range(2))
    assert reads.count == 1
    one.processor.tokenizer.add_tokens(["ş"])
    assert len(one.processor.tokenizer) == len(other.processor.tokenizer) + 1


def test_a_folder_that_has_changed_is_read_again(whisper_folder: Path, tmp_path: Path, reads: Reads) -> None:
    from transformers import WhisperProcessor

    folder = tmp_path / "changing"
    shutil.copytree(whisper_folder, folder)
    processors.opened(WhisperProcessor, str(folder))
    processors.opened(WhisperProcessor, str(folder))
    assert reads.count == 1
    told = folder / "tokenizer_config.json"
    told.write_text(told.read_text(encoding="utf-8") + " ", encoding="utf-8")
    processors.opened(WhisperProcessor, str(folder))
    assert reads.count == 2


def test_few_are_remembered(whisper_folder: Path, reads: Reads) -> None:
    from transformers import WhisperProcessor

    for number in range(2 * processors._MOST):
        processors.opened(WhisperProcessor, str(whisper_folder), padding_side=("left", "right")[number % 2])
    assert reads.count == 2
    for number in range(2 * processors._MOST):
        processors.opened(WhisperProcessor, str(whisper_folder), number=number)
    assert len(processors._read) == processors._MOST
