"""Real pip and real uv in real environments, with wheels that are built here: no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from wheels import unpack, wheel

import voxcli
from voxcli.plugins import installing

SOURCE = Path(voxcli.__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))
UV = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

TONES = '''
    from voxcli.api import config, hookimpl

    @config
    class Tones:
        """Tones of one pitch."""

        pitch: float = 440.0
        """Pitch, Hz."""

        def utterances(self, split):
            return iter(())

    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones", "vox_tones:Tones", summary="tones of one pitch")

    @hookimpl
    def vox_commands(app):
        @app.command("hum")
        def hum():
            "Hum a tone."
    '''


class Environment:
    """A virtual environment in which voxcli and its libraries are visible, and nothing else is installed."""

    def __init__(self, folder: Path, wheels: Path, *, pip: bool) -> None:
        self.folder, self.wheels = folder, wheels
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
        self.python = folder / "bin" / "python"
        self.site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        libraries = folder / "libraries"
        libraries.mkdir()
        left_out = ("vox_", "uv", "__pycache__", *(() if pip else ("pip",)))
        for entry in SITE.iterdir():
            if entry.suffix != ".pth" and (not entry.name.startswith(left_out) or entry.name.startswith("uvicorn")):
                (libraries / entry.name).symlink_to(entry)
        (self.site / "libraries.pth").write_text(f"{SOURCE}\n{libraries}\n")
        self.settings = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "VOX_"))},
            "VOX_CACHE": str(folder / "cache"),
            "VOX_CONFIG": str(folder / "config"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(wheels),
            "UV_CACHE_DIR": str(folder / "uv-cache"),
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }

    def vox(self, *arguments: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), "-m", "voxcli", "plugins", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.settings | settings,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def state(self, name: str) -> str | None:
        listed = json.loads(self.vox("list", "--json").stdout)
        return next((one["state"] for one in listed["plugins"] if one["name"] == name), None)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "vox-tones", "1.0", {"vox_tones.py": TONES})
    wheel(folder, "vox-tones", "1.1", {"vox_tones.py": TONES.replace("440", "441")})
    wheel(folder, "vox-choir", "1.0", {"vox_choir.py": "from voxcli.api import hookimpl\n"}, needs=["vox-tones"])
    wheel(folder, "vox-torn", "1.0", {"vox_torn.py": "import vox_no_such_module\n"})
    wheel(folder, "vox-far", "1.0", {"vox_far.py": ""}, needs=["vox-tones==9"])
    wheel(folder, "plain-library", "1.0", {"plain_library.py": "x = 1\n"}, points=None)
    return folder


@pytest.fixture(scope="module")
def of_pip(tmp_path_factory, wheels):
    return Environment(tmp_path_factory.mktemp("pip") / "env", wheels, pip=True)


@pytest.fixture(scope="module")
def of_uv(tmp_path_factory, wheels):
    made = Environment(tmp_path_factory.mktemp("uv") / "env", wheels, pip=False)
    (made.folder / "tools").mkdir()
    if UV is None:
        pytest.skip("uv is not installed")
    (made.folder / "tools" / "uv").symlink_to(UV)
    made.settings["PATH"] = f"{made.folder / 'tools'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return made


def test_a_plugin_is_installed_shown_and_uninstalled_with_pip(of_pip):
    done = of_pip.vox("install", "vox-tones==1.0")
    assert f"running: {of_pip.python} -m pip install vox-tones==1.0\n" in done.stderr
    assert "Successfully installed vox-tones-1.0" in done.stderr
    assert done.stdout.splitlines() == [
        "vox-tones 1.0 is installed",
        "  dataset  tones    tones of one pitch",
        "  command  vox hum  Hum a tone.",
    ]
    found = json.loads(of_pip.vox("info", "vox-tones", "--json").stdout)
    assert (found["installer"], found["editable"], found["version"]) == ("pip", False, "1.0")
    (plugin,) = found["plugins"]
    (component,) = plugin["components"]
    assert component["keys"] == [
        {"name": "pitch", "values": "number", "default": "440.0", "required": False, "help": "Pitch, Hz."}
    ]

    assert "vox-tones 1.1 is installed" in of_pip.vox("install", "vox-tones", "--upgrade").stdout

    refused = of_pip.vox("uninstall", "tones", code=2)
    assert "uninstall asks first, and nobody is there to answer" in refused.stderr
    assert of_pip.state("tones") == "ok"
    assert of_pip.vox("uninstall", "tones", "--yes").stdout == "uninstalled vox-tones 1.1\n"
    assert of_pip.state("tones") is None


def test_what_came_as_a_dependency_is_held_until_it_is_asked_for(of_pip):
    done = of_pip.vox("install", "vox-choir")
    assert "vox-tones came with it and is held" in done.stdout
    assert of_pip.state("tones") == "held"
    assert "tones of one pitch" not in of_pip.vox("list").stdout
    asked = of_pip.vox("install", "vox-tones").stdout
    assert "vox-tones 1.1 was installed already" in asked
    assert "dataset  tones" in asked
    assert of_pip.state("tones") == "ok"
    done = of_pip.vox("uninstall", "vox-tones", "--yes")
    assert "warning: vox-choir needs vox-tones" in done.stderr
    of_pip.vox("uninstall", "vox-choir", "--yes")


def test_uv_installs_where_there_is_no_pip(of_uv):
    done = of_uv.vox("install", "vox-choir")
    uv = of_uv.folder / "tools" / "uv"
    assert f"running: {uv} pip install --python {of_uv.python} vox-choir\n" in done.stderr
    assert "vox-choir 1.0 is installed\n" in done.stdout
    assert "vox-tones came with it and is held" in done.stdout
    assert of_uv.state("tones") == "held"
    of_uv.vox("uninstall", "choir", "vox-tones", "--yes")
    assert of_uv.state("tones") is None
    assert "no index has a package called vox-nope" in of_uv.vox("install", "vox-nope", code=1).stderr
    assert "there is no vox-tones==9" in of_uv.vox("install", "vox-tones==9", code=1).stderr
    assert "vox-far needs vox-tones==9" in of_uv.vox("install", "vox-far", code=1).stderr


def test_failures_are_said_in_one_line_with_a_repair(of_pip, wheels):
    assert "no index has a package called vox-nope" in of_pip.vox("install", "vox-nope", code=1).stderr
    broken = of_pip.vox("install", str(wheels / "vox_torn-1.0-py3-none-any.whl"), code=1)
    assert "plugin torn is broken: ModuleNotFoundError: No module named 'vox_no_such_module'" in broken.stdout
    no_plugin = of_pip.vox("install", "plain-library", code=1)
    assert "plain-library 1.0 is installed, and is no plugin" in no_plugin.stdout
    of_pip.vox("uninstall", "torn", "--yes")


BACKEND = """
    import base64, hashlib, pathlib, zipfile

    def build_editable(folder, settings=None, metadata=None):
        info, here = "vox_mine-0.1.dist-info", pathlib.Path(__file__).parent
        files = {
            "vox_mine.pth": str(here / "src"),
            f"{info}/METADATA": "Metadata-Version: 2.1\\nName: vox-mine\\nVersion: 0.1\\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: here\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            f"{info}/entry_points.txt": "[voxcli]\\nmine = vox_mine\\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
        name = "vox_mine-0.1-py3-none-any.whl"
        with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        return name
    """


def test_a_folder_is_installed_so_that_its_edits_count(of_uv, tmp_path):
    source = tmp_path / "mine"
    (source / "src").mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "building"\nbackend-path = ["."]\n'
        '[project]\nname = "vox-mine"\nversion = "0.1"\n'
    )
    (source / "building.py").write_text(textwrap.dedent(BACKEND))
    code = source / "src" / "vox_mine.py"
    code.write_text(textwrap.dedent(TONES.replace("vox_tones", "vox_mine")))
    tool = of_uv.folder / "tools" / "uv"
    said = of_uv.vox("install", "-e", str(source), "--upgrade", "--dry-run").stdout
    assert said == f"{tool} pip install --python {of_uv.python} --upgrade -e {source}\n"
    assert of_uv.state("mine") is None

    assert "  dataset  tones    tones of one pitch" in of_uv.vox("install", "-e", str(source)).stdout
    found = json.loads(of_uv.vox("info", "mine", "--json").stdout)
    assert (found["editable"], found["source"], found["code"]) == (True, str(source), str(code))
    code.write_text(code.read_text().replace("tones of one pitch", "edited"))
    assert "edited" in of_uv.vox("info", "mine").stdout
    of_uv.vox("uninstall", "mine", "--yes")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install"], "install what?"),
        (["install", "lm"], "'lm' is what a plugin brings"),
        (["install", "voxcli"], "voxcli is no plugin of its own"),
        (["uninstall", "voxcli"], "voxcli is no plugin of its own"),
        (["uninstall", "numpy"], "no plugin is called 'numpy'"),
        (["uninstall", "vox-tons"], "no plugin is called 'vox-tons'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(vox_project, arguments, said):
    assert said in vox_project().run("plugins", *arguments).assert_code(2).err


def test_neither_pip_nor_uv(of_uv):
    refused = of_uv.vox("install", "vox-tones", code=1, PATH="/nowhere")
    assert f"there is no pip in {of_uv.folder}, and no uv on the PATH" in refused.stderr
    assert f"{of_uv.python} -m ensurepip" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_an_environment_that_cannot_be_written_is_said_before_anything_runs(tmp_path):
    script = (
        "import os, sys, sysconfig\n"
        "from voxcli.plugins.installing import *\n"
        "os.setuid(65534)\n"
        "sysconfig.get_path = lambda name: sys.argv[1]\n"
        "try: check_environment(Installer('uv', ('uv',)))\n"
        "except VoxError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{tmp_path} cannot be written\n", done.stderr


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (  # pip 26.3 without a network
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(\"Failed to establish a "
            "new connection: [Errno 111] Connection refused\")': /simple/vox-x/\n"
            "ERROR: Could not find a version that satisfies the requirement vox-x (from versions: none)\n",
            "the package index cannot be reached",
        ),
        (  # uv 0.13 without a network
            "error: Request failed after 3 retries in 11.5s\n  cause: Failed to fetch: http://127.0.0.1:9/simple/vox-x/\n",
            "the package index cannot be reached",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement vox-tones==9 (from versions: 1.0, 1.1)\n",
            "there is no vox-tones==9: the index has 1.0, 1.1",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement vox-tones==9 (from vox-far) "
            "(from versions: 1.0, 1.1)\n",
            "vox-far needs vox-tones==9, and there is 1.0, 1.1",
        ),
        ("ERROR: ResolutionImpossible: for help visit https://pip.pypa.io", "does not go together"),
        ("error: externally-managed-environment\n\n× This environment is externally managed", "belong to the system"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?", "needs git"),
        ("ERROR: Failed building wheel for vox-x", "cannot be built here"),
        ("/bin/sh: 1: cmake: not found\nERROR: Failed building wheel for kenlm", "cannot be built here"),
        ("something that nobody knows", "pip ended with exit code 3"),
    ],
)
def test_what_pip_and_uv_print_is_understood(printed, said):
    assert said in installing.failure(printed, 3, "pip").message


def test_what_another_needs_by_url_was_not_asked_for(tmp_path):
    brought = []
    for name, needs in (("vox-main", ["vox-dep @ file:///x/vox_dep.whl"]), ("vox-dep", ["vox-tones>=1"])):
        info = unpack(wheel(tmp_path / "wheels", name, "1.0", {f"{name}.py": ""}, needs=needs), tmp_path)
        (info / "direct_url.json").write_text('{"url": "file:///x"}')
        brought.append(PathDistribution(info))
    assert installing.from_urls(brought) == {"vox-main"}


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("vox-x", "vox-x"),
        ("Vox_X[all]>=1.0", "vox-x"),
        ("vox-x==1.*", "vox-x"),
        ("vox-x @ git+https://example.org/x", "vox-x"),
        ("wheels/vox_x-1.0-py3-none-any.whl", "vox-x"),
        ("git+https://example.org/vox-x", None),
        ("https://example.org/vox-x.tar.gz", None),
    ],
)
def test_the_name_that_a_requirement_names(requirement, name):
    assert installing.name_of(requirement) == name


def test_the_name_of_a_folder(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Vox.Mine"\n')
    assert installing.name_of(str(tmp_path)) == "vox-mine"
