"""Rooms: how long they ring, where the direct sound is, how loud the rest."""

from __future__ import annotations

import numpy as np
import pytest

from voxcli.audio.reverberation import SOUND, Room, audible, direct, response, reverberation_time

RATE = 16000


def room(*size: float, distance: float = 1.0) -> Room:
    source = np.asarray([1.0, 1.2, 1.5])
    return Room(np.asarray(size), source, source + np.asarray([distance, 0.0, 0.0]))


@pytest.mark.parametrize("t60", [0.3, 0.6, 1.2])
@pytest.mark.parametrize("size", [(4.0, 3.0, 2.5), (9.0, 7.0, 3.5)])
def test_a_room_rings_as_long_as_it_was_asked_to(t60: float, size: tuple[float, float, float]) -> None:
    made = response(room(*size), t60, RATE, np.random.default_rng(0))
    assert reverberation_time(made, RATE) == pytest.approx(t60, rel=0.15)


def test_the_direct_sound_is_first_and_takes_its_time() -> None:
    made = response(room(6, 5, 3, distance=2.0), 0.4, RATE, np.random.default_rng(0))
    assert direct(made) == round(2.0 / SOUND * RATE)
    assert made[direct(made)] == pytest.approx(1.0, rel=0.1)
    assert not made[: direct(made)].any()


def test_nearer_is_drier() -> None:
    def ratio(distance: float) -> float:
        made = response(room(6, 5, 3, distance=distance), 0.5, RATE, np.random.default_rng(0)).astype(np.float64)
        at = direct(made)
        return float(10 * np.log10(made[at] ** 2 / (made[at + 1 :] ** 2).sum()))

    assert ratio(0.3) == pytest.approx(ratio(2.4) + 20 * np.log10(8), abs=2.0)


def test_a_response_is_cut_to_what_is_heard() -> None:
    clicks = np.zeros(RATE, dtype=np.float32)
    clicks[400], clicks[900], clicks[2000] = 1.0, 0.3, 1e-5
    heard = audible(clicks)
    assert len(heard) == 501
    assert heard[[0, 500]].tolist() == [1.0, np.float32(0.3)]
    assert len(audible(np.zeros(100, dtype=np.float32))) == 0
    assert np.isnan(reverberation_time(np.ones(1, dtype=np.float32), RATE))
