"""Packets that get lost in bursts, and what a telephone plays instead of them.

A line is good or bad, packet by packet, and a packet of a bad line is lost: Gilbert's channel (Bell System Technical
Journal 39, 1960), the case of Elliott's (42, 1963) in which a good line loses none and a bad line all. The share that
is lost and the mean length of a burst decide both probabilities of change.
"""

from __future__ import annotations

import numpy as np

HELD, SILENT = 0.010, 0.060  # s after the last packet: repeated as loud, then falling 20 % every 10 ms, to silence


def lost(n_packets: int, share: float, burst: float, rng: np.random.Generator) -> np.ndarray:
    """Which packets do not arrive, bool (n_packets,). Lengths of bursts and of what is between them are geometric.

    `share` is at most burst / (burst + 1): between two bursts there is a packet.
    """
    gone = np.zeros(n_packets, dtype=bool)
    if share <= 0 or not n_packets:
        return gone
    means = (burst * (1.0 - share) / share, burst)  # packets in a row that arrive, that are lost
    bad = rng.random() < share
    at = 0
    while at < n_packets:
        length = int(rng.geometric(min(1.0, 1.0 / means[bad])))
        gone[at : at + length] = bad
        at, bad = at + length, not bad
    return gone


def concealed(audio: np.ndarray, gone: np.ndarray, size: int, sampling_rate: int, *, repeat: bool) -> np.ndarray:
    """(N,) with lost packets of `size` samples silent, or the last one that arrived again and again, fading.

    The fading is that of ITU-T G.711 Appendix I (1999), which repeats pitch periods rather than packets: as loud for
    10 ms, then 20 % less every 10 ms, silent after 60 ms.
    """
    heard = audio.copy()
    arrived = None  # the newest packet that did
    since = 0  # samples
    for begin, missing in zip(range(0, len(audio), size), gone, strict=True):
        packet = heard[begin : begin + size]  # a view
        if not missing:
            arrived, since = packet, 0
            continue
        time = (since + np.arange(len(packet))) / sampling_rate
        packet[:] = 0.0
        if repeat and arrived is not None:
            packet[:] = arrived[: len(packet)] * np.clip((SILENT - time) / (SILENT - HELD), 0.0, 1.0)
        since += len(packet)
    return heard
