"""A recipe's tables in, components and run settings out; or every problem at once, each with its place and its repair.

Relative paths are decided in `recipe.paths`, what fits together in `recipe.consistency`, the codes are in
`recipe.problems`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Finding
from voxcli.errors import PluginError, RecipeError, VoxError
from voxcli.recipe import combinations, consistency, paths, schema, stages
from voxcli.recipe.load import Tables, finish, load
from voxcli.recipe.problems import Missing, Problems
from voxcli.recipe.recipe import Recipe
from voxcli.recipe.schema import CORE, OPTIONAL, SECTIONS, homes_of
from voxcli.recipe.validate import defaults, validate, value
from voxcli.recipe.weights import WEIGHT, check_weight, weights_of
from voxcli.recipe.where import Key, dotted, shown

if TYPE_CHECKING:
    from voxcli.plugins.registry import Registry

OTHER_NAMES = {  # what other toolkits call it
    "lora": "adapter",
    "peft": "adapter",
    "bitsandbytes": "quantization",
    "optimizer": "train",
    "trainer": "train",
    "training_arguments": "train",
    "decoding": "evaluate",
    "generation": "evaluate",
    "preprocessing": "text",
    "validation": "holdout",
    "stages": "stage",
}
DEFAULT_BACKEND = "accelerate"
DEFAULT_SEED = 0


def resolve(
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    registry: Registry | None = None,
    missing: Missing = "error",
    content: bytes | None = None,
) -> Recipe:
    """Resolve a recipe's file, or a shipped recipe by its name. Raises `RecipeError` with every finding.

    Paths that do not exist here are refused, as a run has to; with `missing="warning"` they are in `Recipe.warnings`.
    `content` is taken for the file's own where it is given.
    """
    problems = Problems(missing)
    tables = load(source, overrides, problems, content=content)
    path = next((place.path for key, place in tables.places.items() if not key), None)
    return _made(tables, problems, registry, path)


def resolve_tables(
    tables: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    registry: Registry | None = None,
    missing: Missing = "error",
) -> Recipe:
    """Resolve tables that stand in no file, for example those of a run. Raises `RecipeError` with every finding."""
    problems = Problems(missing)
    plain = Tables(copy.deepcopy(dict(tables)))
    for name in ("extends", "unset"):
        if plain.values.pop(name, None) is not None:
            problems.add("R002", f"`{name}` needs a file to start from", "resolve a file instead", (name,))
    return _made(finish(plain, overrides, problems), problems, registry, None)


def _made(tables: Tables, problems: Problems, registry: Registry | None, path: Path | None) -> Recipe:
    """A recipe, or one in stages."""
    if stages.SECTION not in tables.values:
        return _Resolution(tables, problems, registry, path).recipe()
    made = stages.resolved(tables, problems, lambda one, found: _Resolution(one, found, registry, path))
    if made is None:
        raise _Resolution(tables, problems, registry, path).error()
    return made


class _Resolution:
    """One recipe on its way from tables to components."""

    def __init__(self, tables: Tables, problems: Problems, registry: Registry | None, path: Path | None) -> None:
        self.tables = tables
        self.values = tables.values
        self.problems = problems
        self.path = path
        self.classes: dict[str, type] = {}
        if registry is None:
            from voxcli.plugins.manager import manager

            registry = manager().registry
        self.registry = registry

    def recipe(self) -> Recipe:
        self._unknown_sections()
        name, seed = self._name(), self._seed()
        core = {section: self._core(section, cls) for section, cls in CORE.items()}
        core["decoder"] = self._component("decoder", ("decoder",)) if "decoder" in self.values else None
        data = self._list("data")
        augment = self._list("augment")
        model = self._component("model", ("model",))
        backend = self._component("backend", ("backend",))
        task_name = str(getattr(self.classes.get("model"), "task", ""))
        task: Any = self._task(task_name) if task_name else None
        if not data and "data" not in self.values and self.tables.complete:
            help = f'[[data]] with type = "{" | ".join(self.registry.names("dataset"))}"'
            self.problems.add("R007", "no data: [[data]] is missing", help)
        consistency.check(self.tables, core, self.classes.get("backend"), task, self.problems)
        if self.problems.errors:
            raise self.error()
        task = combinations.smoothed(task, core["train"])
        model = combinations.adapted(model, core["adapter"])
        resolved = self._resolved(name, seed, core, data, augment, model, backend)
        return Recipe(
            name=name,
            seed=seed,
            path=self.path,
            tables=resolved,
            data=tuple(data),
            weights=weights_of(resolved["data"]) if data else (),
            augment=(*augment, *getattr(model, "augmentations", tuple)()),
            model=model,
            model_type=self.values["model"]["type"],
            task=task,
            task_name=task_name,
            backend=backend,
            warnings=tuple(self.problems.findings),
            places=self.tables.places,
            **core,
        )

    def error(self) -> RecipeError:
        """Every finding, in the order of the file."""
        places = {**self.tables.places, **self.problems.places}

        def line(finding: Finding) -> tuple[bool, int]:
            place = consistency.place_of(finding, places)
            return place is None or place.path != self.path, (place.line if place else None) or 0

        count = len(self.problems.errors)
        what = shown(self.path) if self.path else "the recipe"
        return RecipeError(
            f"{what} has {count} problem{'s' if count > 1 else ''}",
            findings=sorted(self.problems.findings, key=line),
            places=places,
        )

    def _unknown_sections(self) -> None:
        known = (*schema.TOP_KEYS, *SECTIONS)
        for name in list(self.values):
            if name in known:
                continue
            what = "section" if isinstance(self.values[name], dict | list) else "top-level key"
            help = Problems.suggestion(name, known, limit=len(known))
            if name in OTHER_NAMES:
                help = f"that is [{OTHER_NAMES[name]}] here"
            elif what == "top-level key" and (homes := homes_of(name)):
                help = f"`{name}` is a key of {homes}"
            self.problems.add("R003", f"there is no {what} '{name}'", help, (name,))

    def _name(self) -> str:
        fallback = self.path.stem if self.path else "run"
        name = self.values.get("name", fallback)
        if not isinstance(name, str) or not name.strip() or name.strip(".") == "" or set(name) & set("/\\:\0\n"):
            help = "letters, digits, '-' and '_': it names the folder runs/NAME"
            self.problems.add("R006", f"name is {value(name)}, expected a file name", help, ("name",))
            return fallback
        return name

    def _seed(self) -> int:
        seed = self.values.get("seed", DEFAULT_SEED)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            self.problems.add("R006", f"seed is {value(seed)}, expected a whole number from 0", "seed = 0", ("seed",))
            return DEFAULT_SEED
        return seed

    def _core(self, section: str, cls: type) -> Any:
        if section not in self.values:
            return None if section in OPTIONAL else cls()
        table, title = self.values[section], f"[{section}]"
        if isinstance(table, dict):
            table.update(paths.located(cls, table, (section,), self.tables.places, self.problems))
        return validate(cls, table, (section,), self.problems, title=title, complete=self.tables.complete)

    def _list(self, section: str) -> list[Any]:
        tables = self.values.get(section, [])
        if isinstance(tables, dict):
            self.problems.add("R006", f"[{section}] is one table, expected a list", f"write [[{section}]]", (section,))
            tables = self.values[section] = [tables]
            self.tables.places = {_into_list(key, section): place for key, place in self.tables.places.items()}
        if not isinstance(tables, list):
            help = f"write [[{section}]]"
            self.problems.add("R006", f"{section} is {value(tables)}, expected tables", help, (section,))
            return []
        made = [self._component(section, (section, index)) for index in range(len(tables))]
        return [one for one in made if one is not None]

    def _component(self, section: str, at: Key) -> Any:
        kind = schema.COMPONENT_SECTIONS[section]
        title = f"[[{section}]]" if section in schema.LISTS else f"[{section}]"
        table = self.values.setdefault(section, {}) if len(at) == 1 else self.values[section][at[1]]
        if section == "backend" and isinstance(table, dict):
            table.setdefault("type", DEFAULT_BACKEND)
        if not isinstance(table, dict):
            self.problems.add("R006", f"{dotted(at)} is {value(table)}, expected a table", f"write {title}", at)
            return None
        name = table.get("type")
        if not isinstance(name, str):
            self._no_type(section, kind, title, table, at)
            return None
        try:
            cls = self.registry.load(kind, name)
        except PluginError as error:
            unknown = f"no {kind} is called" in error.message
            self.problems.add("R004" if unknown else "R009", error.message, error.help, (*at, "type"))
            return None
        self.classes[section] = cls
        before = len(self.problems.errors)
        try:
            table.update(paths.located(cls, table, at, self.tables.places, self.problems))
            own = ("type", WEIGHT) if section == "data" else ("type",)
            keyed = {key: inner for key, inner in table.items() if key not in own}
            if section == "data":
                check_weight(table, at, self.problems)
            complete = self.tables.complete
            made = validate(cls, keyed, at, self.problems, title=f"{title} {name}", complete=complete)
            if made is not None and len(self.problems.errors) == before:
                consistency.own_findings(made, at, self.problems)
        except VoxError as error:
            self.problems.add("R006", f"{title} {name}: {error.message}", error.help, at)
            return None
        except Exception as error:  # a plugin's class: anything may come out of it
            registration = self.registry.find(kind, name)
            who = f"{kind} '{name}' of {registration.distribution} {registration.version}"
            self.problems.add("R009", f"{who} fails: {type(error).__name__}: {error}", None, at)
            return None
        return made

    def _no_type(self, section: str, kind: str, title: str, table: Mapping[str, Any], at: Key) -> None:
        names = self.registry.names(kind)
        if "type" in table:
            message = f"{dotted((*at, 'type'))} is {value(table['type'])}, expected the name of a {kind}"
            self.problems.add("R006", message, f"known: {', '.join(names)}", (*at, "type"))
        elif self.tables.complete:
            message = f"{title} does not say which {kind} it is" if table else f"no {kind}: {title} is missing"
            checkpoint = str(table.get("checkpoint", ""))
            guess = next((name for name in names if name in checkpoint), None)
            help = f'type = "{guess or " | ".join(names)}"'
            self.problems.add("R004" if table else "R007", message, help, at)

    def _task(self, name: str) -> Any | None:
        try:
            return self.registry.load("task", name)()
        except PluginError as error:
            self.problems.add("R009", error.message, error.help, ("model", "type"))
        except Exception as error:  # a plugin's class: anything may come out of it
            self.problems.add("R009", f"task '{name}' fails: {type(error).__name__}: {error}", None, ("model", "type"))
        return None

    def _resolved(self, name: str, seed: int, core: dict[str, Any], *components: Any) -> dict[str, Any]:
        """Every section with every key that has a value."""
        data, augment, model, backend = components
        whole: dict[str, Any] = {"name": name, "seed": seed}
        made = {**core, "data": data, "augment": augment, "model": model, "backend": backend}
        for section in SECTIONS:
            if isinstance(made[section], list):
                tables = [
                    {key: table[key] for key in ("type", WEIGHT) if key in table} | defaults(one)
                    for table, one in zip(self.values.get(section, []), made[section], strict=True)
                ]
                if tables:
                    whole[section] = tables
            elif made[section] is not None:
                chosen = {"type": self.values[section]["type"]} if section in schema.COMPONENT_SECTIONS else {}
                whole[section] = {**chosen, **defaults(made[section])}
        plain: dict[str, Any] = json.loads(json.dumps(whole))
        return plain


def _into_list(key: Key, section: str) -> Key:
    return (section, 0, *key[1:]) if key[:1] == (section,) and len(key) > 1 else key
