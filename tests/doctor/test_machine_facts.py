"""What is read of a machine: the odd answers of programs, file systems and libraries."""

from __future__ import annotations

import os
import sys
import time

import pytest

from voxcli.doctor.checks.machine.architecture import _covered
from voxcli.doctor.context import Context
from voxcli.doctor.machine import control_groups, gpus, importing, probing
from voxcli.doctor.machine.facts import Failure, Imported, Machine, imported
from voxcli.doctor.subject import Subject


@pytest.fixture
def tree(tmp_path):
    """`tree({"proc/meminfo": text})` -> the root of a file system."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / "root"

    return make


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """`smi(script)` puts an nvidia-smi on PATH."""

    def make(script):
        path = tmp_path / "bin" / "nvidia-smi"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return make


def found(check, **machine):
    """What a check says of a machine with these facts."""
    context = Context(Subject(("machine",), "this machine"))
    made = Machine()
    made.__dict__.update(machine)
    context._opened["machine"] = made
    return list(check.run(context))


# ------------------------------------------------------------------------------------------------------ control groups


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "250000 100000"}, 2.5),
        ({"sys/fs/cgroup/cpu.max": "no", "proc/self/cgroup": "nonsense"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 0.5),
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/cpu.max": "100000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
            },
            1.0,
        ),
        (  # the path of the host, in a container that sees its own group as the topmost
            {"proc/self/cgroup": "0::/../../x", "sys/fs/cgroup/cpu.max": "300000 100000"},
            3.0,
        ),
    ],
)
def test_the_smallest_quota_counts(tree, files, cpus):
    assert control_groups.cpus(tree({"proc/version": "", **files})) == cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"sys/fs/cgroup/memory.max": "max"}, None),
        ({"sys/fs/cgroup/memory.max": "1073741824"}, 2**30),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648"}, 2**31),
    ],
)
def test_a_limit_of_memory(tree, files, limit):
    assert control_groups.memory(tree(files)) == limit


# ---------------------------------------------------------------------------------------------------------------- GPUs


def test_two_gpus_as_nvidia_smi_tells_of_them(tree, smi):
    smi("echo 'NVIDIA A100-SXM4-80GB, 550.54.14, 81920, 1024, 8.0'\necho 'Tesla T4, 550.54.14, 15360, [N/A], 7.5'")
    seen = gpus.look(tree({"proc/version": ""}), seconds=10)
    assert seen.driver_major == 550
    assert seen.found[0] == gpus.Gpu("NVIDIA A100-SXM4-80GB", 80 * 2**30, 2**30, (8, 0))
    assert seen.found[1] == gpus.Gpu("Tesla T4", 15 * 2**30, None, (7, 5))


@pytest.mark.parametrize(
    ("script", "names", "seen"),
    [
        ('[ "$1" = -L ] && echo "GPU 0: Tesla K80 (UUID: GPU-1)" || exit 2', "a Tesla K80", "nvidia-smi"),
        ("echo '| NVIDIA-SMI 535.1 Driver Version: 535.104.05 |'", "an NVIDIA GPU", "nvidia-smi"),
        ("echo 'No devices were found'; exit 6", "an NVIDIA GPU", ""),
        ("exit 0", "an NVIDIA GPU", ""),
        ("exit 9", "an NVIDIA GPU", "nvidia-smi"),
    ],
)
def test_answers_of_other_forms(tree, smi, script, names, seen):
    smi(script)
    told = gpus.look(tree({"proc/version": ""}), seconds=10)
    assert (told.names, told.seen) == (names, seen)


def test_a_display_of_another_vendor_is_no_gpu(tree, monkeypatch):
    monkeypatch.setenv("PATH", "")
    bus = "sys/bus/pci/devices/0000:00:02.0"
    assert gpus.look(tree({f"{bus}/vendor": "0x8086\n", f"{bus}/class": "0x030000\n"}), seconds=1).seen == ""
    audio = "sys/bus/pci/devices/0000:01:00.1"
    assert gpus.look(tree({f"{audio}/vendor": "0x10de\n", f"{audio}/class": "0x040300\n"}), seconds=1).seen == ""


@pytest.mark.parametrize(
    ("capability", "archs", "covered"),
    [
        ((8, 9), ["sm_80", "sm_90"], True),  # a cubin of its major version
        ((8, 0), ["sm_86"], False),  # of a later minor version
        ((6, 1), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_90", "compute_90"], True),  # PTX is compiled when it is loaded
        ((12, 0), ["sm_90", "sm_100"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 0), [], True),  # nothing is known
    ],
)
def test_what_a_build_has_kernels_for(capability, archs, covered):
    assert _covered(capability, archs) is covered


# ----------------------------------------------------------------------------------------------------------- libraries


def test_the_first_cause_of_a_failure_is_told(tmp_path, monkeypatch):
    (tmp_path / "outer_one.py").write_text(
        "try:\n    import inner_one\nexcept OSError:\n    raise RuntimeError('later')"
    )
    (tmp_path / "inner_one.py").write_text("import ctypes\nctypes.CDLL('libabsent.so.1')")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        __import__("outer_one")
    except RuntimeError as error:
        told = importing.failure(error)
    assert told["message"].startswith("OSError: libabsent.so.1")
    assert told["packages"][-2:] == ["outer_one", "inner_one"]
    assert told["place"].endswith("inner_one.py:2")


def test_what_follows_a_crash_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "crashing_one.py").write_text("import os, sys\nprint('at the end', file=sys.stderr)\nos.abort()")
    (tmp_path / "noisy_one.py").write_text('print(\'{"name": "no"}\')')
    monkeypatch.syspath_prepend(str(tmp_path))
    told = imported([["noisy_one", "crashing_one", "json"]], seconds=30)
    assert told["noisy_one"].failure is None
    assert told["crashing_one"].failure == Failure("crashes", "killed by SIGABRT at the end")
    assert list(told) == ["noisy_one", "crashing_one"]


def test_a_command_that_hangs_is_killed_with_what_it_started():
    script = (
        "import subprocess, sys, time; subprocess.Popen(['sleep', '30']); print('here', flush=True); time.sleep(30)"
    )
    begin = time.monotonic()
    done = probing.run({"one": [sys.executable, "-c", script], "two": ["/no/such/program"]}, seconds=1.5)
    assert time.monotonic() - begin < 10
    assert (done["one"].code, done["one"].out, done["one"].ending) == (None, "here\n", "no answer")
    assert done["two"].code == 127
    assert done["two"].complaint == "/no/such/program: No such file or directory"


def of(name, message=None, *packages, missing=None):
    failure = Failure("raises", message, packages, missing) if message else None
    return Imported(name, "1.0", failure, {"available": False, "native": True, "gpu": False, "said": ""})


def imports(*them):
    return {"imports": {one.name: one for one in them}, "torch": next(one for one in them if one.name == "torch")}


def test_a_broken_torch_is_one_finding():
    from voxcli.doctor.checks.machine.companions import CompanionOfAnotherBuild
    from voxcli.doctor.checks.machine.libraries import LibraryDoesNotImport
    from voxcli.doctor.checks.machine.quantization import BitsandbytesUnusable

    machine = imports(
        of("torch", "ImportError: libcudnn.so.9", "torch"),
        of("transformers", "ImportError: libcudnn.so.9", "transformers", "torch"),
        of("bitsandbytes", "ImportError: libcudnn.so.9", "bitsandbytes", "torch"),
        of("peft", "ImportError: libcudnn.so.9", "peft", "transformers", "torch"),
        of("torchaudio", "ImportError: libcudnn.so.9", "torchaudio", "torch"),
    )
    (finding,) = found(LibraryDoesNotImport(), **machine)
    assert finding.level == "error"
    assert finding.message.startswith("torch 1.0 cannot be imported: ImportError: libcudnn.so.9; with it: transformers")
    assert found(CompanionOfAnotherBuild(), **machine) == []
    assert found(BitsandbytesUnusable(), **machine) == []


def test_what_torchaudio_takes_with_it_is_said_once():
    from voxcli.doctor.checks.machine.companions import CompanionOfAnotherBuild
    from voxcli.doctor.checks.machine.libraries import LibraryDoesNotImport

    machine = imports(
        of("torch"),
        of("transformers", "OSError: libc10_cuda.so", "transformers", "torchaudio"),
        of("peft", "OSError: libc10_cuda.so", "peft", "transformers", "torchaudio"),
        of("torchaudio", "OSError: libc10_cuda.so", "torchaudio"),
    )
    (finding,) = found(CompanionOfAnotherBuild(), **machine)
    assert finding.level == "error"
    assert finding.message.endswith("with it die transformers, peft")
    assert found(LibraryDoesNotImport(), **machine) == []


def test_a_bitsandbytes_that_peft_falls_over_is_an_error():
    from voxcli.doctor.checks.machine.libraries import LibraryDoesNotImport
    from voxcli.doctor.checks.machine.quantization import BitsandbytesUnusable

    broken = of("bitsandbytes", "OSError: libc10_cuda.so", "bitsandbytes")
    machine = imports(of("torch"), broken, of("peft", "OSError: libc10_cuda.so", "peft", "bitsandbytes"))
    (finding,) = found(BitsandbytesUnusable(), **machine)
    assert finding.level == "error"
    assert finding.message.endswith("with it die peft")
    assert found(LibraryDoesNotImport(), **machine) == []


def test_a_library_that_is_missing_is_told_by_its_requirement(monkeypatch):
    from voxcli.doctor.checks.machine.libraries import LibraryDoesNotImport
    from voxcli.doctor.checks.machine.versions import VersionOutsideRange
    from voxcli.doctor.machine import facts as machine

    real = machine.version
    monkeypatch.setattr(machine, "version", lambda name: None if name == "jiwer" else real(name))
    (finding,) = found(VersionOutsideRange())
    assert (finding.level, finding.message) == ("error", "jiwer is not installed, and voxcli needs it")
    assert finding.help == '`pip install "jiwer>=4.0"`'
    absent = of("jiwer", "ModuleNotFoundError: No module named 'jiwer'", missing="jiwer")
    assert found(LibraryDoesNotImport(), **imports(of("torch"), absent)) == []


def test_what_a_library_of_voxcli_misses_is_told(monkeypatch):
    from voxcli.doctor.checks.machine.libraries import LibraryDoesNotImport

    needs = of("datasets", "ModuleNotFoundError: No module named 'dill'", "datasets", missing="dill")
    (finding,) = found(LibraryDoesNotImport(), **imports(of("torch"), needs))
    assert finding.help == "`pip install dill`, which datasets needs"


def test_the_hub_that_answers_with_an_error_answers():
    import http.server
    import threading

    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # 501 to everything
    threading.Thread(target=server.handle_request, daemon=True).start()
    try:
        assert Machine().hub(f"http://127.0.0.1:{server.server_port}") is None
    finally:
        server.server_close()
    assert Machine().hub("no address") is not None


def test_a_gpu_of_ours_that_is_hidden_is_a_note(monkeypatch):
    from voxcli.doctor.checks.machine.gpu import GpuNotUsed

    facts = {"version": "2.9.1", "cuda": "12.8", "hip": None, "available": False, "said": []}
    seen = gpus.Gpus((gpus.Gpu("NVIDIA L4"),), "580.1", "nvidia-smi")
    machine = {"gpus": seen, "torch": Imported("torch", "2.9.1", None, facts)}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (finding,) = found(GpuNotUsed(), **machine)
    assert finding.level == "note"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    (finding,) = found(GpuNotUsed(), **machine)
    assert finding.level == "warning"
    assert "CUDA_VISIBLE_DEVICES=7" in finding.message
