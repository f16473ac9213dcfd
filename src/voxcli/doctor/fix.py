"""What was found -> the repairs that can be written: keys of the recipe, and a list of utterances to leave out.

Nothing is written here before `Repair.write`. A fix that does not go together with one before it, or after which the
recipe would not resolve, is left out and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxcli.api import Finding
from voxcli.data.exclude import parse
from voxcli.doctor.context import Context, Unavailable
from voxcli.doctor.examine import Report
from voxcli.doctor.leave_out import ListEdit, beside, extended, free
from voxcli.errors import RecipeError, VoxError
from voxcli.recipe.edit import Edit, edit
from voxcli.recipe.render import value_text
from voxcli.recipe.where import nearest, shown

EXCLUDE = "filter.exclude"


@dataclass(frozen=True)
class Repair:
    """What `--fix` would write."""

    edit: Edit | None = None
    """Of the recipe."""
    listed: ListEdit | None = None
    """Of the list of utterances to leave out."""
    said: tuple[str, ...] = ()
    """What cannot be written, and why; how a list is used that no recipe names."""

    def __bool__(self) -> bool:
        return self.edit is not None or self.listed is not None

    def difference(self) -> str:
        """The unified differences of both files."""
        return "\n".join(one.difference() for one in (self.edit, self.listed) if one is not None)

    def paths(self) -> list[Path]:
        """The files that would be written."""
        return [one.path for one in (self.edit, self.listed) if one is not None]

    def write(self) -> None:
        """Write both files, or neither."""
        if self.listed is not None:
            self.listed.write()
        if self.edit is not None:
            try:
                self.edit.write()
            except (OSError, VoxError):
                if self.listed is not None:
                    self.listed.undo()
                raise


def repair(report: Report) -> Repair:
    """The repairs of a report. Raises `UsageError` where the recipe is not the reader's to change."""
    fixable = [finding for finding in report.findings if finding.fix is not None]
    if not fixable:
        return Repair()
    kinds = report.context.subject.kinds
    if "data" in kinds:
        return _of_data(report, fixable)
    if "recipe" in kinds:
        return _OfRecipe(report).repair(fixable)
    said = [_by_hand(finding) for finding in fixable]
    if "run" in kinds:
        said.insert(0, "a run's own recipe is its record, and stays as it is: change the recipe that it was made from")
    return Repair(said=tuple(said))


def _by_hand(finding: Finding) -> str:
    assert finding.fix is not None
    listed = f"{len(finding.fix.leave_out)} ids into the list of [filter] exclude" if finding.fix.leave_out else ""
    what = "; ".join(part for part in (_assignments(finding.fix.changes), listed) if part)
    return f"{finding.code}: by hand in the recipe, {what}"


def _of_data(report: Report, fixable: Sequence[Finding]) -> Repair:
    """Data without a recipe: a list beside them, which `vox doctor` finds there."""
    path = report.context.subject.path
    assert path is not None
    said = [
        f"{finding.code}: in a recipe, {_assignments(finding.fix.changes)}"
        for finding in fixable
        if finding.fix is not None and finding.fix.changes
    ]
    made, more = _listed(report, fixable, beside(path), like=path)
    if made is not None:
        name = shown(made.path)
        said.append(
            f'a recipe leaves them out with [filter] exclude = "{name}"; `vox doctor` finds the list where it is'
        )
    return Repair(None, made, (*said, *more))


@dataclass
class _OfRecipe:
    """Fixes put together one by one, each tried before it is taken."""

    report: Report
    taken: dict[str, tuple[Any, Finding]] = field(default_factory=dict)
    """Key -> its new value, and whose fix that is."""
    said: list[str] = field(default_factory=list)

    def repair(self, fixable: Sequence[Finding]) -> Repair:
        context = self.report.context
        path = _file(context)
        edit(path, {}, context.overrides)  # a file that is nobody's to change is told first
        resolves = _opened(context, "recipe")
        for finding in fixable:
            if finding.fix is not None and finding.fix.changes:
                self._take(path, finding, finding.fix.changes, resolves)
        target, name = self._list_file(path)
        listed, more = _listed(self.report, fixable, target, like=path)
        changes = {key: value for key, (value, _) in self.taken.items()}
        if listed is not None and name is not None:
            changes[EXCLUDE] = name
        made = edit(path, changes, context.overrides) if changes else None
        if made is not None and not made.difference():
            self.said.append(
                f"{shown(path)} has {_assignments(changes)} already: leave out what the command line changes"
            )
            made = None
        return Repair(made, listed, (*self.said, *more))

    def _take(self, path: Path, finding: Finding, changes: Mapping[str, Any], resolves: bool) -> None:
        for key, value in changes.items():
            for other, (theirs, whose) in self.taken.items():
                if _touches(key, other) and (key != other or value != theirs):
                    self.said.append(
                        f"{finding.code} would set {_assignments({key: value})}, and {whose.code} sets "
                        f"{_assignments({other: theirs})}, which stands"
                    )
                    return
        together = {key: value for key, (value, _) in self.taken.items()} | dict(changes)
        try:
            made = edit(path, together, self.report.context.overrides)
            if resolves:
                _resolve(path, made.after)
        except RecipeError as error:
            reason = error.findings[0].message if error.findings else error.message
            self.said.append(f"{finding.code}: {_assignments(changes)} is left out: then {reason}")
        except (VoxError, LookupError, TypeError) as error:
            help = f"; {error.help}" if isinstance(error, VoxError) and error.help else ""
            self.said.append(f"{finding.code}: {_assignments(changes)} cannot be written: {error}{help}")
        else:
            self.taken |= {key: (value, finding) for key, value in changes.items()}

    def _list_file(self, path: Path) -> tuple[Path, str | None]:
        """The list's file, and the value of `[filter] exclude` where the recipe has none yet."""
        context = self.report.context
        named = self.taken[EXCLUDE][0] if EXCLUDE in self.taken else None
        if named is None and _opened(context, "recipe"):
            named = context.recipe.filter.exclude
        if named is not None:
            place = nearest(context.places, ("filter", "exclude"))
            return (place.folder if place is not None else path.parent) / Path(named).expanduser(), None
        made = free(path)
        return made, made.name


def _listed(
    report: Report, fixable: Sequence[Finding], path: Path, *, like: Path
) -> tuple[ListEdit | None, tuple[str, ...]]:
    """The list with what the fixes leave out, and what has to be said of it."""
    groups = [
        (f"{finding.code} {report.names.get(finding.code, '')}".rstrip(), finding.fix.leave_out)
        for finding in fixable
        if finding.fix is not None and finding.fix.leave_out
    ]
    if not groups:
        return None, ()
    made, impossible = extended(path, groups, like=like)
    said = [f"{line!r} cannot stand in a list of ids, one a line" for line in impossible[:3]]
    if made.after == (made.before or b""):
        return None, tuple(said)
    if _empties(report.context, made):
        return None, (*said, "leaving them out would leave nothing of the training split: nothing is listed")
    return made, tuple(said)


def _empties(context: Context, made: ListEdit) -> bool:
    """Whether the list would leave nothing to train on."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        ids = context.data.listed("train").ids
    except Unavailable:
        return False
    excluded = parse(made.after.decode("utf-8-sig").splitlines())
    gone = excluded.everywhere | excluded.of_split.get("train", frozenset())
    return len(ids) > 0 and bool(
        pc.all(pc.is_in(ids.array, value_set=pa.array(sorted(gone), type=pa.string()))).as_py()
    )


def _file(context: Context) -> Path:
    """The recipe's file."""
    path = context.subject.path or context.recipe.path
    assert path is not None
    return path


def _opened(context: Context, name: str) -> bool:
    try:
        getattr(context, name)
    except Unavailable:
        return False
    return True


def _resolve(path: Path, content: bytes) -> None:
    from voxcli.recipe.resolve import resolve

    resolve(path, missing="warning", content=content)


def _touches(key: str, other: str) -> bool:
    """Whether one of two dotted keys is the other or lies in it."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _assignments(changes: Mapping[str, Any]) -> str:
    """Changes as they would be said on the command line."""
    return ", ".join(f"~{key}" if value is None else f"{key} = {value_text(value)}" for key, value in changes.items())
