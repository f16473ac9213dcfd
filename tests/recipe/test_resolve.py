from __future__ import annotations

import pytest

from voxcli.errors import RecipeError
from voxcli.recipe import render
from voxcli.recipe import resolve as resolving

pytestmark = pytest.mark.usefixtures("fakes")


@pytest.fixture
def recipe(vox_project, good, monkeypatch):
    """`recipe(text)` writes a file into a project and goes there."""

    def make(text=good, name="r.toml", **files):
        project = vox_project({name: text, **files})
        monkeypatch.chdir(project.path)
        return name

    from voxcli.testing import forget_plugins

    forget_plugins()
    yield make
    forget_plugins()


def resolve(source, overrides=()):
    """Paths that do not exist are tested on their own."""
    return resolving.resolve(source, overrides, missing="warning")


def problems(source, *overrides):
    """The text of every problem."""
    with pytest.raises(RecipeError) as raised:
        resolve(source, overrides)
    return render.findings(raised.value.findings, raised.value.places)


def test_a_recipe_becomes_components(recipe):
    made = resolve(recipe())
    assert (made.name, made.seed, made.task_name, made.model_type) == ("r", 3, "spell", "tiny")
    assert made.model.checkpoint == "someone/tiny"
    assert made.train.max_steps == 10
    assert made.train.batch_duration == 20.0
    assert made.quantization is None
    assert made.adapter is None
    assert made.filter.min_characters == 1
    assert made.evaluate.num_beams == 1
    assert type(made.data[0]).__name__ == "Words"
    assert type(made.backend).__name__ == "Loop"


def test_tables_hold_everything_and_resolve_to_the_same(recipe):
    made = resolve(recipe(), ["augment=[{type = 'hum', snr_db = [1, 2]}]"])
    assert made.tables["augment"] == [{"type": "hum", "p": 1.0, "snr_db": [1.0, 2.0], "colour": "white"}]
    assert made.tables["backend"] == {"type": "accelerate", "compile": False}
    again = resolving.resolve_tables(made.tables, missing="warning")
    assert again.tables == made.tables
    assert again.augment == made.augment


def test_decoding_takes_language_and_task_from_the_model(recipe):
    overrides = ["model.language=tr", "model.generation_task=translate", "evaluate.num_beams=4"]
    decoding = resolve(recipe(), overrides).decoding()
    assert (decoding.language, decoding.task, decoding.num_beams) == ("tr", "translate", 4)
    assert resolve("r.toml").decoding().task == "transcribe"


TEN = """
    name = "ten/faults"
    sead = 1

    [[data]]
    type = "wrods"
    root = "recordings"

    [[augment]]
    type = "hum"
    p = "0.5"
    snr_db = [20.0, 5.0, 1.0]

    [[augment]]
    type = "hum"
    snr_db = [20.0, 5.0]
    colour = "pinc"

    [model]
    type = "tiny"
    r = 8
    freeze_layers = 1.5

    [quantization]
    load_in_8bit = true
    load_in_4bit = true

    [trian]
    max_steps = 10

    [train]
    max_step = 10
    gradient_accumulation_steps = 2
    learning_rate = -1

    [evaluate]
    metrics = ["wer", "bleu"]
    num_beams = true
    """


def test_every_problem_is_told_at_once(recipe, vox_snapshot):
    vox_snapshot(problems(recipe(TEN, "ten.toml")) + "\n", "ten_faults.txt")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["~train.max_steps"], "error[R010]: the run has no length"),
        (["~train.batch_duration"], "error[R011]: batches have no size"),
        (
            ["train.per_device_train_batch_size=4"],
            "error[R011]: batch_duration and per_device_train_batch_size are both",
        ),
        (["train.weight_decay=0.1"], "error[R012]: the accelerate backend does not honour train.weight_decay"),
        (['evaluate.metrics=["bleu"]'], "error[R013]: the task has no metric 'bleu'"),
        (
            ["quantization.load_in_8bit=true"],
            "error[R015]: a quantised model has no weights to train without [adapter]",
        ),
        (
            ["quantization.load_in_8bit=true", "adapter.r=8", "quantization.load_in_4bit=true"],
            "error[R014]: load_in_8bit",
        ),
        (["adapter.r=8", "quantization.load_in_8bit=false"], "error[R014]: [quantization] quantises nothing"),
        (['augment=[{type = "hum", snr_db = [9.0, 1.0]}]'], "error[R016]: snr_db runs backwards"),
        (["filter.min_duration=5", "filter.max_duration=2"], "min_duration (5.0 s) is not below max_duration (2.0 s)"),
        (["train.learning_rate=0"], "error[R006]: train.learning_rate is 0.0, expected more than 0"),
        (["holdout.test=1.0"], "error[R006]: holdout.test is 1.0, expected 0 to below 1"),
        (["~model"], "error[R007]: no model: [model] is missing"),
        (["~data"], "error[R007]: no data: [[data]] is missing"),
        (["~model.type"], "error[R004]: [model] does not say which model it is"),
        (["~model.checkpoint"], "error[R007]: [model] tiny needs the key 'checkpoint'"),
        (["train=3"], "error[R006]: train is 3, expected a table"),
        (["data=3"], "error[R006]: data is 3, expected tables"),
        (["model.type=3"], "error[R006]: model.type is 3, expected the name of a model"),
        (["lora.r=8"], "= help: that is [adapter] here"),
        (["learning_rate=1e-4"], "= help: `learning_rate` is a key of [train]"),
        (["model.lora_alpha=8"], "= help: it is a key of [adapter]"),
        (["trian.max_steps=3"], "no section 'trian'\n  --> command line\n     | trian.max_steps=3\n"),
        (["seed=-1"], "error[R006]: seed is -1, expected a whole number from 0"),
    ],
)
def test_one_problem(recipe, change, expected):
    assert expected in problems(recipe(), *change)


def test_a_key_of_train_at_its_default_is_no_fault_of_the_backend(recipe):
    assert resolve(recipe(), ["train.weight_decay=0.0"]).train.weight_decay == 0.0


def test_single_brackets_are_told_and_the_rest_is_checked(recipe, good):
    text = problems(recipe(good.replace("[[data]]", "[data]").replace("root", "rooot")))
    assert "error[R006]: [data] is one table, expected a list" in text
    assert "= help: write [[data]]" in text
    assert "error[R005]: [[data]] words has no key 'rooot'\n  --> r.toml:6\n" in text


def test_a_component_that_cannot_be_imported_is_named(recipe, good, fakes, monkeypatch):
    from voxcli.plugins import builtin

    before = builtin.vox_register

    def register(registry):
        before(registry)
        registry.add("dataset", "gone", "vox_gone:Gone")

    monkeypatch.setattr(builtin, "vox_register", register)
    text = problems(recipe(good.replace('"words"', '"gone"')))
    assert "error[R009]: dataset 'gone' of voxcli" in text
    assert "No module named 'vox_gone'" in text


def test_a_known_package_is_named(recipe, monkeypatch):
    from voxcli.plugins import known

    monkeypatch.setattr(known, "shipped", lambda: {("augmentation", "codec"): ("vox-codec",)})
    assert "`vox plugins install vox-codec` brings" in problems(recipe(), 'augment=[{type = "codec"}]')


def test_paths_are_relative_to_the_recipe_and_then_to_the_working_directory(recipe, good, tmp_path):
    recipe(good, "recipes/r.toml")
    beside = tmp_path / "project" / "recipes" / "recordings"
    here = tmp_path / "project" / "recordings"
    assert "there is no recordings" in resolve("recipes/r.toml").warnings[0].message
    here.mkdir()
    assert resolve("recipes/r.toml").data[0].root == here
    beside.mkdir()
    made = resolve("recipes/r.toml")
    assert made.data[0].root == beside
    assert made.tables["data"][0]["root"] == str(beside)
    assert made.model.checkpoint == "someone/tiny"
    assert resolve("recipes/r.toml", ["data.0.root=recordings"]).data[0].root == here
    (here.parent / "someone" / "tiny").mkdir(parents=True)
    assert resolve("recipes/r.toml").model.checkpoint == str(here.parent / "someone" / "tiny")


def test_a_run_refuses_a_path_that_is_not_there(recipe):
    with pytest.raises(RecipeError) as raised:
        resolving.resolve(recipe(), ["augment=[]"])
    (finding,) = raised.value.findings
    assert (finding.code, finding.level, finding.path) == ("R017", "error", ("data", 0, "root"))
    assert finding.message == "data.0.root: there is no recordings"
    looked = "looked beside r.toml and in the working directory"
    assert finding.help == f"{looked}; `data.0.root=PATH` on the command line sets another"


def test_an_inherited_path_is_relative_to_the_parent(recipe, good, tmp_path):
    recipe('extends = "base/parent.toml"\n', **{"base/parent.toml": good})
    (tmp_path / "project" / "base" / "recordings").mkdir()
    assert resolve("r.toml").data[0].root == tmp_path / "project" / "base" / "recordings"


def test_an_empty_path_is_no_path(recipe):
    assert 'error[R006]: data.0.root is "", expected a path' in problems(recipe(), 'data.0.root=""')
