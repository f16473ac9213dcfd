"""CTC: the exact loss, feasibility, invariance to batching, greedy text with times, windows without seams."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.errors import DataError
from voxcli.models.ctc import CTC
from voxcli.tasks import ctc_windows
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.ctc_greedy import emissions, segments_of, transcript
from voxcli.testing_models import tiny_ctc

RATE = 16_000
TASK = CTCTask()
ARCHITECTURES = ["wav2vec2", "wav2vec2-bert", "parakeet_ctc"]


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def utterance(text: str | None = "ab", duration: float = 1.0, name: str = "u") -> Utterance:
    return Utterance(id=name, audio=Path("u.wav"), text=text, duration=duration)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    made = {}
    for architecture in ARCHITECTURES:
        folder = tiny_ctc(tmp_path_factory.mktemp(architecture), architecture=architecture)
        made[architecture] = CTC(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))
        made[architecture].model.eval()
    return made


def batch_of(bundle: Bundle, texts: list[str | None], lengths: list[float]) -> dict[str, Any]:
    items = [
        TASK.features(utterance(text), noise(seconds, index), bundle)
        for index, (text, seconds) in enumerate(zip(texts, lengths, strict=True))
    ]
    return TASK.collate(items, bundle)


def all_paths(log_probabilities: torch.Tensor, label: list[int]) -> float:
    """Minus the log of the summed probability of every path of T frames that collapses to `label` (blank 0)."""
    frames, classes = log_probabilities.shape
    total = torch.tensor(0.0, dtype=torch.float64)
    for path in itertools.product(range(classes), repeat=frames):
        collapsed = [token for token, _ in itertools.groupby(path) if token != 0]
        if collapsed == label:
            total += log_probabilities[range(frames), path].sum().exp()
    return float(-total.log())


class _Fixed(torch.nn.Module):
    """A model whose logits are given."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits_ = torch.nn.Parameter(logits)
        self.config = type("config", (), {"pad_token_id": 0})()
        self.dtype = torch.float32

    def forward(self, **inputs: torch.Tensor) -> Any:
        return type("output", (), {"logits": self.logits_})()


def test_the_loss_counts_every_path(bundles: dict[str, Bundle]) -> None:
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    bundle = bundles["wav2vec2"].replace(model=_Fixed(logits))
    batch = {
        "input_values": torch.zeros(2, 9),
        "frames": torch.tensor([5, 4]),
        "labels": torch.tensor([1, 1, 2, 1, 2]),
        "label_lengths": torch.tensor([3, 2]),
    }
    total, count = TASK.loss(bundle, batch)
    exact = torch.log_softmax(logits.double(), -1)
    assert int(count) == 5
    assert float(total.detach()) == pytest.approx(
        all_paths(exact[0], [1, 1, 2]) + all_paths(exact[1, :4], [1, 2]), rel=1e-5
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(bundles: dict[str, Bundle], architecture: str) -> None:
    """A clip gives the same logits alone and beside a longer one, over its own frames."""
    bundle = bundles[architecture]
    both = batch_of(bundle, ["ab", "abc"], [0.7, 1.3])
    alone = batch_of(bundle, ["ab"], [0.7])
    with torch.inference_mode():
        of_both = bundle.model(**TASK.prepared(bundle, both)).logits
        of_one = bundle.model(**TASK.prepared(bundle, alone)).logits
    n_frames = int(alone["frames"][0])
    assert of_one.shape[1] == n_frames
    torch.testing.assert_close(of_both[0, :n_frames], of_one[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradients_do_not_depend_on_the_batch(bundles: dict[str, Bundle], architecture: str) -> None:
    """In evaluation mode: Conformers normalise over the batch in training (and dropout draws)."""
    bundle = bundles[architecture]
    texts, lengths = ["ab", "a cab", "", "zz top"], [0.7, 1.3, 0.4, 1.0]
    items = [
        TASK.features(utterance(text), noise(seconds, index), bundle)
        for index, (text, seconds) in enumerate(zip(texts, lengths, strict=True))
    ]

    def gradients(parts: list[list[dict[str, Any]]]) -> tuple[float, int, dict[str, torch.Tensor]]:
        bundle.model.zero_grad()
        losses = [TASK.loss(bundle, TASK.collate(part, bundle)) for part in parts]
        total, count = sum(float(loss.detach()) for loss, _ in losses), sum(int(n) for _, n in losses)
        for loss, _ in losses:
            (loss / count).backward()
        grads = {name: p.grad.clone() for name, p in bundle.model.named_parameters() if p.grad is not None}
        return total, count, grads

    whole = gradients([items])
    split = gradients([items[:1], items[1:]])
    assert split[1] == whole[1] == 13
    assert split[0] == pytest.approx(whole[0], rel=1e-5)
    for name, gradient in whole[2].items():
        torch.testing.assert_close(split[2][name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("text", "frames", "fits"), [("abc", 3, True), ("abcd", 3, False), ("aab", 3, False)])
def test_what_fits_the_frames(bundles: dict[str, Bundle], text: str, frames: int, fits: bool) -> None:
    bundle = bundles["wav2vec2"]
    n_samples = 400 + 320 * (frames - 1)
    one = utterance(text, n_samples / RATE, name="clip-7")
    limits = bundle.family.limits()
    with_tokens = TASK.problem(one, limits, bundle)
    assert (with_tokens is None) is fits
    assert TASK.problem(one, limits, None) is None or not fits  # without the model: never what fits
    if fits:
        batch = TASK.collate([TASK.features(one, noise(n_samples / RATE), bundle)], bundle)
        assert torch.isfinite(TASK.loss(bundle, batch)[0])
    else:
        assert "frames, its audio has 3" in str(with_tokens)
        with pytest.raises(DataError, match="clip-7: its label of"):
            TASK.features(one, noise(n_samples / RATE), bundle)


def test_too_short_audio_is_named(bundles: dict[str, Bundle]) -> None:
    limits = bundles["wav2vec2"].family.limits()
    assert TASK.problem(utterance("a", limits.min_duration), limits, bundles["wav2vec2"]) is None
    reason = TASK.problem(utterance("a", 0.02), limits, bundles["wav2vec2"])
    assert reason == "0.020 s is shorter than the 0.045 s the model needs"


def test_masks_for_log_mel_models_without_their_own(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    folder = bundles["parakeet_ctc"].family.checkpoint  # type: ignore[attr-defined]
    bundle = CTC(checkpoint=folder, mask_time_prob=0.5, mask_time_length=4).build(Corpus("", (), 0, 0.0))
    batch = batch_of(bundle, ["ab"], [1.0])
    bundle.model.eval()
    plain = TASK.loss(bundle, batch)[0].detach()
    assert torch.equal(plain, TASK.loss(bundle, batch)[0].detach())
    seen: list[torch.Tensor] = []
    bundle.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_features"]), with_kwargs=True
    )
    bundle.model.train()
    for _ in range(2):
        torch.manual_seed(3)
        TASK.loss(bundle, batch)
    hidden = (seen[0] == 0).all(-1).float().mean()
    assert 0.2 < hidden < 0.7
    assert torch.equal(seen[0], seen[1])
    assert bundles["wav2vec2"].family.feature_masks() is None  # type: ignore[attr-defined]


def spell(text: str, frames_each: int = 2) -> list[int]:
    """Frame classes of a text with the tiny vocabulary: each character, then a blank."""
    classes: list[int] = []
    for character in text:
        classes += [2 + " 'abcdefghijklmnopqrstuvwxyz".index(character)] * frames_each + [0]
    return classes


def test_greedy_text_and_word_times(bundles: dict[str, Bundle]) -> None:
    classes = np.array([0, 0, *spell("hello"), 0, *spell(" "), *spell("you"), 1, 1, 0])
    found = transcript(
        classes, np.full(len(classes), 0.5, np.float32), bundles["wav2vec2"], Decoding(timestamps="word"), 1.0
    )
    assert found.text == "hello you"
    (segment,) = found.segments
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in segment.words] == [
        ("hello", 0.04, 0.32), ("you", 0.42, 0.58),
    ]  # fmt: skip
    assert segment.words[0].probability == 0.5
    assert transcript(classes[:2], np.ones(2), bundles["wav2vec2"], Decoding(timestamps="word"), 0.04).segments == ()


def test_repeats_join_only_without_a_blank_between() -> None:
    classes = np.array([5, 5, 0, 5, 6, 6, 0])
    found = [(one.token, one.start, one.end) for one in emissions(classes, np.ones(7), 0)]
    assert found == [(5, 0, 2), (5, 3, 4), (6, 4, 6)]


def test_segments_are_cut_at_pauses() -> None:
    from voxcli.api import Word

    words = (Word("a", 0.0, 0.5), Word("b", 0.7, 1.0), Word("c", 2.0, 2.2), Word("d", 2.3, 15.0))
    assert [segment.text for segment in segments_of(words, keep_words=False)] == ["a b", "c", "d"]


@pytest.mark.parametrize("n_samples", [400, 16_000, 48_001, 77_777, 160_000])
def test_windows_follow_each_other_without_gap_or_overlap(n_samples: int) -> None:
    """Every frame of the recording is kept exactly once, from a window that saw the same samples for it."""
    stride, total = 320, (n_samples - 400) // 320 + 1
    kept: list[int] = []
    for one in ctc_windows.windows(n_samples, stride, RATE, window=2.0, context=0.5):
        n_frames = (one.end - one.begin - 400) // stride + 1
        first = one.begin // stride
        kept += list(range(first, first + n_frames))[one.first : one.last]
        assert one.end - one.begin <= 2.0 * RATE + stride
    assert kept == list(range(total))


def test_a_synthetic_recording_has_no_seams(bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that hears the class in the sample itself: characters across seams are neither doubled nor lost."""
    bundle = bundles["wav2vec2"]
    text = "hello aabbcc zoo " * 12
    classes = np.array(spell(text.strip(), frames_each=5), dtype=np.int32)
    audio = np.repeat(classes, 320).astype(np.float32)
    audio = np.append(audio, np.zeros(80, np.float32))  # the last frame's window of 400 samples
    batches: list[int] = []

    def hear(task: Any, bundle: Any, audio: np.ndarray, some: list[Any], decoding: Decoding) -> list[tuple[Any, Any]]:
        batches.append(len(some))
        of = [audio[one.begin : one.end - 80 : 320].astype(np.int32) for one in some]
        return [(frames, np.ones(len(frames), np.float32)) for frames in of]

    monkeypatch.setattr(ctc_windows, "_run", hear)
    found = ctc_windows.transcribe(TASK, bundle, audio, Decoding(timestamps="word"), window=1.7, context=0.3)
    assert found.text == text.strip()
    assert sum(batches) > 5
    words = [word for segment in found.segments for word in segment.words]
    assert [word.text for word in words] == text.split()
    assert all(one.end <= other.start for one, other in itertools.pairwise(words))


@pytest.mark.parametrize("decoder", [None, {"type": "beam", "beam_width": 4}], ids=["greedy", "beam"])
def test_a_real_model_in_windows_is_the_whole(tmp_path: Path, decoder: dict[str, Any] | None) -> None:
    """Convolutions and no attention see 1.3 s: with that much overlap the windows give what the whole gives."""
    decoding = Decoding(timestamps="word", decoder=decoder)
    folder = tiny_ctc(tmp_path, num_hidden_layers=0, num_conv_pos_embeddings=16)
    bundle = CTC(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))
    bundle.processor.feature_extractor.do_normalize = False
    audio = noise(9.0)
    whole = TASK.predict(
        bundle,
        TASK.collate([TASK.features(utterance(None), audio, bundle)], bundle),
        decoding,
    )[0]
    windowed = ctc_windows.transcribe(TASK, bundle, audio, decoding, window=3.0, context=0.5)
    assert len(whole.text) > 50
    assert windowed.text == whole.text
    assert [segment.text for segment in windowed.segments] == [segment.text for segment in whole.segments]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_long_and_short_recordings(bundles: dict[str, Bundle], architecture: str) -> None:
    bundle = bundles[architecture]
    short = TASK.transcribe(bundle, noise(1.0), Decoding())
    same = TASK.predict(bundle, batch_of(bundle, [None], [1.0]), Decoding())[0]
    assert short == same
    long = TASK.transcribe(bundle, noise(70.0), Decoding(timestamps="segment"))
    assert long.duration == 70.0
    assert long.segments[-1].end > 60.0
    assert TASK.transcribe(bundle, noise(0.01), Decoding()).duration == pytest.approx(0.01)


def test_workers_need_no_model(bundles: dict[str, Bundle]) -> None:
    import pickle

    bundle = bundles["parakeet_ctc"]
    light = pickle.loads(pickle.dumps(bundle.replace(model=None)))
    batch = TASK.collate([TASK.features(utterance("ab"), noise(1.0), light)], light)
    assert batch["frames"].tolist() == [25]
    assert TASK.loss(bundle, batch)[0].item() > 0
