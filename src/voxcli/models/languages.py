"""A language as people write it ("tr", "Turkish", "pt-BR") -> the code of a checkpoint's own table."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from voxcli.errors import ModelError


def language_code(name: str, codes: Collection[str], *, checkpoint: str = "the checkpoint") -> str:
    """The entry of `codes` that `name` means. Raises `ModelError` with close matches where there is none.

    `codes` are the bare codes of a checkpoint's generation config, for example {"en", "tr", "yue"}.
    """
    from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

    wanted = name.strip().lower().removeprefix("<|").removesuffix("|>")
    for candidate in (wanted, TO_LANGUAGE_CODE.get(wanted, ""), wanted.replace("_", "-").partition("-")[0]):
        if candidate in codes:
            return candidate
    if wanted in LANGUAGES or wanted in TO_LANGUAGE_CODE:
        raise ModelError(
            f"{checkpoint} does not know the language '{name}'",
            help=f"it knows {len(codes)}: {', '.join(sorted(codes)[:12])} …; a larger or later checkpoint may know it",
        )
    spoken = {LANGUAGES.get(code, code): code for code in codes}
    close = difflib.get_close_matches(wanted, [*codes, *spoken], n=3, cutoff=0.5)
    meant = " or ".join(
        f"`{code}` ({LANGUAGES.get(code, code)})" for code in dict.fromkeys(spoken.get(m, m) for m in close)
    )
    raise ModelError(
        f"'{name}' is no language that Whisper knows",
        help=f"did you mean {meant}?" if close else "give an ISO 639-1 code such as `tr`, or an English name",
    )
