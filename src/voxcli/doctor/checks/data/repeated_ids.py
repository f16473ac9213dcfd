"""D021: ids that name more than one utterance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_RENAMED = r"#[0-9]+$"


class RepeatedId:
    """One id names several utterances of a split.

    Why: results, culprits and lists of what to leave out go by id. `vox` calls the later ones 'ID#2', 'ID#3', in the
    order of the rows, so that another order in the file means other utterances.

    Repair: give each row an id of its own, or leave the column out: the path and the place name the utterance then.

    Sources: `voxcli.data.measure`; Kaldi's data directories refuse repeated utterance ids (validate_data_dir.sh).
    """

    code: ClassVar[str] = "D021"
    name: ClassVar[str] = "repeated-id"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Utterances that were renamed and are no repetition of the same audio."""
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import counted, named
        from voxcli.doctor.data.stretches import repeated

        for split in SPLITS:
            table = context.data.listed(split)
            if not len(table):
                continue
            same = repeated(table)
            others = np.flatnonzero(~(same.again | same.differ))  # the same audio twice is told elsewhere
            names = table.select(others).ids.array
            alike = pc.match_substring_regex(names, _RENAMED)
            candidates = pc.replace_substring_regex(names.filter(alike), _RENAMED, "")
            if not len(candidates):
                continue
            known = pc.is_in(candidates, value_set=table.ids.array.combine_chunks())
            renamed = others[np.flatnonzero(alike.to_numpy())[np.asarray(known.to_numpy(), dtype=np.bool_)]]
            if len(renamed):
                yield Finding(
                    "warning",
                    f"{counted(len(renamed))} of the {split} split have an id that another one has, and are called "
                    f"{table.ids[int(renamed[0])]} and so on",
                    "give each row an id of its own, or leave the id column out",
                    utterances=named(table, renamed),
                )
