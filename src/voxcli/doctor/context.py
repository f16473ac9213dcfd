"""What checks look at: a recipe, its model's config, its data, a run's log, a checkpoint, this machine.

Each part is opened when a check first asks for it, and once. Where it cannot be opened, the reason is a finding of its
own, said once, and every check that needs it ends there (`Unavailable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from voxcli.api import Bundle, Corpus, Limits, ModelFamily, Split
from voxcli.doctor.subject import Subject
from voxcli.errors import ModelError, RecipeError, VoxError
from voxcli.findings import Finding
from voxcli.progress import NULL, Progress

if TYPE_CHECKING:
    from voxcli.data.table import Table
    from voxcli.doctor.checkpoint.folder import CheckpointFolder
    from voxcli.doctor.data.utterances import Data
    from voxcli.doctor.machine.facts import Machine
    from voxcli.doctor.run.record import Record
    from voxcli.memory.cards import Device
    from voxcli.memory.predict import Prediction
    from voxcli.plugins.manager import Manager
    from voxcli.recipe.resolve import Recipe
    from voxcli.recipe.where import Key, Place

_T = TypeVar("_T")

CODES = {
    "recipe": "R100",
    "limits": "R120",
    "config": "R120",
    "skeleton": "R121",
    "data": "D100",
    "splits": "D100",
    "bundle": "R121",
    "prediction": "S100",
    "record": "T100",
    "checkpoint": "C100",
}
"""Under which code it is said that a part cannot be opened. Each has a check of that code, for its documentation."""
OF_THE_MODEL = ("R120", "R121")
"""Codes of what belongs to the recipe's `[model] checkpoint`."""


class Unavailable(Exception):
    """What a check needs cannot be had; the reason is among the context's findings, or the subject has no such part."""


@dataclass
class Context:
    """One subject and all that can be known of it."""

    subject: Subject
    overrides: tuple[str, ...] = ()
    """Changes of the recipe, as on the command line."""
    full: bool = False
    """Read all audio instead of a sample, and load weights where that says more."""
    training: bool = False
    """Whether `vox train` asks, before a run."""
    device: Device | None = None
    """What memory is predicted for (`--gpu`, `--ram`); None is this machine's."""
    progress: Progress = NULL
    findings: list[Finding] = field(default_factory=list)
    """What was found while something was opened."""
    not_looked_at: list[str] = field(default_factory=list)
    """What a check left out, and why: "the audio of 11,500 of 12,000 clips; --full reads all of it"."""
    listed: Mapping[Split, Table] = field(default_factory=dict)
    """Splits of the recipe's data that have been read already, as `Data.whole` returns them."""
    _opened: dict[str, Any] = field(default_factory=dict, repr=False)

    # -------------------------------------------------------------------------------------------------------- a recipe

    @classmethod
    def of_recipe(cls, recipe: Recipe, **settings: Any) -> Context:
        """A recipe that has been resolved already, before it is trained."""
        made = cls(Subject(("recipe",), recipe.name, recipe.path), **settings)
        made._opened["recipe"] = recipe
        return made

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe; that of a run is the one it was made with."""
        return self._once("recipe", self._recipe)

    @cached_property
    def places(self) -> dict[Key, Place]:
        """Where each key was set, of recipes that do not resolve as well."""
        recipe = self._opened.get("recipe")
        return dict(recipe.places) if recipe is not None and not isinstance(recipe, Exception) else {}

    @property
    def limits(self) -> Limits:
        """What the model can take, from its config."""
        return self._once("limits", lambda: self.recipe.model.limits())

    @property
    def config(self) -> dict[str, Any]:
        """config.json of the checkpoint that training begins with; empty for a model from random weights."""
        return self._once("config", self._config)

    @property
    def skeleton(self) -> Bundle:
        """The model with shapes and names but no weights, before adapters; made for a corpus of letters.

        Takes a second or so: not for checks that are made before training.
        """
        return self._once("skeleton", lambda: self._built(Corpus("abcdefghijklmnopqrstuvwxyz' ", ("a", "b"), 0, 0.0)))

    @property
    def bundle(self) -> Bundle:
        """The same for the recipe's own data: its processor is the one that training would use."""
        return self._once("bundle", lambda: self._built(self.data.splits.corpus))

    # ------------------------------------------------------------------------------------------------------------ data

    @property
    def data(self) -> Data:
        """The utterances of a recipe, a manifest or a folder."""

        def opened() -> Data:
            from voxcli.doctor.data.utterances import of_folder, of_recipe

            if "data" in self.subject.kinds and self.subject.path is not None:
                return of_folder(self.subject.path, self)
            made = of_recipe(self.recipe, self)
            made.read.update(self.listed)
            return made

        return self._once("data", opened)

    @property
    def prediction(self) -> Prediction:
        """What the recipe's run needs of `device`; what would fit, only where it does not fit with room to spare."""

        def made() -> Prediction:
            from voxcli.doctor.memory.prediction import Unpredicted, predicted

            try:
                return predicted(self)
            except Unpredicted as reason:
                self._tell([replace(reason.finding, code=CODES["prediction"])])
                raise Unavailable("prediction") from reason

        return self._once("prediction", made)

    # ------------------------------------------------------------------------------------- runs, checkpoints, machines

    @property
    def record(self) -> Record:
        """The log of a run of voxcli, or of the transformers Trainer."""

        def read() -> Record:
            from voxcli.doctor.run.record import of_run, of_trainer

            if self.subject.path is None or not {"run", "trainer"} & set(self.subject.kinds):
                raise Unavailable("record")
            return (of_run if "run" in self.subject.kinds else of_trainer)(self.subject.path)

        return self._once("record", read)

    @property
    def checkpoint(self) -> CheckpointFolder:
        """The folder of a trained model."""

        def opened() -> CheckpointFolder:
            from voxcli.doctor.checkpoint.folder import CheckpointFolder, converted

            if self.subject.path is None or "checkpoint" not in self.subject.kinds:
                raise Unavailable("checkpoint")
            if (runtime := converted(self.subject.path)) is not None:
                message = f"the folder holds a model for {runtime}: its files are not examined"
                help = "examine the checkpoint that it was converted from"
                self._tell([Finding("note", message, help, code=CODES["checkpoint"], where=str(self.subject.path))])
                raise Unavailable("checkpoint")
            return CheckpointFolder.open(self.subject.path)

        return self._once("checkpoint", opened)

    @property
    def machine(self) -> Machine:
        """This machine: its devices, disks and installed packages."""

        def probed() -> Machine:
            from voxcli.doctor.machine.facts import Machine

            return Machine()

        return self._once("machine", probed)

    @property
    def plugins(self) -> Manager:
        """The plugins of this process, each of them looked at."""

        def looked_at() -> Manager:
            from voxcli.plugins.manager import manager

            found = manager()
            found.wait()
            return found

        return self._once("plugins", looked_at)

    def opened(self, name: str) -> Any:
        """A part that a check has opened already; None where none has, or where it could not be."""
        found = self._opened.get(name)
        return None if isinstance(found, Unavailable) else found

    def without(self, *names: str) -> None:
        """Do without some parts that have not been opened: a check has said precisely why they cannot be."""
        for name in names:
            self._opened.setdefault(name, Unavailable(name))

    def tell(self, name: str, error: VoxError) -> None:
        """Keep why a part cannot be had, under the code of that part."""
        code = CODES.get(name.partition(" ")[0], "")
        path = ("model", "checkpoint") if code in OF_THE_MODEL else ()
        self._tell([Finding("error", error.message, error.help, code=code, path=path)])

    # ---------------------------------------------------------------------------------------------------------- inside

    def _once(self, name: str, make: Callable[[], _T]) -> _T:
        """What `make` returns, or `Unavailable`, the first time with a finding."""
        if name not in self._opened:
            try:
                self._opened[name] = make()
            except Unavailable as missing:
                self._opened[name] = missing
            except RecipeError as error:
                self._tell(error.findings or [Finding("error", error.message, error.help, code=CODES[name])])
                self.places = {**self.places, **error.places}
                self._opened[name] = Unavailable(name)
            except VoxError as error:
                self.tell(name, error)
                self._opened[name] = Unavailable(name)
        found = self._opened[name]
        if isinstance(found, Unavailable):
            raise Unavailable(*found.args) from found  # names what was missing first
        result: _T = found
        return result

    def _tell(self, findings: Iterable[Finding]) -> None:
        """Keep what has not been said: three splits of one file have one reason."""
        self.findings += [finding for finding in findings if finding not in self.findings]

    def _recipe(self) -> Recipe:
        from voxcli.recipe.resolve import resolve

        if not {"recipe", "run"} & set(self.subject.kinds) or self.subject.path is None:
            raise Unavailable("recipe")
        path = self.subject.path
        source = path / "recipe.toml" if "run" in self.subject.kinds else path
        made = resolve(source, self.overrides, missing="warning")
        self.places = dict(made.places)
        return made

    def _config(self) -> dict[str, Any]:
        from voxcli.models.checkpoint import read_config

        family: Any = self.recipe.model
        checkpoint = getattr(family, "checkpoint", None)
        try:
            return read_config(str(checkpoint)) if checkpoint else {}
        except ModelError:
            if type(family).__module__.startswith("voxcli."):
                raise
            return {}  # a plugin's checkpoint need not be one of transformers

    def _built(self, corpus: Corpus) -> Bundle:
        from voxcli.memory.shapes import without_weights

        family: ModelFamily = self.recipe.model
        with without_weights(device="cpu"):
            return family.build(corpus)
