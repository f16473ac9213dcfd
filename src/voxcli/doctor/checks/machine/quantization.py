"""M003: bitsandbytes and its native library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class BitsandbytesUnusable:
    """bitsandbytes is installed and cannot be used: it does not import, or its native library does not load.

    Why: `[quantization]` and the 8-bit optimizers are computed by it. It brings one native library for each CUDA it
    knows, picks one by torch's CUDA version, and where that one does not load it imports all the same and fails in the
    first step. Where it does not import at all, `import peft` dies with it, and with that LoRA of any kind.

    Repair: a version of bitsandbytes that knows torch's CUDA; unset BNB_CUDA_VERSION, which overrides the choice.

    Sources: bitsandbytes 0.50, cextension.py (choice of the library, ErrorHandlerMockBNBNativeLibrary);
    huggingface.co/docs/bitsandbytes, "Installation". Measured here: peft 0.21 imports bitsandbytes wherever it exists.
    """

    code: ClassVar[str] = "M003"
    name: ClassVar[str] = "bitsandbytes-unusable"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error where peft falls with it."""
        imports = context.machine.imports
        one, torch = imports.get("bitsandbytes"), imports.get("torch")
        if one is None or torch is None or torch.failure is not None:
            return
        who = f"bitsandbytes {one.version or ''}".strip()
        reinstall = "`pip install --upgrade --force-reinstall --no-deps bitsandbytes`"
        if one.failure is not None:
            if one.failure.missing == "bitsandbytes" or _falls_with(one.failure.packages):
                return  # M011, or M002
            fallen = [
                other.name
                for other in imports.values()
                if other is not one and other.failure is not None and "bitsandbytes" in other.failure.packages
            ]
            message = f"{who} cannot be imported: {one.failure.message}"
            if fallen:
                message += f"; with it die {', '.join(fallen)}"
            yield Finding("error" if fallen else "warning", message, f"{reinstall}, or `pip uninstall bitsandbytes`")
            return
        facts = torch.facts
        if not one.facts["native"]:
            said = " ".join(str(one.facts["said"]).split())
            yield Finding(
                "warning",
                f"the native library of {who} does not load: [quantization] and 8-bit optimizers fail"
                + (f" ({said})" if said else ""),
                f"{reinstall}; `python -m bitsandbytes` says more",
            )
        elif facts.get("available") and not one.facts["gpu"]:
            yield Finding(
                "warning",
                f"{who} has no library for the GPU: [quantization] and 8-bit optimizers fail there",
                f"{reinstall}; it has to know CUDA {facts.get('cuda')}, torch's; `python -m bitsandbytes` says more",
            )


def _falls_with(packages: tuple[str, ...]) -> bool:
    from voxcli.doctor.machine.facts import COMPANIONS

    return bool(set(packages) & set(COMPANIONS))
