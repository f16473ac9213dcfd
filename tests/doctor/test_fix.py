"""`vox doctor --fix`: what is written, what is refused, and that everything else stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planted import recipe

from voxcli.testing import Project

PLUGIN = '''
    """Finds what the file `findings.json` holds, until the recipe says what it wants."""

    import json
    from pathlib import Path
    from voxcli.api import Finding, Fix, hookimpl


    class Asks:
        code, name, about = "ACME001", "asks", "{about}"

        def run(self, context):
            for one in json.loads(Path("findings.json").read_text()):
                ids = [line.partition("\\t")[0] for line in one.get("leave_out", ())]
                changes = one.get("changes", {{}}).items()
                if "{about}" == "recipe" and all(self.said(context, *pair) for pair in changes):
                    if not ids or not set(ids) & set(context.data.splits.train.ids):
                        continue
                if "{about}" == "data" and not set(ids) & set(context.data.listed("train").ids):
                    continue
                fix = Fix(one.get("changes", {{}}), tuple(one.get("leave_out", ())))
                yield Finding("warning", "asks", "give", code=one.get("code", ""), fix=fix, utterances=tuple(ids))

        def said(self, context, key, value):
            table = context.recipe.tables
            for part in key.split("."):
                table = table.get(part) if isinstance(table, dict) else None
            return table == value


    @hookimpl
    def vox_register(registry):
        registry.add("check", "ACME001", f"{{__name__}}:Asks")
    '''
ONLY = ["--only", "ACME001", "--plugin", "asks.py"]


def asking(project: Project, *findings: dict, about: str = "recipe") -> Project:
    project.write({"asks.py": PLUGIN.format(about=about), "findings.json": json.dumps(findings)})
    return project


@pytest.fixture
def project(vox_project) -> Project:
    made = vox_project()
    recipe(made)
    return made


def text(project: Project, name: str = "r.toml") -> str:
    return (project.path / name).read_text(encoding="utf-8")


COMMENTED = """
    # mine
    name = "r"          # the name

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    # small
    [model]
    type = "ctc"
    checkpoint = "ctc"

    [train]
    max_steps = 100
    batch_duration = 8.0   # s
    warmup_steps = 200     # too long
"""


def test_comments_and_layout_stay(project):
    project.write({"r.toml": COMMENTED})
    before = text(project)
    result = project.run("doctor", "r.toml", "--only", "R103", "--fix", "--yes").assert_ok()
    assert text(project) == before.replace("warmup_steps = 200     # too", "warmup_steps = 0.1     # too")
    assert "-warmup_steps = 200     # too long\n+warmup_steps = 0.1     # too long\n" in result.out
    assert result.err.count("wrote r.toml") == 1
    assert result.out.count("checks passed") == 2
    assert result.out.rstrip().endswith("1 checks passed, 0 errors, 0 warnings, 0 notes")


def test_a_dry_run_writes_nothing(project):
    project.write({"r.toml": COMMENTED})
    before = text(project)
    result = project.run("doctor", "r.toml", "--only", "R103", "--fix", "--dry-run").assert_code(2)
    assert "+warmup_steps = 0.1" in result.out
    assert "nothing is written" in result.err
    assert text(project) == before


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_it_asks(project, monkeypatch, answer, code):
    from voxcli.cli import console

    monkeypatch.setattr(console, "answers", lambda: True)
    project.write({"r.toml": COMMENTED})
    result = project.run("doctor", "r.toml", "--only", "R103", "--fix", input=answer).assert_code(code)
    assert "write r.toml? [y/N]" in result.err
    assert ("warmup_steps = 0.1" in text(project)) == (code == 0)


@pytest.mark.parametrize(
    "more", [["--fix"], ["--yes"], ["--dry-run"], ["--fix", "--json"], ["--fix", "--yes", "--report"]]
)
def test_options_that_do_not_go_together(project, more):
    result = project.run("doctor", "r.toml", *more).assert_code(2)
    assert "error" in result.err
    assert result.out == ""


def test_nothing_to_change(project):
    result = project.run("doctor", "r.toml", "--only", "R103", "--fix", "--yes").assert_ok()
    assert "nothing that --fix can change" in result.err
    assert "nothing that --fix can change" in project.run("doctor", "--only", "P", "--fix", "--yes").err


def test_utterances_are_left_out(project):
    asking(
        project, {"leave_out": ["audio/train-000.wav", "audio/train-001.wav"]}, {"leave_out": ["audio/train-000.wav"]}
    )
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert text(project, "r.exclude.txt") == "# ACME001 asks\naudio/train-000.wav\naudio/train-001.wav\n"
    assert '\n[filter]\nexclude = "r.exclude.txt"\n' in text(project)
    assert "+++ r.exclude.txt" in result.out
    assert "--- /dev/null" in result.out
    assert "wrote r.toml and r.exclude.txt" in result.err
    assert not (project.path / "r.exclude.txt").stat().st_mode & 0o111


def test_what_a_list_holds_stays(project):
    project.write({"lists/bad.txt": b"\xef\xbb\xbf# by hand\r\naudio/train-005.wav"})
    recipe(project, filter={"exclude": "lists/bad.txt"})
    before = text(project)
    asking(project, {"leave_out": ["audio/train-000.wav", "audio/train-005.wav"]})
    project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    listed = (project.path / "lists/bad.txt").read_bytes()
    assert listed == (b"\xef\xbb\xbf# by hand\r\naudio/train-005.wav\r\n# ACME001 asks\r\naudio/train-000.wav\r\n")
    assert text(project) == before


def test_a_list_that_is_not_named_is_left_alone(project):
    project.write({"r.exclude.txt": "audio/train-007.wav\n"})
    asking(project, {"leave_out": ["audio/train-000.wav"]})
    project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert text(project, "r.exclude.txt") == "audio/train-007.wav\n"
    assert 'exclude = "r.exclude-2.txt"' in text(project)


def test_of_one_split_only(project):
    asking(project, {"leave_out": ["audio/train-000.wav\ttrain"]})
    project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert text(project, "r.exclude.txt") == "# ACME001 asks\naudio/train-000.wav\ttrain\n"


@pytest.mark.parametrize(
    "filter", ["filter = { min_duration = 0.05 }", "filter.min_duration = 0.05", "[filter]\nmin_duration = 0.05"]
)
def test_ways_to_write_a_section(project, filter):
    before = text(project).replace("\n[[data]]", f"\n{filter}\n\n[[data]]", 1)
    project.write({"r.toml": before})
    asking(project, {"leave_out": ["audio/train-000.wav"]})
    project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert (
        text(project)
        .replace(', exclude = "r.exclude.txt"', "")
        .replace('filter.exclude = "r.exclude.txt"\n', "")
        .replace('exclude = "r.exclude.txt"\n', "")
        == before
    )


def test_from_another_folder_and_with_a_parent(project):
    project.write({"far/child.toml": 'extends = "../r.toml"\n[train]\nwarmup_steps = 300\n'})
    parent = text(project)
    asking(project, {"leave_out": ["audio/train-000.wav"]})
    words = ["--only", "ACME001,R103", "--plugin", "asks.py", "--fix", "--yes"]
    project.run("doctor", "far/child.toml", *words).assert_ok()
    assert text(project) == parent
    assert "warmup_steps = 0.1" in text(project, "far/child.toml")
    assert 'exclude = "child.exclude.txt"' in text(project, "far/child.toml")
    assert text(project, "far/child.exclude.txt") == "# ACME001 asks\naudio/train-000.wav\n"


def test_nothing_would_be_left(project):
    asking(project, {"leave_out": [f"audio/train-{n:03}.wav" for n in range(24)]})
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert "leaving them out would leave nothing of the training split" in result.err
    assert not (project.path / "r.exclude.txt").exists()


def test_ids_that_no_line_can_hold(project):
    asking(project, {"leave_out": ["a\nb", "# c", " d", "audio/train-000.wav"]})
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert "'a\\nb' cannot stand in a list of ids" in result.err
    assert text(project, "r.exclude.txt") == "# ACME001 asks\naudio/train-000.wav\n"


def test_two_fixes_of_one_key(project):
    asking(
        project,
        {"changes": {"train.max_steps": 200}},
        {"code": "ACME007", "changes": {"train.max_steps": 300, "train.weight_decay": 0.1}},
    )
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--dry-run").assert_ok()
    assert "ACME007 would set train.max_steps = 300, and ACME001 sets train.max_steps = 200, which stands" in result.err
    assert "+max_steps = 200" in result.out
    assert "weight_decay" not in result.out


def test_a_key_within_a_table_that_another_fix_removes(project):
    recipe(project, adapter={"type": "lora", "r": 4})
    asking(project, {"changes": {"adapter": None}}, {"code": "ACME007", "changes": {"adapter.r": 16}})
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--dry-run").assert_ok()
    assert "ACME007 would set adapter.r = 16, and ACME001 sets ~adapter, which stands" in result.err
    assert "-[adapter]" in result.out


def test_a_fix_after_which_the_recipe_would_not_resolve_is_left_out(project):
    asking(
        project, {"changes": {"train.max_steps": "many"}}, {"code": "ACME007", "changes": {"train.weight_decay": 0.1}}
    )
    result = project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_ok()
    assert 'ACME001: train.max_steps = "many" is left out: then train.max_steps is "many"' in result.err
    assert "weight_decay = 0.1" in text(project)
    assert "max_steps = 100" in text(project)


def test_changes_of_the_command_line_are_written_too(project):
    result = project.run("doctor", "r.toml", "train.warmup_steps=300", "--only", "R103", "--fix", "--yes").assert_ok()
    assert "warmup_steps = 0.1" in text(project)
    project.run(
        "doctor", "r.toml", "train.weight_decay=0.5", "train.warmup_steps=300", "--only", "R103", "--fix", "--yes"
    )
    assert "weight_decay = 0.5" in text(project)
    assert "+warmup_steps = 0.1" in result.out


def test_where_only_the_command_line_is_wrong(project):
    recipe(project, train={"warmup_steps": 0.1})
    before = text(project)
    result = project.run("doctor", "r.toml", "train.warmup_steps=300", "--only", "R103", "--fix", "--yes").assert_code(
        2
    )
    assert "r.toml has train.warmup_steps = 0.1 already: leave out what the command line changes" in result.err
    assert text(project) == before


def test_for_a_script(project):
    project.write({"r.toml": COMMENTED})
    report = json.loads(project.run("doctor", "r.toml", "--only", "R103", "--fix", "--yes", "--json").assert_ok().out)
    assert report["findings"] == []
    (written,) = report["fix"]
    assert (Path(written["file"]).name, written["written"]) == ("r.toml", True)
    assert "+warmup_steps = 0.1" in written["difference"]


def test_a_shipped_recipe_is_refused(project):
    asking(project, {"changes": {"train.weight_decay": 0.1}})
    shipped = project.run("doctor", "whisper_tr", *ONLY, "--fix", "--yes").assert_code(2)
    assert "is shipped with voxcli and stays as it is" in shipped.err


def test_a_manifest_without_a_recipe(project):
    asking(project, {"leave_out": ["audio/train-000.wav"], "changes": {"filter.max_duration": 9.0}}, about="data")
    result = project.run("doctor", "data/manifest.csv", *ONLY, "--fix", "--yes").assert_ok()
    assert text(project, "data/manifest.exclude.txt") == "# ACME001 asks\naudio/train-000.wav\n"
    assert 'a recipe leaves them out with [filter] exclude = "data/manifest.exclude.txt"' in result.err
    assert "ACME001: in a recipe, filter.max_duration = 9.0" in result.err
    again = project.run("doctor", "data/manifest.csv", *ONLY).assert_ok()
    assert "1 checks passed, 0 errors, 0 warnings" in again.out


def test_long_additions_are_cut_on_the_screen():
    from voxcli.cli.doctor_fix import shortened

    whole = "\n".join(["--- a", "+++ b", "@@ -1 +1,30 @@", *(f"+{n}" for n in range(30)), " last"])
    assert (
        shortened(whole).splitlines()[3:] == [*(f"+{n}" for n in range(20)), "  … and 10 lines more", " last", ""][:-1]
    )


def test_neither_file_is_written_where_one_cannot_be(project, monkeypatch):
    from voxcli.recipe import edit

    asking(project, {"leave_out": ["audio/train-000.wav"]})
    whole = edit.replace_file

    def refused(target, content, *, like):
        if target.name == "r.toml":
            raise PermissionError(13, "Permission denied", str(target))
        whole(target, content, like=like)

    monkeypatch.setattr(edit, "replace_file", refused)
    assert "Permission denied" in project.run("doctor", "r.toml", *ONLY, "--fix", "--yes").assert_code(1).err
    assert not (project.path / "r.exclude.txt").exists()
