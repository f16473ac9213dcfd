"""A name that is not there is answered with the package that has it, or with what keeps that package from running."""

from __future__ import annotations

import pytest
from wheels import unpack, wheel

from voxcli.plugins import choices, known
from voxcli.protocols import KINDS

pytestmark = pytest.mark.usefixtures("fakes")

RECIPE = """
    [[data]]
    type = "words"
    root = "recordings"

    [[augment]]
    type = "phone-line"

    [model]
    type = "tiny"
    checkpoint = "someone/tiny"

    [train]
    max_steps = 10
    batch_duration = 60.0
    """
LINE = """
    from voxcli.api import config, hookimpl

    @config
    class Line:
        p: float = 1.0

        def __call__(self, audio, sampling_rate, rng):
            return audio

        def longest(self, duration):
            return duration

    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "phone-line", "vox_telephone:Line")

    @hookimpl
    def vox_commands(app):
        @app.command("ring")
        def ring():
            "Ring."
    """


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(site, name="vox-phones", source=LINE, **settings):
    module = name.replace("-", "_")
    files = {f"{module}.py": source.replace("vox_telephone", module)}
    return unpack(wheel(site.parent / "wheels", name, "1.0", files), site, **settings)


def check(project, *arguments):
    return project.run("recipe", "check", "r.toml", *arguments)


@pytest.fixture
def project(vox_project):
    return vox_project({"r.toml": RECIPE, "recordings/.keep": ""})


def test_what_is_shipped_names_kinds_and_packages():
    for (kind, name), distributions in known.shipped().items():
        assert kind in (*KINDS, known.COMMAND)
        assert name == name.lower()
        assert all(one.startswith("vox-") for one in distributions)
    assert known.shipped()["decoder", "lm"] == ("vox-lm",)


def test_a_recipe_names_the_package_that_is_not_installed(project):
    err = check(project).assert_code(2).err
    assert "error[R004]: no augmentation is called 'phone-line'" in err
    assert "`vox plugins install vox-telephone` brings the augmentation 'phone-line'." in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["transcribe", "a.wav", "--engine", "ctranslate2", "--model", "m"], "vox-ctranslate2` brings the engine"),
        (["export", "m", "--to", "onnx"], "vox-onnx` brings the exporter 'onnx'"),
        (["speak", "hello"], "vox-speecht5` brings the command 'speak'"),
        (["lm", "build"], "vox-lm` brings the command 'lm'"),
        (["plugins", "info", "phone-line"], "vox-telephone` brings the augmentation 'phone-line'"),
        (["plugins", "info", "augmentation/phone-line"], "vox-telephone` brings the augmentation"),
        (["plugins", "info", "vox-lm"], "vox-lm`"),
    ],
)
def test_so_does_every_other_place(vox_project, arguments, said):
    project = vox_project({"a.wav": b"", "m/.keep": ""})
    assert f"`vox plugins install {said}" in project.run(*arguments).assert_code(2).err


def test_an_unknown_command_that_nobody_brings_is_a_slip(vox_project):
    assert "No such command 'trian'. Did you mean 'train'?" in vox_project().run("trian").assert_code(2).err


def test_one_that_is_installed_is_not_installed_again(project, site):
    info = install(site)
    check(project).assert_ok()
    choices.disable("vox-phones")
    said = check(project).assert_code(2).err
    assert "plugin phones 1.0 is disabled (you disabled it): `vox plugins enable vox-phones`" in said
    assert project.run("ring").assert_code(2).err.count("is disabled") == 1
    choices.enable("vox-phones")
    check(project).assert_ok()
    said = check(project, "augment.0.type=phone-lime").assert_code(2).err
    assert "did you mean `phone-line`?" in said

    (info / "REQUESTED").unlink()
    choices.path().unlink()
    said = check(project).assert_code(2).err
    assert "plugin phones 1.0 is held" in said
    assert "`vox plugins enable vox-phones`" in said


@pytest.fixture
def _of_phones(monkeypatch):
    monkeypatch.setattr(known, "shipped", lambda: {("augmentation", "phone-line"): ("vox-phones",)})


@pytest.mark.usefixtures("_of_phones")
def test_one_that_is_broken_is_named_with_its_reason(project, site):
    install(site, "vox-phones", "import vox_no_such_module\n")
    said = check(project).assert_code(2).err
    assert "plugin phones 1.0 is broken (ModuleNotFoundError: No module named 'vox_no_such_module')" in said
    assert "`vox plugins install --upgrade vox-phones`, or `vox plugins uninstall vox-phones`" in said
    assert "` brings" not in said


@pytest.mark.usefixtures("_of_phones")
def test_one_that_has_another_version_is_upgraded(project, site):
    install(site, "vox-phones", "x = 1\n")
    said = check(project).assert_code(2).err
    assert "vox-phones 1.0 is installed and has no augmentation 'phone-line': `vox plugins install --upgrade" in said


def test_plugins_tell_of_other_packages(project, site):
    source = """
        from voxcli.api import hookimpl

        @hookimpl
        def vox_register(registry):
            registry.known("augmentation", "phone-booth", "vox-booth")
        """
    install(site, "vox-teller", source)
    said = check(project, "augment.0.type=phone-booth").assert_code(2).err
    assert "`vox plugins install vox-booth` brings the augmentation 'phone-booth'" in said


def test_the_locked_version_is_the_one_to_install(project):
    (project.path / "vox-plugins.lock").write_text(
        'version = 1\n[[plugin]]\nname = "vox-telephone"\nversion = "0.3"\nhash = "sha256:aa"\n'
    )
    said = check(project, "--locked").assert_code(2).err
    assert "`vox plugins install vox-telephone==0.3` brings the augmentation 'phone-line'" in said
