"""M002: torchaudio, torchvision and torchcodec beside the torch that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CompanionOfAnotherBuild:
    """torchaudio, torchvision or torchcodec was built for another torch or another CUDA and cannot be imported.

    Why: these libraries are linked to one version and one CUDA of torch, and PyPI has their CUDA builds only. Beside a
    CPU torch they miss libc10_cuda or libcudart. transformers asks whether torchaudio exists, not whether it works, so
    every import of a model or of peft dies with an OSError that names a library nobody asked for. torchvision and
    torchcodec do less harm: what reads images, or audio through `datasets`, fails; voxcli needs none of the three.

    Repair: remove it, or install the build that belongs to the torch that is there, from the same index.

    Sources: reference-scripts.md D, rows 1, 2 (vllm-tt-plugin PR 18, datasets#7707, torchcodec#912, #995, #1023);
    pytorch.org, "Get started": one index for all of them. Measured here with transformers 5.23: torchaudio ends the
    imports of Whisper, Wav2Vec2 and peft, the other two do not.
    """

    code: ClassVar[str] = "M002"
    name: ClassVar[str] = "companion-of-another-build"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error where it takes transformers or peft with it."""
        from voxcli.doctor.machine.facts import COMPANIONS

        imports = context.machine.imports
        torch = imports.get("torch")
        if torch is not None and torch.failure is not None:
            return  # M001 says so; nothing beside it can be imported
        for name in COMPANIONS:
            one = imports.get(name)
            if one is None or one.failure is None:
                continue
            fallen = [
                other.name
                for other in imports.values()
                if other.name != name and other.failure is not None and name in other.failure.packages
            ]
            build = torch.version if torch is not None else None
            message = f"{name} {one.version or ''} cannot be imported beside torch {build or ''}: {one.failure.message}"
            if fallen:
                message += f"; with it die {', '.join(fallen)}"
            yield Finding("error" if fallen else "warning", " ".join(message.split()), _help(name, build))


def _help(name: str, torch: str | None) -> str:
    build = (torch or "").partition("+")[2] or "cpu"
    return (
        f"`pip uninstall {name}`: voxcli does not need it; or the build of this torch: "
        f"`pip install --force-reinstall --no-deps {name} --index-url https://download.pytorch.org/whl/{build}`"
    )
