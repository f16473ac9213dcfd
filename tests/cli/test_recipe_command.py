from __future__ import annotations

import json
import re
import tomllib

import pytest

from voxcli.testing import write_speech

fakes_only = pytest.mark.usefixtures("fakes")


@fakes_only
def test_check_of_a_good_recipe(vox_project, good):
    project = vox_project({"r.toml": good, "recordings/.keep": ""})
    result = project.run("recipe", "check", "r.toml").assert_ok()
    assert result.out == "r.toml: no problems (model tiny, task spell)\n"
    assert result.err == ""


@fakes_only
def test_check_warns_of_a_path_that_is_not_here(vox_project, good):
    result = vox_project({"r.toml": good}).run("recipe", "check", "r.toml").assert_ok()
    assert "warning[R017]: data.0.root: there is no recordings\n  --> r.toml:6\n   6 | root = " in result.out
    assert result.out.endswith("r.toml: no problems, 1 warning (model tiny, task spell)\n")


@fakes_only
def test_check_of_a_faulty_recipe(vox_project, good):
    project = vox_project({"r.toml": good.replace("words", "wrods").replace("max_steps", "max_step")})
    result = project.run("recipe", "check", "r.toml").assert_code(2)
    assert result.out == ""
    assert "error[R004]: no dataset is called 'wrods'\n  --> r.toml:5\n   5 | type = \"wrods\"\n" in result.err
    assert "error[R005]: [train] has no key 'max_step'\n  --> r.toml:13\n" in result.err
    assert result.err.endswith("\nr.toml has 2 problems\n")


@fakes_only
def test_check_for_a_script(vox_project, good):
    project = vox_project({"r.toml": good.replace("words", "wrods")})
    result = project.run("recipe", "check", "r.toml", "--json").assert_code(2)
    error = json.loads(result.err)["error"]
    assert error["type"] == "RecipeError"
    row = error["findings"][0]
    assert (row["code"], row["path"], row["file"], row["line"]) == ("R004", ["data", 0, "type"], "r.toml", 5)
    good_one = vox_project({"r.toml": good, "recordings/.keep": ""}).run("recipe", "check", "r.toml", "--json")
    assert json.loads(good_one.assert_ok().out) == {"name": "r", "findings": []}


@fakes_only
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("gone.toml", None, "error[R001]: there is no recipe gone.toml"),
        ("folder", {}, "error[R001]: folder is a folder, expected a TOML file"),
        ("r.toml", "", "error[R001]: r.toml is empty\n  --> r.toml\n   = help: `vox recipe new FOLDER`"),
        ("r.toml", "# nothing\n", "error[R001]: r.toml is empty"),
        ("r.toml", "a = \n", "error[R001]: r.toml is not TOML: invalid value\n  --> r.toml:1\n   1 | a =\n"),
    ],
)
def test_recipes_that_cannot_be_read(vox_project, name, content, expected):
    project = vox_project({name: content} if isinstance(content, str) else {})
    if content == {}:
        (project.path / name).mkdir()
    result = project.run("recipe", "check", name).assert_code(2)
    assert expected in result.err


@fakes_only
def test_show_says_where_each_value_was_set_and_reads_back(vox_project, good, vox_snapshot):
    project = vox_project(
        {
            "base.toml": good,
            "recordings/.keep": "",
            "r.toml": """
                extends = "base.toml"
                [text]
                replace = { "&" = " and ", "a.b" = "c" }
                [[augment]]
                type = "hum"
                p = 0.5
                [model.config]
                layers = 2
                """,
        }
    )
    arguments = ("recipe", "show", "r.toml", "train.learning_rate=3e-4")
    shown = project.run(*arguments).assert_ok().out
    vox_snapshot(
        re.sub(r'/project/recordings" +#', '/project/recordings" #', shown.replace(str(project.path), "/project")),
        "show.toml",
    )
    project.write({"again.toml": shown})
    again = project.run("recipe", "show", "again.toml", "--json").assert_ok().out
    assert json.loads(again) == json.loads(project.run(*arguments, "--json").assert_ok().out) == tomllib.loads(shown)


@fakes_only
def test_show_keeps_text_of_every_kind(vox_project, good):
    replace = {'"': "\\", "\t": "\n", "ü": "\u0001", "日本": "", "\x7f": "'"}
    table = ", ".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in replace.items())
    table = table.replace("\x7f", "\\u007f")
    project = vox_project({"r.toml": good + f"[text]\nreplace = {{ {table} }}\n"})
    shown = project.run("recipe", "show", "r.toml").assert_ok().out
    assert tomllib.loads(shown)["text"]["replace"] == replace


def test_list_shows_the_first_comment_line(vox_project):
    result = vox_project().run("recipe", "list").assert_ok()
    rows = {line.split()[1]: line.split(maxsplit=2) for line in result.out.splitlines()[1:]}
    assert rows["quickstart"][0] == "recipe"
    assert rows["whisper-lora-int8"][0] == "preset"
    assert "LoRA" in rows["whisper-lora-int8"][2]
    listed = json.loads(vox_project().run("recipe", "list", "--json").assert_ok().out)
    assert all(one["summary"] for one in listed)


@pytest.mark.parametrize("preset", ["whisper-lora-int8", "whisper-full", "ctc-full"])
def test_a_preset_needs_data_and_a_checkpoint_and_nothing_else(vox_project, preset):
    project = vox_project({"r.toml": f'extends = "{preset}"\n'})
    overrides = ('data=[{type = "sample-speech"}]', "model.checkpoint=someone/something")
    project.run("recipe", "check", "r.toml", *overrides).assert_ok()


def test_every_shipped_recipe_resolves(vox_project):
    from voxcli.recipe.shipped import shipped

    for one in shipped():
        if one.kind == "recipe":
            vox_project().run("recipe", "check", one.name).assert_ok()


@fakes_only
def test_schema_offers_each_component_by_its_type(vox_project, vox_snapshot):
    project = vox_project()
    text = project.run("recipe", "schema").assert_ok().out
    vox_snapshot(text, "schema.json")
    project.run("recipe", "schema", "--out", "vox.schema.json").assert_ok()
    assert (project.path / "vox.schema.json").read_text() == text


def test_schema_leaves_out_what_cannot_be_imported(vox_project):
    project = vox_project(
        {"gone.py": PLUGIN.format(call='registry.add("dataset", "gone", "vox_not_there:Gone", summary="")')}
    )
    schema = json.loads(project.run("recipe", "schema", "--plugin", "gone.py").assert_ok().out)
    assert "dataset.gone" not in schema["$defs"]
    assert "dataset.sample-speech" in schema["$defs"]


PLUGIN = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_register(registry):
        {call}
    """


@pytest.fixture
def corpora(tmp_path):
    """Folders of the layouts that `vox recipe new` knows."""
    import shutil

    manifest = write_speech(tmp_path / "data" / "with manifest", n=4, texts=["Yes, it is.", "No 1"])
    audio = sorted((manifest / "audio").glob("*.wav"))

    release = tmp_path / "data" / "cv-corpus" / "tr"
    (release / "clips").mkdir(parents=True)
    rows = ["client_id\tpath\tsentence\tlocale"]
    for index, path in enumerate(audio[:3]):
        shutil.copy(path, release / "clips" / f"{index}.wav")
        rows.append(f"a\t{index}.wav\tIşık var\ttr")
    (release / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    (tmp_path / "data" / "cv-validated").mkdir()
    shutil.copytree(release / "clips", tmp_path / "data" / "cv-validated" / "clips")
    shutil.copy(release / "train.tsv", tmp_path / "data" / "cv-validated" / "validated.tsv")

    libri = tmp_path / "data" / "libri" / "train-clean" / "12" / "34"
    libri.mkdir(parents=True)
    for index, path in enumerate(audio[:2]):
        shutil.copy(path, libri / f"12-34-{index:04}.wav")
    (libri / "12-34.trans.txt").write_text("12-34-0000 GOOD DAY\n12-34-0001 AND NIGHT\n")

    for label, path in zip(("yes", "no"), audio, strict=False):
        (tmp_path / "data" / "labels" / label).mkdir(parents=True)
        shutil.copy(path, tmp_path / "data" / "labels" / label / "1.wav")
    (tmp_path / "data" / "nothing").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("task", ["ctc", "seq2seq"])
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("with manifest", ['type = "manifest"', "4 train, 2 validation, 2 test", "digits", 'language = "en"']),
        ("with manifest/manifest.csv", ['type = "manifest"']),
        ("cv-corpus", ['type = "common-voice"', 'language = "tr"', "no validation and no test split", "3 train"]),
        ("cv-corpus/tr", ['type = "common-voice"', "3 train"]),
        ("cv-validated", ['splits = { train = ["validated"] }', "3 train"]),
        ("libri", ['type = "audio-folder"', "LibriSpeech-style folders, 2 train", "100 % of the texts have capitals"]),
    ],
)
def test_new_writes_a_recipe_that_checks(vox_project, corpora, folder, task, expected):
    project = vox_project()
    out = project.run("recipe", "new", corpora / folder, "--task", task, "--out", "new.toml").assert_ok()
    assert "wrote new.toml" in out.err
    text = (project.path / "new.toml").read_text()
    for part in expected:
        assert part in text
    checked = project.run("recipe", "check", "new.toml").assert_ok()
    assert "no problems (model" in checked.out


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "error: name a folder of data\n  = help: vox recipe new recordings/"),
        (
            ("labels", "--task", "seq2seq"),
            1,
            "has no transcripts (audio in folders; 2 labels: no, yes), and the task seq2seq learns text",
        ),
        (("nothing",), 1, "holds nothing that a data set reads"),
        (("gone",), 1, "there is no folder gone"),
        (("labels/yes/1.wav",), 1, "is no manifest"),
        (("cv-corpus", "--task", "sing"), 2, "there is no starter for the task 'sing'"),
        (("cv-corpus", "--out", "labels"), 2, "labels exists already"),
    ],
)
def test_new_says_what_it_cannot_do(vox_project, corpora, monkeypatch, arguments, code, expected):
    project = vox_project()
    project.path = corpora
    result = project.run("recipe", "new", *arguments).assert_code(code)
    assert expected in result.err
    assert result.out == ""
