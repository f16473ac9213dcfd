"""A recipe that resolved: components ready to use, run settings, and where each of them was set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voxcli.api import Augmentation, Backend, Dataset, Decoder, Decoding, Finding, ModelFamily, Task
from voxcli.recipe.schema import Adapter, Evaluate, Filter, Gate, Holdout, Quantization, TextRules, Train
from voxcli.recipe.where import Key, Place


@dataclass(frozen=True)
class Stage:
    """A part of a run: a recipe of its own, and how it goes on from there."""

    name: str
    recipe: Recipe
    gate: Gate | None = None
    hand_over: Literal["last", "best"] = "last"


@dataclass(frozen=True)
class Recipe:
    """A recipe that resolved."""

    name: str
    seed: int
    path: Path | None
    """The file, or None for tables that came from elsewhere."""
    tables: dict[str, Any]
    """Every section with every key that has a value, as plain JSON-able tables; paths are absolute where they exist."""
    data: tuple[Dataset, ...]
    weights: tuple[float, ...]
    """How often an epoch takes from each data set, compared with the others."""
    filter: Filter
    text: TextRules
    holdout: Holdout
    augment: tuple[Augmentation, ...]
    model: ModelFamily
    model_type: str
    task: Task
    task_name: str
    quantization: Quantization | None
    adapter: Adapter | None
    backend: Backend
    train: Train
    evaluate: Evaluate
    stages: tuple[Stage, ...] = ()
    """The parts that it is trained in, where it has any: this recipe is then that of the last one, but for `tables`,
    which holds them all."""
    decoder: Decoder | None = None
    """What reads the frames of a CTC model; None: the most probable class of each."""
    warnings: tuple[Finding, ...] = ()
    """What is worth telling and stops nothing."""
    places: Mapping[Key, Place] = field(default_factory=dict, repr=False, compare=False)
    """Where each key of `tables` was set; keys without a place are defaults."""

    @property
    def parts(self) -> tuple[Recipe, ...]:
        """What is trained, one after the other: the recipes of the stages, or this one."""
        return tuple(stage.recipe for stage in self.stages) or (self,)

    def decoding(self) -> Decoding:
        """How text is produced: `[evaluate]`, and the language and task that the model's table names."""
        model = self.tables["model"]
        translates = "translate" in (model.get("task"), model.get("generation_task"))
        return Decoding(
            num_beams=self.evaluate.num_beams,
            max_new_tokens=self.evaluate.max_new_tokens,
            no_repeat_ngram_size=self.evaluate.no_repeat_ngram_size,
            language=model.get("language"),
            task="translate" if translates else "transcribe",
            decoder=self.tables.get("decoder"),
        )
