"""The loss, the metrics, the crops and the windows of classification, on tiny models of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from voxcli.api import Bundle, Classification, Corpus, Decoding, Utterance
from voxcli.models.classifier import Classifier
from voxcli.tasks import classification_metrics as metrics
from voxcli.tasks.classification import ClassificationTask
from voxcli.tasks.classification_windows import aggregated, scored, spans
from voxcli.tasks.crops import Crop
from voxcli.testing_models import tiny_classifier

TASK = ClassificationTask()
CORPUS = Corpus("", ("cat", "dog", "owl"), 12, 12.0, (8, 3, 1))


def clips(*durations: float, labels: str = "cat dog owl cat") -> list[tuple[Utterance, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (Utterance(id=str(i), audio=Path("x"), label=label), 0.1 * rng.standard_normal(round(16_000 * s)).astype("f4"))
        for i, (s, label) in enumerate(zip(durations, labels.split(), strict=False))
    ]


def batch_of(bundle: Bundle, given: list[tuple[Utterance, np.ndarray]]) -> dict[str, torch.Tensor]:
    light = bundle.replace(model=None)
    return TASK.collate([TASK.features(utterance, audio, light) for utterance, audio in given], light)


def built(folder: Path, architecture: str, corpus: Corpus = CORPUS, **keys: object) -> Bundle:
    sizes = keys.pop("sizes", {})
    checkpoint = tiny_classifier(folder / "base", architecture=architecture, **sizes)  # type: ignore[arg-type]
    bundle = Classifier(checkpoint=str(checkpoint), **keys).build(corpus)  # type: ignore[arg-type]
    bundle.model.eval()
    return bundle


KINDS = [
    ("wav2vec2", {}, False),
    ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}, True),
    ("hubert", {}, False),
    ("wavlm", {}, False),
    ("sew", {}, False),
    ("unispeech", {}, False),
    ("data2vec-audio", {}, True),
    ("wav2vec2-conformer", {"feat_extract_norm": "layer", "position_embeddings_type": "rotary"}, True),
    ("wav2vec2-bert", {}, True),
    ("audio-spectrogram-transformer", {}, False),
    ("whisper", {}, False),
]


@pytest.mark.parametrize(("architecture", "sizes", "masked"), KINDS)
def test_every_architecture_learns_and_says_the_same_of_a_clip_whatever_stands_beside_it(
    tmp_path: Path, architecture: str, sizes: dict[str, object], masked: bool
) -> None:
    keys: dict[str, object] = {"encoder_context": "clip"} if architecture == "whisper" else {}
    bundle = built(tmp_path, architecture, sizes=sizes, freeze_feature_encoder=True, **keys)
    given = clips(0.02, 0.3, 0.8)
    batch = batch_of(bundle, given)
    assert ("attention_mask" in batch) == masked

    trained = [one for one in bundle.model.parameters() if one.requires_grad]
    assert len(trained) < len(list(bundle.model.parameters()))
    optimizer = torch.optim.Adam(trained, lr=0.01)
    losses = []
    for _ in range(4):
        total, count = TASK.loss(bundle, batch)
        (total / count).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(total.detach() / count))
    assert losses[-1] < losses[0]

    together = TASK.predict(bundle, batch, Decoding())
    for clip, one in zip(given, together, strict=True):
        (alone,) = TASK.predict(bundle, batch_of(bundle, [clip]), Decoding())
        scores = dict(zip(alone.labels, alone.scores, strict=True))
        assert scores == pytest.approx(dict(zip(one.labels, one.scores, strict=True)), abs=1e-5)
        assert sum(scores.values()) == pytest.approx(1.0, abs=1e-5)


def test_whisper_at_its_window_is_what_transformers_computes(tmp_path: Path) -> None:
    at_clip = built(tmp_path, "whisper", encoder_context="clip")
    at_window = built(tmp_path, "whisper")
    mel = torch.randn(2, 16, 300)
    with torch.no_grad():
        assert torch.allclose(at_clip.model(mel).logits, at_window.model(mel).logits, atol=1e-6)


def test_weights_of_classes(tmp_path: Path) -> None:
    bundle = built(tmp_path, "wav2vec2", class_weights="balanced")
    weights = bundle.processor.weights
    assert weights == pytest.approx((12 / 3 / 8, 12 / 3 / 3, 12 / 3 / 1))  # as much for each class as for the others
    batch = batch_of(bundle, clips(0.3, 0.3, 0.3))
    total, count = TASK.loss(bundle, batch)
    with torch.no_grad():
        logits = bundle.model(**TASK.prepared(bundle, batch)).logits
    expected = functional.cross_entropy(logits, batch["classes"], weight=torch.tensor(weights))
    assert float(total.detach() / count) == pytest.approx(float(expected), abs=1e-6)
    # cut in two, sums and counts give the same mean
    parts = [TASK.loss(bundle, batch_of(bundle, some)) for some in (clips(0.3, 0.3, 0.3)[:1], clips(0.3, 0.3, 0.3)[1:])]
    joined = sum(float(one.detach()) for one, _ in parts) / sum(float(count) for _, count in parts)
    assert joined == pytest.approx(float(total.detach() / count), abs=1e-5)

    table = Classifier(checkpoint=bundle.family.checkpoint, class_weights={"owl": 5.0})  # type: ignore[attr-defined]
    assert table.build(CORPUS).processor.weights == (1.0, 1.0, 5.0)


def test_several_classes_of_one_recording(tmp_path: Path) -> None:
    corpus = Corpus("", ("", "cat,dog", "owl"), 10, 10.0, (2, 6, 2))
    bundle = built(tmp_path, "wav2vec2", corpus, multi_label=True, class_weights="balanced")
    assert bundle.processor.labels.names == ("cat", "dog", "owl")
    assert bundle.processor.weights == pytest.approx((4 / 6, 4 / 6, 8 / 2))
    given = clips(0.3, 0.3, 0.3)
    given = [
        (one.replace(label=label), audio) for (one, audio), label in zip(given, ("cat, owl", "", "dog"), strict=True)
    ]
    batch = batch_of(bundle, given)
    assert batch["targets"].tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    _, count = TASK.loss(bundle, batch)
    assert float(count) == 9
    found = TASK.predict(bundle, batch, Decoding())
    assert all(set(one.chosen) == {n for n, s in zip(one.labels, one.scores, strict=True) if s >= 0.5} for one in found)
    assert TASK.reference(given[0][0], bundle) == ("cat", "owl")
    assert TASK.problem(given[1][0], bundle.family.limits(), bundle) is None  # none of them holds


def test_a_trained_head_keeps_what_it_knows_of_a_class(tmp_path: Path) -> None:
    trained = tiny_classifier(tmp_path / "trained", labels=("owl", "fox"))
    model = Classifier(checkpoint=str(trained)).build(CORPUS).model
    again = Classifier(checkpoint=str(trained), labels="checkpoint").build(CORPUS)
    assert again.processor.labels.names == ("owl", "fox")
    assert model.config.id2label == {0: "cat", 1: "dog", 2: "owl"}
    assert torch.equal(model.classifier.weight[2], again.model.classifier.weight[0])


def test_numbers_in_the_data_stand_for_names_in_the_recipe(tmp_path: Path) -> None:
    bundle = built(tmp_path, "wav2vec2", labels=("no", "yes"))
    assert TASK.reference(Utterance(id="a", audio=Path("a"), label="1"), bundle) == ("yes",)
    said = TASK.problem(Utterance(id="a", audio=Path("a"), label="yess"), bundle.family.limits(), bundle)
    assert said == "its label 'yess' is none of the model's classes; did you mean 'yes'? they are no, yes"


def test_a_crop_is_drawn_within_the_clip() -> None:
    audio = np.arange(32_000, dtype=np.float32)
    crop = Crop(of=lambda: 0.5)
    begins = {int(crop(audio, 16_000, np.random.default_rng(seed))[0]) for seed in range(20)}
    assert len(begins) > 10
    assert all(len(crop(audio, 16_000, np.random.default_rng(seed))) == 8000 for seed in range(3))
    middle = Crop(of=lambda: 0.5, where="centre")(audio, 16_000, np.random.default_rng(0))
    assert (middle[0], len(middle)) == (12_000, 8000)
    assert crop(audio[:100], 16_000, np.random.default_rng(0)) is not None
    assert (crop.longest(3.0), crop.longest(0.2), crop.shortest(3.0)) == (0.5, 0.2, 0.5)


def test_windows_cover_a_recording() -> None:
    assert spans(10, 4, 4) == [(0, 4), (4, 8), (6, 10)]
    assert spans(8, 4, 4) == [(0, 4), (4, 8)]
    assert spans(3, 4, 4) == [(0, 3)]
    assert spans(10, 4, 2) == [(0, 4), (2, 6), (4, 8), (6, 10)]


def test_a_long_recording_is_the_mean_of_its_windows_or_the_maximum(tmp_path: Path) -> None:
    keys = {"scored": "windows", "window_duration": 0.5, "window_stride": 0.25}
    bundle = built(tmp_path, "wav2vec2", **keys)
    assert bundle.family.limits().max_duration == 0.5  # so that a longer clip is never taken whole
    audio = clips(1.6)[0][1]
    windows = list(scored(TASK, bundle, audio))
    assert [round(start, 3) for start, _, _ in windows] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.1]
    whole = TASK.transcribe(bundle, audio, Decoding())
    scores = [scores for _, _, scores in windows]
    means = dict(zip(bundle.processor.labels.names, aggregated(scores, "mean").tolist(), strict=True))
    assert dict(zip(whole.labels, whole.scores, strict=True)) == pytest.approx(means, abs=1e-6)
    assert whole.duration == pytest.approx(1.6)
    assert aggregated(scores, "max").tolist() == np.stack(scores).max(0).tolist()


def said(*names: str, **scores: float) -> Classification:
    ranked = sorted(scores, key=lambda name: -scores[name])
    return Classification(tuple(ranked), tuple(scores[name] for name in ranked), names)


def test_metrics_by_hand() -> None:
    predictions = [said("a", a=0.9, b=0.1), said("a", a=0.6, b=0.4), said("b", a=0.2, b=0.8)]
    references = [("a",), ("b",), ("b",)]
    assert metrics.accuracy(predictions, references) == pytest.approx(2 / 3)
    assert metrics.macro_f1(predictions, references) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert metrics.mean_average_precision(predictions, references) == pytest.approx((1.0 + 1.0) / 2)
    # the class is found first and third: (1/1 + 2/3) / 2; of equal scores the order does not matter
    assert metrics.average_precision([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision([0.5, 0.5], [True, False]) == 0.5
    assert metrics.average_precision([0.5, 0.5], [False, True]) == 0.5
