"""Batches in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voxcli.data.loading import Batch
from voxcli.engines.ceiling import Ceiling, Size
from voxcli.train.splitting import Part, Splitter, Uncuttable, agrees, cut

LENGTHS = [3, 1, 2, 4]


def collated(lengths: list[int], **more: Any) -> dict[str, Any]:
    """As tasks write it: padded to the longest, labels one after the other."""
    inputs = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(inputs, lengths, strict=True):
        row[:length] = length
    return {
        "inputs": inputs,
        "frames": torch.tensor(lengths),
        "labels": torch.cat([torch.full((length,), length) for length in lengths]),
        "label_lengths": torch.tensor(lengths),
        **more,
    }


def batch(tensors: dict[str, Any] | None = None) -> Batch:
    return Batch(
        ids=["a", "b", "c", "d"],
        tensors=collated(LENGTHS) if tensors is None else tensors,
        audio_duration=10.0,
        padded_duration=16.0,
        rows=[10, 11, 12, 13],
    )


def again(rows: list[int]) -> Batch:
    lengths = [LENGTHS[row - 10] for row in rows]
    return Batch([("abcd")[row - 10] for row in rows], collated(lengths), 1.0, 1.0, rows=rows)


@pytest.mark.parametrize("positions", [(0, 1), (2, 3), (1,), (0, 2, 3), (3, 0)])
def test_rows_keep_their_padding_and_their_labels(positions: tuple[int, ...]) -> None:
    made = cut(collated(LENGTHS), 4, positions)
    assert made["inputs"].shape == (len(positions), 4)
    assert made["frames"].tolist() == made["label_lengths"].tolist() == [LENGTHS[at] for at in positions]
    assert made["labels"].tolist() == [LENGTHS[at] for at in positions for _ in range(LENGTHS[at])]
    assert agrees(made, collated([LENGTHS[at] for at in positions]))


def test_labels_of_one_token_each_are_cut_like_rows() -> None:
    made = cut(collated([1, 1, 1]), 3, (1, 2))
    assert made["labels"].tolist() == [1, 1]


def test_what_else_a_batch_may_hold() -> None:
    more = {
        "names": ["w", "x", "y", "z"],
        "array": np.arange(8).reshape(4, 2),
        "rate": 16000,
        "inner": {"t": torch.arange(4)},
    }
    made = cut(collated(LENGTHS, **more), 4, (1, 3))
    assert made["names"] == ["x", "z"]
    assert made["array"].tolist() == [[2, 3], [6, 7]]
    assert made["rate"] == 16000
    assert made["inner"]["t"].tolist() == [1, 3]


@pytest.mark.parametrize("value", [torch.zeros(3, 4), torch.zeros(()), [1, 2], object()])
def test_what_cannot_be_cut(value: Any) -> None:
    with pytest.raises(Uncuttable):
        cut(collated(LENGTHS, strange=value), 4, (0, 1))


@pytest.mark.parametrize("strange", [torch.tensor(4), torch.arange(4)], ids=["a total", "indices into the batch"])
def test_a_task_whose_batches_cannot_be_cut_is_collated_again(strange: torch.Tensor) -> None:
    def own(rows: list[int]) -> Batch:
        made = again(rows)
        made.tensors["strange"] = torch.arange(len(rows)) if strange.ndim else torch.tensor(len(rows))
        return made

    splitter = Splitter()
    for part in Part.whole(batch(collated(LENGTHS, strange=strange))).halves():
        made = splitter.tensors(part, own)
        assert made["inputs"].shape[0] == 2
        assert made["strange"].tolist() == ([0, 1] if strange.ndim else 2)


def test_it_is_compared_once() -> None:
    calls: list[list[int]] = []

    def counted(rows: list[int]) -> Batch:
        calls.append(rows)
        return again(rows)

    splitter = Splitter()
    whole = Part.whole(batch())
    assert splitter.tensors(whole, counted) is whole.batch.tensors
    for part in whole.halves():
        assert splitter.tensors(part, counted)["inputs"].shape == (2, 4), "its padding stays"
    assert calls == [[12, 13]]


def test_audio_that_has_gone_meanwhile_does_not_matter() -> None:
    splitter = Splitter()
    part = Part.whole(batch()).halves()[0]
    made = splitter.tensors(part, lambda rows: Batch([], {}, 0.0, 0.0))
    assert made["inputs"].shape == (2, 4)


def test_parts_below_a_ceiling() -> None:
    ceiling = Ceiling([Size(2, 4.0, 4)])
    parts = list(Part.whole(batch()).below(ceiling))
    assert [part.ids for part in parts] == [["a"], ["b"], ["c"], ["d"]]
    assert parts[0].size == Size(1, 4.0, 4)
    assert [part.ids for part in Part.whole(batch()).below(Ceiling())] == [["a", "b", "c", "d"]]
    assert Part.whole(batch()).without({"b"}).rows == [10, 12, 13]
