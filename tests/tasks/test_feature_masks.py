from __future__ import annotations

import torch

from voxcli.tasks.feature_masks import mask

MASKS = {"mask_time_prob": 0.2, "mask_time_length": 5, "mask_feature_prob": 0.0, "mask_feature_length": 4}


def test_the_share_is_met_within_the_valid_frames() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([200] * 50 + [100] * 50)
    masked = mask(torch.ones(100, 200, 8), lengths, MASKS) == 0
    assert not masked[50:, 100:].any()
    assert 0.14 < masked[:50].float().mean() < 0.2  # spans may overlap
    assert 0.14 < masked[50:, :100].float().mean() < 0.2


def test_bands_of_bins() -> None:
    torch.manual_seed(0)
    masked = mask(torch.ones(200, 10, 40), torch.full((200,), 10), {**MASKS, "mask_time_prob": 0.0,
                                                                     "mask_feature_prob": 0.3}) == 0  # fmt: skip
    assert torch.equal(masked.any(1), masked.all(1))  # a band covers all frames
    assert 0.2 < masked.float().mean() < 0.3


def test_short_rows_are_left_alone_and_nothing_asked_is_nothing_done() -> None:
    features = torch.ones(2, 4, 8)
    assert torch.equal(mask(features, torch.tensor([4, 3]), MASKS), features)
    assert torch.equal(mask(features, torch.tensor([4, 3]), {}), features)


def test_the_input_is_not_changed_and_the_seed_decides() -> None:
    features, lengths = torch.ones(4, 100, 8), torch.full((4,), 100)
    torch.manual_seed(1)
    first = mask(features, lengths, MASKS)
    torch.manual_seed(1)
    assert torch.equal(first, mask(features, lengths, MASKS))
    assert not torch.equal(first, mask(features, lengths, MASKS))
    assert bool((features == 1).all())
