"""What is right, in ways that are easily taken for faults, is not accused."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from voxcli.contract import Report, examine
from voxcli.contract.documentation import _unit
from voxcli.testing import forget_plugins

FAIR = '''
    import dataclasses, wave
    from pathlib import Path

    from voxcli.api import Utterance, config, hookimpl
    from voxcli.errors import DataError


    class Kept:
        def __call__(self, audio, sampling_rate, rng):
            return audio.copy()

        def longest(self, duration):
            return duration


    @config
    class Shown(Kept):
        """Has a key that is called as its examples would be."""

        p: float = 1.0
        """Share of the utterances."""
        example: bool = True
        """Whether one is shown."""


    @config
    class Counted(Kept):
        """Computes a field."""

        p: float = 1.0
        """Share of the utterances."""
        twice: float = dataclasses.field(default=0.0, init=False)

        def __post_init__(self):
            object.__setattr__(self, "twice", 2 * self.p)


    @config
    class Unpacking:
        """Writes its recordings when it is listed."""

        def utterances(self, split):
            if split == "train":
                path = Path(FOLDER) / "a.wav"
                with wave.open(str(path), "wb") as file:
                    file.setparams((1, 2, 16000, 0, "NONE", ""))
                    file.writeframes(bytes(32000))
                yield Utterance(id="a", audio=path, text="a")


    @config
    class Telugu:
        """Of one alphabet."""

        def check(self, alphabet):
            raise DataError("it has no letter of mine")

        def decode(self, log_probabilities, alphabet):
            return [][1]


    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "shown", f"{__name__}:Shown", summary="fair")
        registry.add("augmentation", "counted", f"{__name__}:Counted", summary="fair")
        registry.add("dataset", "unpacking", f"{__name__}:Unpacking", summary="fair")
        registry.add("decoder", "telugu", f"{__name__}:Telugu", summary="fair")
    '''


@pytest.fixture
def report(tmp_path: Path) -> Report:
    file = tmp_path / "fair.py"
    file.write_text(textwrap.dedent(FAIR).replace("FOLDER", repr(str(tmp_path))))
    return examine(file)


def test_what_is_right_is_not_accused(report: Report) -> None:
    assert report.problems == [], report.text()
    assert [(one.component, one.found) for one in report.untried] == [
        ("decoder/telugu", report.untried[0].found),
    ]
    assert "it has no letter of mine" in report.untried[0].found


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("loudness", "In LUFS."),
        ("gain", "Up to so many LU."),
        ("level", "In dBFS."),
        ("level", "In dBA."),
        ("size", "In MiB."),
        ("size", "At most, in megabytes."),
        ("memory", "TiB of the disk."),
        ("bitrate", "In kbps."),
        ("interval", "In days."),
        ("period", "Weeks between two of them."),
        ("shift", "In cents."),
        ("shift", "In radians."),
        ("delay", "In µs."),
        ("delay", "In ns."),
        ("distance", "In mm."),
        ("cutoff", "In kilohertz."),
        ("frequency", "In GHz."),
        ("level", "In Pa."),
        ("frequency", "In rpm."),
        ("compression_level", "Of FLAC, 0 to 8: higher is smaller and slower."),
        ("effort", "0 to 8: higher is smaller."),
    ],
)
def test_units_are_recognised(name: str, about: str) -> None:
    found: list[Any] = []

    class Bench:
        def remark(self, *given: Any) -> None:
            found.append(given)

    _unit(Bench(), None, name, about)  # type: ignore[arg-type]
    assert found == []


def test_tasks_and_engines_of_other_plugins_are_found(install, vox_project) -> None:
    vox_project()  # a cache of its own
    task = """
        from voxcli.api import hookimpl
        from voxcli.tasks.ctc import CTCTask

        class Speaking(CTCTask):
            pass

        @hookimpl
        def vox_register(registry):
            registry.add("task", "text-to-speech", f"{__name__}:Speaking", summary="a task")
        """
    family = '''
        from typing import ClassVar

        from voxcli.api import config, hookimpl
        from voxcli.models.ctc import CTC

        @config
        class Voice(CTC):
            """A family of another plugin's task."""

            task: ClassVar[str] = "text-to-speech"

        @hookimpl
        def vox_register(registry):
            registry.add("model", "voice", f"{__name__}:Voice", summary="a family")
        '''
    exporter = '''
        from typing import ClassVar

        from voxcli.api import config, hookimpl
        from voxcli.errors import ModelError

        @config
        class Far:
            """For an engine that is not installed."""

            engine: ClassVar[str] = "far-away"

            def export(self, checkpoint, out):
                if not (checkpoint / "config.json").is_file():
                    raise ModelError(f"{checkpoint} is no checkpoint")
                (out / "model.bin").write_bytes(b"0")
                return out

        @hookimpl
        def vox_register(registry):
            registry.add("exporter", "far", f"{__name__}:Far", summary="an exporter")
        '''
    install("vox-speaking", {"vox_speaking": task})
    install("vox-voice", {"vox_voice": family})
    install("vox-far", {"vox_far": exporter})
    forget_plugins()
    try:
        found = examine("vox_voice", only="model/")
        assert [one for one in found.problems if one.rule != "heavy-import"] == [], found.text()
        assert "clips of the least and of the greatest length" in {one.what for one in found.tried}
        found = examine("vox_far")
        assert found.problems == [], found.text()
        assert {one.found for one in found.untried} == {"no engine is called 'far-away'"}
    finally:
        forget_plugins()
