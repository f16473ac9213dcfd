"""Each rule of the contract is broken by a component that does just that, and is found with the right words."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from voxcli.contract import Report, examine
from voxcli.contract.rules import RULES
from voxcli.testing import check_plugin, forget_plugins

FAULTY = Path(__file__).parent / "faulty"

FOUND: dict[str, dict[str, tuple[str, ...]]] = {
    "faulty_keys.py": {
        "component/class-undocumented": ("augmentation/undocumented", "no docstring"),
        "component/key-undocumented": ("augmentation/silent", "the key mode"),
        "component/unit-missing": ("augmentation/unitless", "the key delay"),
        "component/meaning-missing": ("augmentation/meaningless", "strongness"),
        "component/no-config": ("augmentation/ordinary", "an ordinary class"),
        "component/unknown-key-accepted": ("augmentation/lenient", "without a word"),
        "component/wrong-type-accepted": ("augmentation/loose", "mode takes"),
        "component/any-type-accepted": ("augmentation/vague", "mode takes"),
        "component/example-refused": ("augmentation/badexample", 'p is "often", expected a number'),
        "component/key-check-raises": ("augmentation/crashing", "KeyError", "faulty_keys.py:"),
        "component/findings": ("augmentation/talking", "it yields str"),
        "component/round-trip": ("augmentation/doubling", "p was 0.2 and comes back as 0.4"),
        "component/not-equal": ("augmentation/unequal", "came of one table"),
        "component/not-picklable": ("augmentation/unpicklable", "pickle"),
        "component/untried": ("augmentation/needy", "it needs the key root"),
        "component/raises": ("augmentation/failing", "ZeroDivisionError", "faulty_keys.py:"),
        "component/name": ("augmentation/Snake_Case", "Snake_Case"),
        "component/name-taken": ("augmentation/noise", "voxcli itself has"),
        "component/target": ("augmentation/gone", "has no attribute 'Gone'"),
        "component/no-summary": ("augmentation/quiet", "without a summary"),
    },
    "faulty_augmentations.py": {
        "augmentation/p": ("augmentation/noshare", "p is 3.0"),
        "augmentation/form": ("augmentation/wide", "float64"),
        "augmentation/not-finite": ("augmentation/infinite", "silence"),
        "augmentation/input-changed": ("augmentation/inplace", "others after the call", "(and 8 more of the kind)"),
        "augmentation/not-deterministic": ("augmentation/counting", "the second time"),
        "augmentation/draws-elsewhere": ("augmentation/global", "the generator of random has moved"),
        "augmentation/longer-than-said": ("augmentation/longer", "becomes 1.100 s, longest says 0.100 s"),
        "augmentation/times-lost": ("augmentation/longer", "no `scales_time`"),
        "augmentation/shorter-than-said": ("augmentation/shorter", "expected 0.100 s at least"),
        "augmentation/bound": ("augmentation/boundless", "longest(0.1) is inf"),
        "augmentation/short-clip": ("augmentation/fragile", "1 samples: it raises ValueError: too short"),
        "augmentation/idle": ("augmentation/idle", "the clip is changed"),
        "augmentation/blend": ("augmentation/mixing", "it returns (array("),
        "plugin/heavy-import": ("plugin", "numpy by vox_plugin_faulty_augmentations:"),
    },
    "faulty_datasets.py": {
        "dataset/utterance-form": ("dataset/rows", "it yields dict"),
        "dataset/no-utterances": ("dataset/empty", "no split"),
        "dataset/ids-repeat": ("dataset/alike", "'same'"),
        "dataset/order-changes": ("dataset/shuffled", "the train split"),
        "dataset/listing-reads-audio": ("dataset/curious", "one.wav"),
        "dataset/split-missing": ("dataset/strict", "utterances('validation') raises DataError"),
        "dataset/splits-present": ("dataset/promising", "it names train, test; listed: train"),
        "dataset/audio-unreadable": ("dataset/deaf", "gone.wav does not exist"),
        "dataset/audio-form": ("dataset/integers", "int16 of shape (16000,)"),
        "dataset/audio-not-picklable": ("dataset/lambdas", "pickle"),
        "dataset/duration-too-long": ("dataset/overlong", "ends at 1000.000 s of 1.000 s"),
        "dataset/fingerprint": ("dataset/restless", "the second time"),
        "dataset/columns-differ": ("dataset/columnar", "other rows"),
    },
    "faulty_decoders.py": {
        "decoder/emissions": ("decoder/late", "start=500"),
        "decoder/certain-text": ("decoder/deaf", "are read as 'o'"),
        "decoder/blanks-written": ("decoder/talkative", "1 blank frames become"),
        "decoder/not-deterministic": ("decoder/moody", "the second time"),
        "decoder/input-changed": ("decoder/writing", "after the call"),
    },
    "faulty_engines.py": {
        "engine/unknown-model": ("engine/welcoming", "opens something"),
        "engine/attributes": ("engine/rateless", "sampling_rate is None"),
        "engine/answers": ("engine/skipping", "of 3 recordings there are 2 answers"),
        "engine/duration": ("engine/timeless", "it says 0 s"),
        "engine/times": ("engine/beyond", "a segment from 0 to 6.3 s of 1.3 s"),
        "engine/no-recordings": ("engine/ghostly", "there are some"),
        "engine/not-deterministic": ("engine/moody", "the second time"),
        "engine/options": ("engine/optionless", "has no keyword `options`"),
        "exporter/out": ("exporter/lost", "export-lost-whisper"),
        "exporter/writes-elsewhere": ("exporter/littering", "temporary"),
        "exporter/no-model": ("exporter/undemanding", "it exports something"),
        "exporter/ordinary": ("exporter/ordinary", "is no checkpoint"),
        "exporter/engine": ("exporter/homeless", "transformers: ModelError"),
    },
    "faulty_checks.py": {
        "check/code": ("check/ACME001", "its code is P001"),
        "check/name": ("check/ACME002", "'Fix It'"),
        "check/about": ("check/ACME003", "'weather'"),
        "check/paragraphs": ("check/ACME004", "no paragraph Why: and no Repair:"),
        "check/no-sources": ("check/ACME004", "has none"),
        "check/findings": ("check/ACME005", "'all is lost'"),
        "check/no-repair": ("check/ACME006", "warning: all is lost"),
        "check/not-deterministic": ("check/ACME007", "the second time"),
    },
    "faulty_backends.py": {
        "backend/supports": ("backend/boastful", "[train] has no magic"),
        "backend/steps": ("backend/lazy", "the log has the steps []"),
        "backend/checkpoint": ("backend/lazy", "no checkpoint"),
        "backend/weights-unchanged": ("backend/frozen", "training began with"),
        "backend/loss": ("backend/confused", "losses [None, None]"),
    },
    "faulty_models.py model/wrong": {
        "model/task": ("model/wrong-taskless", "task is 'nothing'"),
        "model/limits": ("model/wrong-negative", "stride=-1"),
        "model/limits-slow": ("model/wrong-striding", "it takes"),
        "model/limits-read-weights": ("model/wrong-weighty", "FileNotFoundError"),
        "model/missing-checkpoint": ("model/wrong-careless", "limits: it raises KeyError"),
        "model/bundle": ("model/wrong-closed", "no **loading"),
        "model/parameters-miscounted": ("model/wrong-miscounted", "108,220, the model has 10,822"),
        "model/min-duration": ("model/wrong-shortest", "(1 samples)"),
        "model/max-duration": ("model/wrong-shortest", "ValueError: too long"),
        "model/stride": ("model/wrong-striding", "10 x 320 samples more"),
    },
    "faulty_models.py task/": {
        "task/metrics": ("task/measuring", "metrics is 'wer'"),
        "task/features": ("task/listing", "it returns list"),
        "task/features-need-model": ("task/reaching", "'NoneType' object has no attribute 'config'"),
        "task/not-deterministic": ("task/moody", "the second time"),
        "task/item-not-picklable": ("task/unpicklable", "pickle"),
        "task/batch": ("task/batchless", "it returns list"),
        "task/loss-not-a-sum": ("task/mean", "the count of a batch of 3 is 1, over its rows it is 3"),
        "task/loss": ("task/alone", "it returns tensor"),
        "task/not-finite": ("task/infinite", "the sum is inf"),
        "task/no-gradient": ("task/flat", "zero or missing"),
        "task/predictions": ("task/fewer", "of 3 rows there are 2 predictions"),
        "task/transcribe": ("task/brief", "too long for me"),
        "task/problem": ("task/refusing", "I do not like it"),
        "task/draws-elsewhere": ("task/drawing", "the generator of numpy.random has moved"),
        "task/figures": ("task/figured", "1 figures, and values of shape (3, 2)"),
    },
}
MORE: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "faulty_augmentations.py": (
        ("augmentation/not-deterministic", ("augmentation/coin", "the second time")),
        ("augmentation/draws-elsewhere", ("augmentation/coin", "the generator of numpy.random has moved")),
    ),
    "faulty_datasets.py": (
        ("dataset/columns-differ", ("dataset/elsewhere", "audio, offset, duration, language of a")),
        ("dataset/columns-differ", ("dataset/fewer", "1 rows as columns, 2 as utterances")),
    ),
    "faulty_engines.py": (("component/key-undocumented", ("engine/optionless", "the key mode")),),
    "faulty_models.py task/": (
        ("task/not-deterministic", ("task/drawing", "`drawn_features` gave another item")),
        ("task/figures", ("task/doubled", "its sum is")),
    ),
}
"""Further components that break a rule."""
OF_PLUGINS = {name for name in RULES if name.startswith("plugin/")} | {"component/heavy-module"}


@pytest.mark.parametrize("source", FOUND)
def test_broken_rules_are_found(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test for each file: what its components share is made once, whichever process runs it."""
    monkeypatch.setattr("voxcli.contract.model.LONG", -1.0)  # limits in no time at all are slow
    name, _, only = source.partition(" ")
    report = examine(FAULTY / name, only=only)
    said = " ".join(report.text().split())
    missing = []
    for rule, (component, *words) in (*FOUND[source].items(), *MORE.get(source, ())):
        found = [one for one in report.remarks if (one.component, one.rule) == (component, rule.partition("/")[2])]
        for word in words:
            if not any(word in one.found for one in found) and not (found and word in said):
                missing.append(f"{rule}: {component}: {word!r}")
        assert all(one.level == RULES[rule].level for one in found)
        assert all(one.expected and (one.repair or rule == "plugin/hook-misspelled") for one in found)
    assert not missing, report.text()


def test_every_rule_has_a_component_that_breaks_it() -> None:
    assert {rule for rules in FOUND.values() for rule in rules} | OF_PLUGINS == set(RULES)


GOOD = '''
    """Half as loud."""

    from voxcli.api import config, hookimpl

    @config
    class Half:
        """Halves every sample."""

        p: float = 0.5
        """Share of the training utterances."""

        def __call__(self, audio, sampling_rate, rng):
            return audio / 2

        def longest(self, duration):
            return duration

    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "half", f"{__name__}:Half", summary="half as loud")
'''


def rules_of(found: Report) -> dict[str, str]:
    """rule -> what was found, of the plugin itself."""
    return {one.rule: one.found for one in found.remarks if one.component == "plugin"}


def test_a_plugin_without_a_fault_passes(install) -> None:
    install("vox-half", {"vox_half": GOOD})
    for name in ("vox_half", "vox-half", "half"):
        found = check_plugin(name)
        assert (found.remarks, found.distribution, found.version) == ([], "vox-half", "1.0")
    assert {one.component for one in found.tried} == {"plugin", "augmentation/half"}
    assert found.summary() == "half (vox-half 1.0): no problems"


def test_a_plugin_that_changes_everything_at_import(install, monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "VOX_CHANGED", "")  # the process that imports it here changes too
    before = """
        import json, os, sys, time
        print("hello")
        os.environ["VOX_CHANGED"] = "1"
        dumps = json.dumps
        json.dumps = lambda *given, **more: dumps(*given, **more)
        time.sleep(0.35)
        API_VERSION = 99
        """
    source = textwrap.dedent(before) + textwrap.dedent(GOOD) + "def vox_run_stop(run): ..."
    monkeypatch.setattr(json, "dumps", json.dumps)
    install("vox-loud", {"vox_loud": source}, requires=("voxcli>99",))
    found = rules_of(examine("vox_loud"))
    assert "takes 0." in found["slow-import"]
    assert "'hello'" in found["prints-at-import"]
    assert found["other-api-version"].endswith("API_VERSION = 99, and this is 1")
    assert "requires voxcli>99" in found["other-voxcli"]
    assert "vox_run_stop" in found["hook-misspelled"]
    assert found["changes-at-import"]
    with pytest.raises(AssertionError, match=r"json\.dumps was replaced"):
        check_plugin("vox_loud")


def test_a_component_in_a_heavy_module_is_a_note(install) -> None:
    register = (
        "def vox_register(registry):\n    registry.add('augmentation', 'half', 'half_sound:Half', summary='half')\n"
    )
    install("vox-halves", {"vox_halves": register, "half_sound": "    import numpy" + GOOD}, requires=("voxcli",))
    found = check_plugin("vox_halves")
    assert [(one.component, one.rule) for one in found.notes] == [
        ("plugin", "no-range"),
        ("augmentation/half", "heavy-module"),
    ]
    assert "numpy by half_sound:1" in found.notes[1].found


def test_a_component_that_changes_everything_at_import(install, monkeypatch) -> None:
    register = (
        "def vox_register(registry):\n    registry.add('augmentation', 'half', 'vox_seeds.a:Half', summary='half')\n"
    )
    before = """
        import logging, numpy, random, subprocess
        random.seed(1)
        logging.root.addHandler(logging.NullHandler())
        def check_output(*given): ...
        subprocess.check_output = check_output
        """
    monkeypatch.setattr(subprocess, "check_output", subprocess.check_output)
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    site = install("vox-seeds", {"vox_seeds": register})
    (site / "vox_seeds.py").unlink()
    (site / "vox_seeds").mkdir()
    (site / "vox_seeds" / "__init__.py").write_text(register)
    (site / "vox_seeds" / "a.py").write_text(textwrap.dedent(before) + textwrap.dedent(GOOD))
    found = {one.found for one in examine("vox_seeds").problems if one.rule == "changes-at-import"}
    assert "subprocess.check_output was replaced" in found
    assert [one for one in found if "random generator" in one or "root logger" in one]


def test_plugins_that_bring_nothing_or_fail(install) -> None:
    install("vox-none", {"vox_none": "def vox_registr(registry): ..."})
    install("vox-broken", {"vox_broken": "import gone_with_the_wind"})
    install("vox-ending", {"vox_ending": "import os, sys\nif 'pytest' not in sys.modules: os._exit(3)"})
    raising = "def vox_register(registry):\n    registry.add('augmenter', 'x', 'y:Z')\n    raise ValueError('no')\n"
    install("vox-raising", {"vox_raising": raising})
    assert set(rules_of(examine("vox_none"))) == {"registers-nothing", "hook-misspelled"}
    broken = rules_of(examine("vox_broken"))
    assert set(broken) == {"import-fails"}
    assert "No module named 'gone_with_the_wind'" in broken["import-fails"]
    assert "code 3" in rules_of(examine("vox_ending"))["crashes-at-import"]
    found = rules_of(examine("vox_raising"))
    assert "ValueError: no" in found["register-fails"]
    assert "'augmenter', which is no kind of component" in found["registration-refused"]


def test_a_module_that_no_entry_point_names(install) -> None:
    site = install("vox-else", {"vox_else": GOOD})
    (site / "loose_half.py").write_text((site / "vox_else.py").read_text())
    assert set(rules_of(examine("loose_half"))) == {"no-entry-point"}


def test_a_plugin_for_another_api_version_is_named_before_it_runs(install, vox_project, caplog) -> None:
    from voxcli.plugins.manager import manager

    vox_project()  # a cache of its own
    install("vox-old", {"vox_old": textwrap.dedent(GOOD) + "API_VERSION = 99"})
    forget_plugins()
    for _ in range(2):
        assert manager().registry.load("augmentation", "half").__name__ == "Half"
    said = [one.getMessage() for one in caplog.records if "voxcli.api" in one.getMessage()]
    expected = "plugin old (vox-old 1.0) was written for version 99 of voxcli.api, this is version 1"
    assert said == [f"{expected}: it may fail where they differ"]
    forget_plugins()
