"""A name ("rtx-3060", "T4"), a size ("8GiB") or nothing (this machine) -> the `Device` whose memory a plan is made for.

Compute capabilities are those of https://developer.nvidia.com/cuda-gpus and its legacy page; sizes are the total that
nvidia-smi shows with drivers from 510 on (ECC on where that is how the card is sold). The table was put together by
hand and checked on none of the cards; on a machine with one, `machine` asks the card itself.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from voxcli.errors import UsageError

MIB = 2**20
GIB = 2**30

VISIBLE = 0.965
"""Share of a card's total that CUDA lets programs have, where no report is known: the driver keeps the rest for itself
(2 % of an 80 GB card, 3.5 % of an RTX 4060). The lowest share of the reports in `_CARDS`."""


@dataclass(frozen=True)
class Device:
    """Memory that a training run may fill, and what its kernels depend on."""

    name: str
    total: int
    """Bytes, as nvidia-smi (cards) or the operating system (RAM) shows them."""
    usable: int
    """Bytes that one process can have, its CUDA context included. Of a device of this machine: what is free now."""
    kind: Literal["cuda", "cpu", "mps"] = "cuda"
    capability: tuple[int, int] = (8, 0)
    """CUDA compute capability; (0, 0) without CUDA."""
    here: bool = False
    """Whether it is a device of this machine, so that it can be measured."""

    @property
    def bf16(self) -> bool:
        """Whether it computes in bfloat16 natively: Ampere and later, and processors (slowly where old)."""
        return self.kind == "cpu" or self.capability >= (8, 0)

    @property
    def fp16(self) -> bool:
        """Whether mixed precision in float16 is possible: not on a processor."""
        return self.kind != "cpu"

    @property
    def flash(self) -> bool:
        """Whether scaled_dot_product_attention has its flash kernel: Ampere and later."""
        return self.kind == "cuda" and self.capability >= (8, 0)

    @property
    def half(self) -> Literal["no", "fp16", "bf16"]:
        """The value of `train.mixed_precision` to prefer: bf16 needs no loss scale."""
        return "bf16" if self.bf16 else "fp16" if self.fp16 else "no"

    @property
    def setup(self) -> Literal["cuda", "cpu"]:
        """Whose kernels a `Setup` follows for it; Apple's are counted like a processor's."""
        return "cuda" if self.kind == "cuda" else "cpu"


_CARDS: tuple[tuple[str, float, float | None, tuple[int, int]], ...] = (
    # name, MiB in nvidia-smi, GiB that CUDA reports (out-of-memory messages of users; None: VISIBLE), capability
    ("GTX 1060 6GB", 6144, 5.92, (6, 1)),
    ("GTX 1070", 8192, 7.92, (6, 1)),
    ("GTX 1070 Ti", 8192, 7.92, (6, 1)),
    ("GTX 1080", 8192, 7.92, (6, 1)),
    ("GTX 1080 Ti", 11264, 10.91, (6, 1)),
    ("GTX 1660 Ti", 6144, 5.79, (7, 5)),
    ("RTX 2060", 6144, 5.79, (7, 5)),
    ("RTX 2060 12GB", 12288, None, (7, 5)),
    ("RTX 2060 SUPER", 8192, 7.76, (7, 5)),
    ("RTX 2070", 8192, 7.76, (7, 5)),
    ("RTX 2070 SUPER", 8192, 7.76, (7, 5)),
    ("RTX 2080", 8192, 7.76, (7, 5)),
    ("RTX 2080 SUPER", 8192, 7.76, (7, 5)),
    ("RTX 2080 Ti", 11264, 10.75, (7, 5)),
    ("TITAN RTX", 24576, 23.64, (7, 5)),
    ("RTX 3050", 8192, None, (8, 6)),
    ("RTX 3050 6GB", 6144, None, (8, 6)),
    ("RTX 3060", 12288, 11.75, (8, 6)),
    ("RTX 3060 8GB", 8192, None, (8, 6)),
    ("RTX 3060 Laptop", 6144, 5.80, (8, 6)),
    ("RTX 3060 Ti", 8192, 7.76, (8, 6)),
    ("RTX 3070", 8192, 7.76, (8, 6)),
    ("RTX 3070 Ti", 8192, 7.76, (8, 6)),
    ("RTX 3070 Laptop", 8192, 7.76, (8, 6)),
    ("RTX 3080", 10240, 9.77, (8, 6)),
    ("RTX 3080 12GB", 12288, None, (8, 6)),
    ("RTX 3080 Ti", 12288, 11.75, (8, 6)),
    ("RTX 3080 Laptop", 8192, None, (8, 6)),
    ("RTX 3080 Laptop 16GB", 16384, None, (8, 6)),
    ("RTX 3090", 24576, 23.69, (8, 6)),
    ("RTX 3090 Ti", 24564, 23.69, (8, 6)),
    ("RTX 4050 Laptop", 6141, None, (8, 9)),
    ("RTX 4060", 8188, 7.72, (8, 9)),
    ("RTX 4060 Laptop", 8188, 7.72, (8, 9)),
    ("RTX 4060 Ti", 8188, 7.72, (8, 9)),
    ("RTX 4060 Ti 16GB", 16380, None, (8, 9)),
    ("RTX 4070", 12282, None, (8, 9)),
    ("RTX 4070 SUPER", 12282, None, (8, 9)),
    ("RTX 4070 Ti", 12282, None, (8, 9)),
    ("RTX 4070 Ti SUPER", 16376, None, (8, 9)),
    ("RTX 4070 Laptop", 8188, 7.72, (8, 9)),
    ("RTX 4080", 16376, None, (8, 9)),
    ("RTX 4080 SUPER", 16376, None, (8, 9)),
    ("RTX 4080 Laptop", 12282, None, (8, 9)),
    ("RTX 4090", 24564, 23.52, (8, 9)),
    ("RTX 4090 Laptop", 16376, None, (8, 9)),
    ("RTX 5060", 8151, None, (12, 0)),
    ("RTX 5060 Ti", 8151, None, (12, 0)),
    ("RTX 5060 Ti 16GB", 16311, None, (12, 0)),
    ("RTX 5070", 12227, None, (12, 0)),
    ("RTX 5070 Laptop", 8151, None, (12, 0)),
    ("RTX 5070 Ti", 16303, 15.47, (12, 0)),
    ("RTX 5080", 16303, 15.47, (12, 0)),
    ("RTX 5090", 32607, 31.36, (12, 0)),
    ("RTX 5090 Laptop", 24463, None, (12, 0)),
    ("Quadro RTX 4000", 8192, 7.79, (7, 5)),
    ("Quadro RTX 5000", 16384, 15.73, (7, 5)),
    ("Quadro RTX 6000", 24576, 23.64, (7, 5)),
    ("Quadro RTX 8000", 49152, 47.45, (7, 5)),
    ("RTX A2000", 6138, None, (8, 6)),
    ("RTX A2000 12GB", 12282, None, (8, 6)),
    ("RTX A4000", 16376, 15.61, (8, 6)),
    ("RTX A4500", 20470, None, (8, 6)),
    ("RTX A5000", 24564, 23.67, (8, 6)),
    ("RTX A6000", 49140, 47.41, (8, 6)),
    ("RTX 2000 Ada", 16380, None, (8, 9)),
    ("RTX 4000 Ada", 20475, None, (8, 9)),
    ("RTX 5000 Ada", 32760, None, (8, 9)),
    ("RTX 6000 Ada", 46068, 44.40, (8, 9)),
    ("RTX PRO 6000 Blackwell", 97887, None, (12, 0)),
    ("P4", 7680, None, (6, 1)),
    ("P40", 24576, None, (6, 1)),
    ("P100", 16384, 15.88, (6, 0)),
    ("V100 16GB", 16384, 15.77, (7, 0)),
    ("V100 32GB", 32768, 31.73, (7, 0)),
    ("T4", 15360, 14.56, (7, 5)),
    ("A2", 15356, None, (8, 6)),
    ("A10", 23028, 21.98, (8, 6)),
    ("A10G", 23028, 21.98, (8, 6)),
    ("A16", 15356, None, (8, 6)),
    ("A30", 24576, 23.50, (8, 0)),
    ("A40", 46068, 44.35, (8, 6)),
    ("A100 40GB", 40960, 39.38, (8, 0)),
    ("A100 80GB", 81920, 79.14, (8, 0)),
    ("L4", 23034, 21.95, (8, 9)),
    ("L40", 46068, 44.39, (8, 9)),
    ("L40S", 46068, 44.39, (8, 9)),
    ("H100", 81559, 79.10, (9, 0)),
    ("H100 NVL", 95830, None, (9, 0)),
    ("H200", 143771, None, (9, 0)),
    ("B200", 183359, None, (10, 0)),
    # one memory for processor and GPU: the system, about 1.5 GiB without a desktop, is taken off as well
    ("Jetson Xavier NX", 6857, 5.2, (7, 2)),
    ("Jetson Orin Nano 8GB", 7620, 5.9, (8, 7)),
    ("Jetson Orin NX 8GB", 7620, 5.9, (8, 7)),
    ("Jetson Orin NX 16GB", 15656, 13.7, (8, 7)),
    ("Jetson AGX Orin 32GB", 30697, 28.4, (8, 7)),
    ("Jetson AGX Orin 64GB", 62841, 59.8, (8, 7)),
)

CARDS: dict[str, Device] = {
    name: Device(
        name,
        total=round(mib * MIB),
        usable=int(mib * MIB * VISIBLE) if visible is None else int(visible * GIB),
        capability=capability,
    )
    for name, mib, visible, capability in _CARDS
}
"""Every known card by name."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)b?|(\d+)\s*b", re.IGNORECASE)
_NOISE = re.compile(r"nvidia|geforce|tesla|graphics|generation|gpu|sxm\d?|pcie|hbm\de?|mobile(?=$)|[^a-z0-9]")


def find(asked: str | None = None) -> Device:
    """The device that is asked for: None for this machine's, "cpu" for its processor, a card's name, or a size.

    "8GiB" and "8GB" are a card sold as that size: `VISIBLE` of it can be used. Raises `UsageError` for anything else.
    """
    from voxcli.memory import machine

    if asked is None:
        return machine.device()
    text = asked.strip()
    if text.lower() in ("cpu", "ram"):
        return machine.ram()
    if (card := known(text)) is not None:  # before sizes: "3060 Ti" could be one
        return card
    if (size := parse_size(text)) is not None:
        # cards are sold in powers of two, whatever the unit is called
        total = size if "i" in text.lower() else round(size / 10**9 * GIB)
        return Device(f"a card of {gib(total)}", total=total, usable=int(total * VISIBLE))
    close = difflib.get_close_matches(_key(text), _BY_KEY, n=3, cutoff=0.5)
    guess = "did you mean " + ", ".join(f"`{_BY_KEY[key].name}`" for key in close) + "? " if close else ""
    raise UsageError(
        f"no card is called '{asked}', and it is no size",
        help=f"{guess}a size works for every card: 8GiB; `cpu` plans for this machine's memory",
    )


def parse_size(text: str) -> int | None:
    """Bytes of "8GiB", "7.5 GB", "900M" (powers of 1000 without the i); None where it is no size."""
    if (match := _SIZE.fullmatch(text.strip())) is None:
        return None
    if match.group(3):
        return int(match.group(3))
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()])


def gib(size: float) -> str:
    """Bytes for a person, for example "7.8 GiB"; below one GiB in MiB."""
    return f"{size / GIB:.1f} GiB" if abs(size) >= GIB else f"{size / MIB:.0f} MiB"


def _key(name: str) -> str:
    return _NOISE.sub("", name.lower())


_BY_KEY = {_key(name): card for name, card in CARDS.items()}


def known(text: str) -> Device | None:
    """The card of this name, as people or drivers write it; None for no card.

    Of several sizes under one name it is the smallest, the careful choice.
    """
    key = _key(text)
    if not key:
        return None
    for prefix in ("", "rtx", "gtx", "rtxa", "quadrortx", "jetson"):
        if (card := _BY_KEY.get(prefix + key)) is not None:
            return card
        sizes = [card for name, card in _BY_KEY.items() if re.fullmatch(re.escape(prefix + key) + r"\d+gb", name)]
        if sizes:
            return min(sizes, key=lambda card: card.total)
        for length in (1, 2, 3):  # "rtx 3060 12gb", "l4 24gb": the size of the only one
            if match := re.fullmatch(rf"(.+)(\d{{{length}}})gi?b", prefix + key):
                card = _BY_KEY.get(match.group(1))
                if card is not None and abs(int(match.group(2)) - round(card.total / GIB)) <= 2:
                    return card
    return None
