"""The loader: what a batch holds, whatever the workers; what is skipped; where it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from voxcli.api import Bundle, Limits, Utterance, config
from voxcli.augment.gain import Gain
from voxcli.augment.noise import Noise
from voxcli.augment.speed import Speed
from voxcli.data.batches import DurationBatches
from voxcli.data.corpus import load_splits
from voxcli.data.loading import Loader
from voxcli.errors import DataError, TrainingError

RATE = 16000


@dataclass(frozen=True)
class Given:
    """A data set of utterances that are given."""

    train: tuple[Utterance, ...]

    def utterances(self, split):
        yield from self.train if split == "train" else ()


class Family:
    """A model that takes at most 2.1 s."""

    def limits(self):
        return Limits(
            sampling_rate=RATE, min_duration=0.1, max_duration=2.1, stride=1, max_label_length=None, n_parameters=0
        )


class Samples:
    """A task whose features are the samples."""

    def features(self, utterance, audio, bundle):
        assert bundle.model is None
        if utterance.text == "odd":
            raise ValueError("a clip that breaks the features")
        if utterance.text == "fatal":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"audio": torch.from_numpy(audio), "duration": utterance.duration}

    def collate(self, items, bundle):
        padded = torch.nn.utils.rnn.pad_sequence([item["audio"] for item in items], batch_first=True)
        return {"audio": padded, "durations": torch.tensor([item["duration"] for item in items])}

    def problem(self, utterance, limits, bundle):
        if utterance.duration > limits.max_duration:
            return f"{utterance.duration:.2f} s is over {limits.max_duration} s"
        return None


@config
class Strict:
    """An augmentation that raises what it is told to."""

    p: float = 1.0
    fatal: bool = False

    def __call__(self, audio, sampling_rate, rng):
        if self.fatal:
            raise DataError("the folder has gone", help="bring it back")
        raise KeyError("a bug of the plugin")

    def longest(self, duration):
        return duration


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for n in range(12):
        audio = 0.1 * random.standard_normal(int(RATE * (0.5 + 0.1 * n)))
        soundfile.write(tmp_path / f"{n}.wav", audio, RATE, subtype="FLOAT")
    return tmp_path


def table_of(folder, texts=None):
    rows = tuple(
        Utterance(id=f"u{n}", audio=folder / f"{n}.wav", text=(texts or {}).get(n, f"text {n}")) for n in range(12)
    )
    return load_splits([Given(rows)]).train


def batches_of(table, epoch=0):
    return DurationBatches(table.durations, batch_duration=4.0, batch_size=None, seed=1).epoch(epoch)


def load(table, batches, **changes):
    keys = {"task": Samples(), "bundle": Bundle(None, None, Family()), "sampling_rate": RATE, "seed": 1, "epoch": 0}
    return list(Loader(table, batches, **{**keys, **changes}))


def same(one, other):
    return len(one) == len(other) and all(
        a.ids == b.ids and a.skipped == b.skipped and all(torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors)
        for a, b in zip(one, other, strict=True)
    )


def test_a_batch_knows_what_it_holds(folder):
    table = table_of(folder)
    batches = batches_of(table)
    loaded = load(table, batches)
    assert [batch.ids for batch in loaded] == [[f"u{row}" for row in rows] for rows in batches]
    assert [batch.rows for batch in loaded] == [rows.tolist() for rows in batches]
    assert [batch.index for batch in loaded] == list(range(len(batches)))
    for batch, rows in zip(loaded, batches, strict=True):
        assert batch.audio_duration == pytest.approx(table.durations[rows].sum(), abs=1e-3)
        assert batch.padded_duration == pytest.approx(len(rows) * table.durations[rows].max(), abs=1e-3)
        assert batch.tensors["audio"].shape == (len(rows), round(table.durations[rows].max() * RATE))
        samples, _ = soundfile.read(folder / f"{rows[0]}.wav", dtype="float32")
        assert np.array_equal(batch.tensors["audio"][0][: len(samples)].numpy(), samples)


@pytest.fixture
def augment(tmp_path):
    noises = tmp_path / "noise"
    noises.mkdir()
    for n in range(3):
        soundfile.write(noises / f"{n}.wav", np.random.default_rng(n).standard_normal(8000) * 0.1, RATE)
    return (Speed(p=0.7), Noise(root=noises, p=0.6), Gain(p=0.5))


@pytest.mark.parametrize(("start_method", "num_workers"), [("fork", 2), ("spawn", 1)])
def test_workers_change_nothing(folder, augment, start_method, num_workers):
    table = table_of(folder)
    batches = batches_of(table)
    alone = load(table, batches, augment=augment)
    assert same(alone, load(table, batches, augment=augment))
    assert same(alone, load(table, batches, augment=augment, num_workers=num_workers, start_method=start_method))


def test_augmentation_differs_by_epoch_seed_and_utterance(folder, augment):
    table = table_of(folder)
    batches = [np.arange(12)]
    [first] = load(table, batches, augment=augment)
    [other_epoch] = load(table, batches, augment=augment, epoch=1)
    [other_seed] = load(table, batches, augment=augment, seed=2)
    [plain] = load(table, batches)
    lengths = [batch.tensors["durations"].tolist() for batch in (first, other_epoch, other_seed, plain)]
    assert len({tuple(row) for row in lengths}) == 4
    changed = [a != b for a, b in zip(lengths[0], lengths[3], strict=True)]
    assert any(changed)
    assert not all(changed)


def test_the_place_in_a_batch_does_not_matter(folder, augment):
    table = table_of(folder)
    [forward] = load(table, [np.arange(12)], augment=augment)
    [backward] = load(table, [np.arange(12)[::-1]], augment=augment)
    assert torch.equal(forward.tensors["audio"], backward.tensors["audio"].flip(0))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_late_start_gives_the_tail_and_reads_nothing_else(folder, augment, num_workers):
    table = table_of(folder)
    batches = batches_of(table)
    assert len(batches) > 3
    whole = load(table, batches, augment=augment)
    for row in np.concatenate(batches[:2]):
        if row not in np.concatenate(batches[2:]):
            (folder / f"{row}.wav").unlink()
    assert same(whole[2:], load(table, batches, augment=augment, start=2, num_workers=num_workers))
    assert load(table, batches, start=len(batches)) == []
    loader = Loader(
        table,
        batches,
        task=Samples(),
        bundle=Bundle(None, None, Family()),
        sampling_rate=RATE,
        seed=1,
        epoch=0,
        start=2,
    )
    assert len(loader) == len(batches) - 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_clip_that_cannot_be_used_is_skipped_with_its_reason(folder, num_workers):
    table = table_of(folder, texts={5: "odd"})
    (folder / "3.wav").write_bytes(b"RIFF no more")  # damaged after it was indexed
    (folder / "4.wav").unlink()
    [batch] = load(table, [np.arange(2, 7)], num_workers=num_workers)
    assert batch.ids == ["u2", "u6"]
    assert batch.tensors["audio"].shape[0] == 2
    reasons = dict(batch.skipped)
    assert list(reasons) == ["u3", "u4", "u5"]
    assert "3.wav" in reasons["u3"]
    assert "does not exist" in reasons["u4"]
    assert reasons["u5"] == "no features: ValueError: a clip that breaks the features"


def test_a_clip_that_augmentation_makes_too_long_is_skipped(folder):
    table = table_of(folder)
    [batch] = load(table, [np.array([0, 11])], augment=(Speed(factors=(0.7,)),))
    assert batch.ids == ["u0"]
    assert batch.skipped == [("u11", "2.29 s is over 2.1 s (after augmentation)")]


def test_a_batch_that_loses_all_takes_the_next_row(folder):
    table = table_of(folder)
    for n in (2, 3, 4):
        (folder / f"{n}.wav").unlink()
    [batch] = load(table, [np.array([2, 3])])
    assert batch.ids == ["u5"]
    assert [name for name, _ in batch.skipped] == ["u2", "u3", "u4"]
    assert batch.skipped[1][1].endswith("'u5' takes the place of its whole batch")
    [empty] = load(table, [np.array([2, 3])], refill=False)
    assert (empty.ids, empty.tensors, empty.audio_duration, len(empty.skipped)) == ([], {}, 0.0, 2)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_where_nothing_can_be_used_the_run_ends_with_the_reason(folder, num_workers):
    table = table_of(folder)
    for n in range(12):
        (folder / f"{n}.wav").unlink()
    with pytest.raises(DataError, match=r"none of 12 utterances.*'u2'.*2.wav does not exist") as caught:
        load(table, [np.array([2])], num_workers=num_workers)
    assert "Traceback" not in caught.value.message
    assert "[[data]]" in caught.value.help


def test_a_plugin_that_breaks_costs_the_clip_and_one_that_says_so_ends_the_run(folder):
    table = table_of(folder)
    with pytest.raises(DataError, match="augmentation failed: KeyError"):
        load(table, [np.arange(3)], augment=(Strict(),))
    with pytest.raises(DataError, match="the folder has gone") as caught:
        load(table, [np.arange(3)], augment=(Strict(fatal=True),), num_workers=1)
    assert caught.value.help == "bring it back"


def test_a_killed_worker_is_an_error_that_says_what_to_do(folder):
    table = table_of(folder, texts={3: "fatal"})
    with pytest.raises(TrainingError, match="worker process") as caught:
        load(table, [np.array([3])], num_workers=1)
    assert "dataloader_num_workers" in caught.value.help


def test_the_global_generator_is_left_alone(folder):
    table = table_of(folder)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load(table, batches_of(table), num_workers=1)
    assert torch.equal(before, torch.get_rng_state())


def test_ctrl_c_prints_nothing_from_the_workers(folder):
    script = textwrap.dedent(
        """
        import signal, sys, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it runs behind (&) without one
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        import numpy as np, torch
        from test_loading import Samples, Bundle, Family, Loader, RATE, table_of

        class Slow(Samples):
            def features(self, utterance, audio, bundle):
                time.sleep(0.05)
                return super().features(utterance, audio, bundle)

        table = table_of(Path(sys.argv[2]))
        batches = [np.arange(12)] * 100
        loader = Loader(
            table, batches, task=Slow(), bundle=Bundle(None, None, Family()), sampling_rate=RATE, seed=1, epoch=0,
            num_workers=2,
        )
        try:
            for batch in loader:
                print("ready", flush=True)
        except KeyboardInterrupt:
            print("stopped", flush=True)
        """
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    late = threading.Timer(60, lambda: os.killpg(process.pid, signal.SIGKILL))
    late.start()
    try:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the parent and its workers
        out, errors = process.communicate()
    finally:
        late.cancel()
    assert out.endswith("stopped\n")
    assert "Traceback" not in errors
    assert process.returncode == 0
