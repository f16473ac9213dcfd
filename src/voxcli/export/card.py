"""A checkpoint, its run and its scores -> README.md of an exported folder: a model card for the Hugging Face hub.

The header is YAML for the hub's search and its table of results (hub documentation, "Model cards" and "model-index");
below it stands what a person needs: how to use the model, what it learned from, how good it is, and the recipe. Paths
are shortened to their last part: a card is for publishing.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import voxcli
from voxcli.evaluate.report import table
from voxcli.models.checkpoint import read_json
from voxcli.recipe.render import toml

FILE = "README.md"
PIPELINES = {
    "ctc": "automatic-speech-recognition",
    "seq2seq": "automatic-speech-recognition",
    "classification": "audio-classification",
}
"""Task -> the hub's name for it; pre-trained models have none there."""
_TRANSCRIBED = tuple((text, metric) for text in ("raw", "normalised") for metric in ("wer", "cer"))
_CLASSIFIED = ("accuracy", "macro_f1", "mean_average_precision")


def card(checkpoint: Path, run: Path | None, *, task: str, name: str) -> str:
    """The text of README.md for an export of `checkpoint`, whose run's folder is `run`; `name` is what it is called.

    What cannot be read (no run, no evaluation yet) is left out.
    """
    from huggingface_hub import EvalResult, ModelCardData

    recipe = _recipe(run)
    settings = read_json(str(checkpoint), "vox.json") or {}
    scored = list(_scored(checkpoint, run))
    results = [
        EvalResult(
            task_type=PIPELINES.get(task, "audio"),
            dataset_type="private",
            dataset_name=str(scores.get("data", "")),
            dataset_split=str(scores.get("split", "")),
            metric_type=metric,
            metric_name=said,
            metric_value=round(value, 5),
        )
        for scores in scored
        for metric, said, value in _figures(scores)
    ]
    header = ModelCardData(
        language=_language(recipe, settings),
        library_name="transformers",
        pipeline_tag=PIPELINES.get(task),
        base_model=_base(recipe, settings),
        tags=["voxcli", *(["peft"] if recipe.get("adapter") else [])],
        model_name=name,
        eval_results=results or None,
    )
    body = "\n".join(_body(recipe, run, scored, name=name, task=task))
    return f"---\n{header.to_yaml()}\n---\n\n{body}\n"


def _body(
    recipe: Mapping[str, Any], run: Path | None, scored: list[dict[str, Any]], *, name: str, task: str
) -> Iterator[str]:
    command = "classify" if task == "classification" else "transcribe"
    yield from [f"# {name}", ""]
    if task in PIPELINES:
        yield from ["```sh", f"vox {command} audio.wav --model FOLDER_OR_HUB_ID", "```", ""]
    if base := _base(recipe, {}):
        yield from [f"Trained from `{base}` with voxcli {voxcli.__version__}.", ""]
    yield from ["## Licence", "", "Not stated: it follows from the base model and from the data. Write it here.", ""]
    if data := _data(run):
        yield from ["## Data", "", *data, ""]
    for scores in scored:
        yield from [f"## Scores: {scores.get('data', '')}, {scores.get('split', '')}", ""]
        count, duration = scores.get("utterances", 0), float(scores.get("duration", 0.0))
        yield from [f"{count} utterances, {duration / 60:.1f} min.", "", "```"]
        rows = [[said, f"{value:.4f}"] for _, said, value in _figures(scores)]
        yield from [*table(["", "score"], rows), "```", ""]
    if recipe:
        yield from ["## Recipe", "", "```toml", toml(recipe).strip(), "```", ""]


def _recipe(run: Path | None) -> dict[str, Any]:
    """The run's recipe with its paths shortened."""
    if run is None or not (run / "recipe.toml").is_file():
        return {}
    return {key: _published(value) for key, value in tomllib.loads((run / "recipe.toml").read_text("utf-8")).items()}


def _published(value: Any) -> Any:
    """A value of the recipe without the folders of the machine it was trained on."""
    if isinstance(value, dict):
        return {key: _published(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_published(inner) for inner in value]
    if isinstance(value, str) and re.match(r"(/|~|[A-Za-z]:\\)", value):
        return re.split(r"[\\/]", value.rstrip("\\/"))[-1]
    return value


def _base(recipe: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The checkpoint that training began from."""
    named = recipe.get("model", {}).get("checkpoint") or settings.get("base")
    return str(_published(named)) if named else None


def _language(recipe: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """Language code, without its region, where recipe or checkpoint say one."""
    for place in (recipe.get("text"), settings.get("text"), settings.get("decoding")):
        if place and isinstance(place.get("language"), str) and re.fullmatch(r"[a-z]{2,3}([-_].*)?", place["language"]):
            return re.split("[-_]", place["language"])[0]
    return None


def _data(run: Path | None) -> list[str]:
    """One line a split, from lock.json."""
    path = run / "lock.json" if run is not None else None
    if path is None or not path.is_file():
        return []
    found = json.loads(path.read_text("utf-8")).get("data", {})
    return [
        f"- {name}: {one['utterances']} utterances, {one['duration'] / 3600:.2f} h"
        for name, one in found.items()
        if one.get("utterances")
    ]


def _scored(checkpoint: Path, run: Path | None) -> Iterator[dict[str, Any]]:
    """scores.json of each evaluation of this checkpoint in its run."""
    if run is None:
        return
    step = checkpoint.resolve().name
    for path in sorted((run / "evaluation").glob(f"*{step}/scores.json")):
        yield json.loads(path.read_text("utf-8"))


def _figures(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """(name for the hub, name for people, value) of what was measured."""
    for text, metric in _TRANSCRIBED:
        rate = scores.get(text, {}).get(metric, {}).get("rate") if isinstance(scores.get(text), dict) else None
        if rate is not None:
            yield metric, f"{metric.upper()} {text}", float(rate)
    for metric in _CLASSIFIED:
        value = scores.get(metric)
        value = value.get("value") if isinstance(value, dict) else value
        if isinstance(value, int | float):
            yield {"macro_f1": "f1"}.get(metric, metric), metric.replace("_", " "), float(value)
