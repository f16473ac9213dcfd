"""`vox doctor --report`: what an issue needs, and nothing that is nobody's business."""

from __future__ import annotations

import csv
import getpass
import json
from pathlib import Path

import pytest
from planted import recipe

from voxcli.doctor.masks import SECRET, Masks
from voxcli.testing import Project

PLUGIN = """
    import os
    from voxcli.api import Finding, config, hookimpl

    @config
    class Here:
        path: str = ""
        token: str = ""
        url: str = ""

        def utterances(self, split):
            from voxcli.datasets.manifest import Manifest
            from pathlib import Path
            yield from Manifest(path=Path(self.path)).utterances(split)

    class Quotes:
        code, name, about = "ACME001", "quotes", "recipe"

        def run(self, context):
            row = next(iter(context.data.listed("train")))
            home = os.path.expanduser("~")
            yield Finding(
                "warning",
                f"'{row.text}' of {row.speaker} in {row.id} says {row.text}, 'max_steps' "
                f"with {os.environ['WANDB_API_KEY']}",
                f"look at {home}/notes.txt and {os.getcwd()}/a.txt, password=geheim99",
                utterances=(row.id,),
                where=f"{home}/deep/r.toml:3",
            )

    @hookimpl
    def vox_register(registry):
        registry.add("check", "ACME001", f"{__name__}:Quotes")
        registry.add("dataset", "here", f"{__name__}:Here")
    """
SECRETS = {
    "HF_TOKEN": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "MY_PASSWORD": "correct-horse-battery",
}
ONLY = ["--only", "ACME001", "--plugin", "acme.py", "--report"]


@pytest.fixture
def project(vox_project, tmp_path, monkeypatch) -> Project:
    home = tmp_path / "home" / "berta"
    home.mkdir(parents=True)
    (home / ".cache/huggingface").mkdir(parents=True)
    (home / ".cache/huggingface/token").write_text("opaque-token-of-the-hub")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "berta")
    monkeypatch.setenv("LOGNAME", "berta")
    monkeypatch.delenv("HF_HOME", raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    made = vox_project({"acme.py": PLUGIN})
    recipe(
        made,
        speech={"texts": ["open the green door quietly"], "speakers": ["Zelda Fitz"]},
        data=[
            {
                "type": "here",
                "path": str(made.path / "data/manifest.csv"),
                "token": "opaque-secret",
                "url": "https://berta:pw@example.org/x?token=abc123def",
            }
        ],
    )
    return made


def planted(project: Project, *more: str) -> str:
    return project.run("doctor", "r.toml", *more, *ONLY).assert_ok().out


def test_what_it_holds(project):
    text = planted(project, "train.max_steps=90")
    for expected in ("vox doctor r.toml train.max_steps=90 --report", "voxcli  ", "python  ", "torch  ", "device  "):
        assert expected in text
    for name in ("transformers", "peft", "bitsandbytes", "accelerate"):
        assert f"\n{name} " in text
    assert "warning[ACME001]" in text
    assert "   = 1 utterance\n" in text
    assert "max_steps = 90" in text
    assert "plugin        acme of acme.py" in text
    assert "0 checks passed, 0 errors, 1 warning, 0 notes" in text
    assert text.count("```") % 2 == 0


def test_no_secret_is_in_it(project):
    text = planted(project, "data.0.token=opaque-override")
    for secret in (
        *SECRETS.values(),
        "opaque-token-of-the-hub",
        "opaque-override",
        "abc123def",
        "berta:pw",
        "geheim99",
    ):
        assert secret not in text
    assert f'token = "{SECRET}"' in text


def test_no_person_and_no_folder_is_in_it(project, tmp_path):
    text = planted(project)
    assert "berta" not in text
    assert str(tmp_path) not in text
    assert str(Path.cwd()) not in text
    assert "look at ~/notes.txt and ./a.txt" in text
    assert "--> ~/deep/r.toml:3" in text
    assert 'path = "./data/manifest.csv"' in text


def test_no_transcript_no_speaker_no_id_is_in_it(project):
    with (project.path / "data/manifest.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    text = planted(project)
    assert "'<text>' of <speaker> in <utterance> says <text>" in text
    assert "'max_steps'" in text
    for told in ("open the green door", "Zelda", row["path"]):
        assert told not in text


def test_into_a_file(project):
    result = project.run("doctor", "r.toml", *ONLY, "--out", "issue.md").assert_ok()
    assert result.out == ""
    assert "wrote issue.md" in result.err
    assert (project.path / "issue.md").read_text(encoding="utf-8").startswith("### vox doctor\n")
    assert "issue.md exists already" in project.run("doctor", "r.toml", *ONLY, "--out", "issue.md").assert_code(2).err


def test_of_a_machine_and_of_a_recipe_that_does_not_resolve(project):
    text = project.run("doctor", "--only", "P", "--report").assert_ok().out
    assert "Recipe, resolved" not in text
    project.write({"bad.toml": 'name = "x"\ntoken = "opaque-at-the-top"\n'})
    text = project.run("doctor", "bad.toml", "--report").assert_code(2).out
    assert "error[R003]" in text
    assert "opaque-at-the-top" not in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("token=hf_abcdefghijklmn", f"token={SECRET}"),
        ('api_key = "x y"', f'api_key = "{SECRET}"'),
        ("max_new_tokens = 225", "max_new_tokens = 225"),
        ("trainable_token_indices = [5, 6]", "trainable_token_indices = [5, 6]"),
        ("use_auth_token = true", "use_auth_token = true"),
        ("https://me:pw@host/x", f"https://{SECRET}@host/x"),
        ("Authorization: Bearer abcdefghijk", f"Authorization: {SECRET}"),
        ("ghp_0123456789abcdefghij0123456789abcdef", SECRET),
        ("AKIAIOSFODNN7EXAMPLE", SECRET),
        ("/home/someone/data and /Users/other/x", "<path>/data and <path>/x"),
        ("C:\\Users\\someone\\x", "C:\\Users\\USER\\x"),
        ("'/mnt/client/speech/m.csv': 80/128 and/or 3 s/s /data", "'<path>/m.csv': 80/128 and/or 3 s/s /data"),
        ('path = "/mnt/my client/a b/m.csv"', 'path = "<path>/m.csv"'),
        ("in /x/.venv/lib/python3.11/site-packages/torch/a.py:3", "in <path>/torch/a.py:3"),
        ("/dev/shm has 64 MiB, see https://host/a/b", "/dev/shm has 64 MiB, see https://host/a/b"),
        ("openai/whisper-small", "openai/whisper-small"),
        ("clips/common_voice_tr_17341271_and_letters_Abc.mp3", "clips/common_voice_tr_17341271_and_letters_Abc.mp3"),
        ("the tokenizer: it has 32 tokens", "the tokenizer: it has 32 tokens"),
    ],
)
def test_masks(given, expected):
    assert Masks()(given) == expected


def test_a_user_may_be_called_like_a_word_of_recipes(monkeypatch):
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "data")
    monkeypatch.setenv("HOME", "/home/data")
    assert getpass.getuser() == "data"
    assert Masks()("[[data]] of /home/data/x") == "[[data]] of ~/x"


def test_json_is_another_output(project):
    told = json.loads(project.run("doctor", "r.toml", *ONLY, "--json").assert_code(2).err)
    assert told["error"]["message"] == "--report and --json are two outputs"
