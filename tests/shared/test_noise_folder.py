"""A real folder of noise with a table of labels: what is chosen, and the ratio that comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from voxcli.augment.noise import Noise
from voxcli.augment.recordings import files_in

NOISE = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared")) / "data/noise"
pytestmark = pytest.mark.skipif(not NOISE.is_dir(), reason=f"{NOISE} is not here")


def test_labels_choose_and_the_ratio_holds() -> None:
    counts = {label: len(files_in(NOISE, (label,))) for label in ("music", "noise", "animal", "ambience")}
    assert counts == {"music": 36, "noise": 12, "animal": 11, "ambience": 11}
    speech = (0.1 * np.random.default_rng(0).standard_normal(32000)).astype(np.float32)
    for label in counts:
        noise = Noise(root=NOISE, labels=(label,), snr_db=(5.0, 5.0), voices=(1, 3))
        assert list(noise.findings()) == []
        rest = noise(speech, 16000, np.random.default_rng(1)) - speech.astype(np.float64)
        assert 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(rest**2)) == pytest.approx(5.0, abs=0.05)
