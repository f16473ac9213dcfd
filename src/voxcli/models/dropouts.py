"""Dropouts and layer drop of `[model]` -> the config of any architecture, by transformers' names.

A family offers those it can honour as fields of these names. Each goes to every part of the config that has it (an
encoder and a decoder have configs of their own), under the name that the part has for it: `hidden_dropout` of wav2vec
2.0 is `dropout` of Whisper and BART. Where no part has it, that is an error: transformers would take the key, keep it
and do nothing with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.errors import ModelError

DROPOUTS: dict[str, tuple[str, ...]] = {
    "hidden_dropout": ("dropout", "hidden_dropout_prob"),
    "dropout": ("hidden_dropout", "hidden_dropout_prob"),
    "attention_dropout": ("attention_probs_dropout_prob",),
    "activation_dropout": (),
    "feat_proj_dropout": (),
    "feat_quantizer_dropout": (),
    "final_dropout": (),
    "conformer_conv_dropout": (),
    "layerdrop": (),
    "encoder_layerdrop": (),
    "decoder_layerdrop": (),
}
"""Every key there is, and the names under which other architectures keep the same."""


def chosen(family: Any) -> dict[str, float]:
    """The dropouts that a family's keys set; None means the checkpoint's own."""
    return {name: value for name in DROPOUTS if (value := getattr(family, name, None)) is not None}


def apply(config: Any, keys: Mapping[str, float], name: str) -> None:
    """Set dropouts in a transformers config, in place. `name` is the model as messages call it.

    Raises `ModelError` for one that the architecture does not have, and for what is no share.
    """
    for key, value in keys.items():
        if not 0.0 <= value < 1.0:
            raise ModelError(f"[model] {key} is {value:g}, expected a share from 0 to below 1", help=f"{key} = 0.1")
        found = _homes(config, key)
        if not found:
            known = sorted(present(config))
            close = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean `{close[0]}`? " if close else ""
            raise ModelError(
                f"[model] {key} is set, and {name} has none",
                help=f"{meant}it has {', '.join(known) or 'no dropout at all'}; remove {key}",
            )
        for part, attribute in found:
            setattr(part, attribute, value)


def present(config: Any) -> set[str]:
    """The keys of DROPOUTS that a config has, under that name or one that means the same."""
    return {key for key in DROPOUTS if _homes(config, key)}


def _homes(config: Any, key: str) -> list[tuple[Any, str]]:
    names = (key, *DROPOUTS.get(key, ()))
    found = [(part, next((name for name in names if hasattr(part, name)), None)) for part in _parts(config)]
    return [(part, name) for part, name in found if name is not None]


def _parts(config: Any) -> Iterator[Any]:
    """A config, and those within it: of an encoder, of a decoder."""
    yield config
    for name in ("encoder_config", "encoder", "decoder"):
        inner = getattr(config, name, None)
        if hasattr(inner, "to_dict"):
            yield from _parts(inner)
