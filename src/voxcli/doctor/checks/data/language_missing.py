"""D017: utterances for which nobody says a language that the model knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    import numpy as np

    from voxcli.doctor.context import Context


class LanguageUnknown:
    """A multilingual Whisper has to learn utterances whose language nobody says, or that it has no token for.

    Why: its labels begin with a language token. Without one there is no label, and `vox train` leaves the utterance
    out.

    Repair: `[model] language`, or a language column in the data.

    Sources: arXiv 2212.04356, figure 1.
    """

    code: ClassVar[str] = "D017"
    name: ClassVar[str] = "language-unknown"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where neither the recipe nor the checkpoint names a language for all."""
        import numpy as np

        from voxcli.api import Utterance
        from voxcli.doctor.data.languages import groups
        from voxcli.doctor.data.rows import named, of
        from voxcli.tasks.whisper_prompt import is_multilingual, label_language

        if context.recipe.task_name != "seq2seq" or getattr(context.recipe.model, "language", None) is not None:
            return
        if getattr(context.recipe.model, "form", "whisper") != "whisper":
            return  # no language stands in its labels
        tokenizer = context.bundle.processor.tokenizer
        if not is_multilingual(tokenizer):
            return
        table = context.data.used("train")
        vocabulary = tokenizer.get_vocab()
        wrong, names = [], []
        for language, rows in groups(table, None):
            asked = Utterance(id="", audio=_unread, text="", language=language)
            code = label_language(asked, None, tokenizer)
            if code is None or f"<|{code}|>" not in vocabulary:
                wrong.append(rows)
                names.append(language or "none")
        if not wrong:
            return
        rows = np.sort(np.concatenate(wrong))
        whole = len(rows) == len(table)
        yield Finding(
            "error" if whole else "warning",
            f"{of(len(rows), len(table))} of the train split have no language that the model knows "
            f"({', '.join(names[:5])})",
            "set [model] language, or a language column in the data",
            path=("model", "language"),
            utterances=named(table, rows),
            fix=None if whole else Fix(leave_out=context.data.leave_out("train", table, rows)),
        )


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("stands for no audio")
