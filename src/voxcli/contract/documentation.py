"""Whether a class and each of its keys say what they are, and quantities in which unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from voxcli.contract.bench import Bench, Component
from voxcli.contract.rules import rule
from voxcli.recipe.validate import json_schema

CLASS = rule(
    "component",
    "class-undocumented",
    "a docstring: `vox plugins info` and editors show its first line",
    "write one sentence",
)
KEY = rule(
    "component",
    "key-undocumented",
    "a string under the key: it is the help of `vox recipe schema`, of editors and of error messages",
    "write a sentence under the field: what it is, in which unit, what a larger value costs or buys",
)
UNIT = rule(
    "component",
    "unit-missing",
    "its unit, in the string under it or at the end of its name",
    "name the unit: s, Hz, dB, frames, tokens …; or call it gain_db, window_ms",
)
MEANING = rule(
    "component",
    "meaning-missing",
    "what the number counts or measures: a unit, a share, how many of what",
    "say it in the string under the key",
    level="note",
)

QUANTITY = re.compile(
    r"(duration|seconds|length|width|height|distance|offset|window|stride|shift|delay|timeout|interval|period|time"
    r"|frequency|cutoff|band|bandwidth|bitrate|sampling_rate|sample_rate|gain|level|snr|loudness|size|memory)(_range|s)?"
)
"""Names that ask "of what?": their last words. A number under such a name means nothing without a unit."""
IN_NAME = re.compile(r"(_s|_ms|_us|_sec|_secs|_seconds|_hz|_khz|_db|_percent|_bytes|_kb|_mb|_gb|_bits|_samples|_frames|"
                     r"_steps|_tokens|_characters|_words|_semitones|_prob|_share|_ratio|_m|_cm|_mm|_px|"
                     r"_ns|_minutes|_hours|_days|_weeks|_mhz|_ghz|_dbfs|_lufs|_cents|_kbps|_kib|_mib|_gib|_rpm)"
                     )  # fmt: skip
UNITS = re.compile(
    r"\b(s|ms|[µμ]s|ns|seconds?|milliseconds?|minutes?|hours?|days?|weeks?|[kmg]?hz|(kilo)?hertz|db(fs|a|u|v)?|lufs|lu|"
    r"decibels?|m|cm|mm|metres?|meters?|%|per ?cent|((kilo|mega|giga|tera)?byte)s?|[kmgt]i?b|bits?|kbit|[km]bps|bit/s|"
    r"kbit/s|pa|(hecto)?pascals?|rpm|cents?|radians?|tokens?|frames?|samples?|steps?|epochs?|batches|characters?|letters?|"
    r"words?|"
    r"classes|channels?|bins?|bands?|layers?|dimensions?|semitones?|octaves?|degrees?|pixels?|clips?|files?|rows?|"
    r"utterances?|recordings?|texts|share|ratio|probability|probabilities|factors?|fraction|number of|how many|"
    r"how much|times|logarithms?|mel|filters?|positions?|units?|standard deviations?|workers?|processes|packets?)\b|%",
    re.IGNORECASE,
)
RANGE = re.compile(r"\d\s*(to|and|–|-|\.\.\.?|…)\s*[-−]?\d")
"""Of a number without a dimension its range says enough: "of FLAC, 0 to 8"."""
MEANINGS = re.compile(
    r"\b(weight|dropout|temperature|seed|threshold|scale|count|exponent|rank|index|order|level|rate|added|decay|penalty|"
    r"beams?|keep|kept|none|which|first|last|most|least|copies|voices|masks?|heads?|distractors?|negatives?|"
    r"groups?|codevectors?|chunks?|pieces?|windows?|iterations?|tries|candidates?|speakers?|labels?|hypotheses|nodes?|"
    r"threads?|cores?)\b",
    re.IGNORECASE,
)


def try_documentation(bench: Bench, component: Component) -> None:
    """Docstrings of the class and of its keys."""
    with bench.trial(component, "docstrings"):
        cls = component.cls
        if not _own_docstring(cls):
            bench.remark(component, CLASS, f"the class {cls.__name__} has no docstring")
        for name, key in keys(cls):
            about = str(key.get("description", "")).strip()
            if not about:
                bench.remark(component, KEY, f"nothing stands under the key {name}")
            elif _is_number(key):
                _unit(bench, component, name, about)


def keys(cls: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, schema) of each key of a component's table; nothing where it takes none."""
    if hasattr(cls, "__dataclass_fields__"):
        yield from json_schema(cls).get("properties", {}).items()


def _unit(bench: Bench, component: Component, name: str, about: str) -> None:
    if UNITS.search(about) or re.search(f"{IN_NAME.pattern}(_range|_min|_max)?$", name):
        return
    if RANGE.search(about) and re.search(r"(^|_)levels?$", name):
        return
    if re.search(rf"(^|_){QUANTITY.pattern}$", name):
        bench.remark(component, UNIT, f"the key {name} is a quantity, and no unit is named: {about!r}")
    elif RANGE.search(about) or MEANINGS.search(f"{about} {name.replace('_', ' ')}"):
        return
    elif not UNITS.search(name.replace("_", " ")):
        bench.remark(component, MEANING, f"what the number {name} counts is not said: {about!r}")


def _is_number(key: dict[str, Any]) -> bool:
    """A number, or an array of numbers, or nothing."""
    if key.get("type") in ("number", "integer"):
        return True
    inside = [*key.get("anyOf", []), *key.get("prefixItems", [])]
    if key.get("type") == "array" and isinstance(key.get("items"), dict):
        inside.append(key["items"])
    inside = [one for one in inside if one.get("type") != "null"]
    return bool(inside) and all(_is_number(one) for one in inside)


def _own_docstring(cls: Any) -> bool:
    """Written by a person: `dataclass` makes one of the fields where there is none."""
    text = (cls.__dict__.get("__doc__") or "").strip()
    return bool(text) and not (hasattr(cls, "__dataclass_fields__") and text.startswith(f"{cls.__name__}("))
