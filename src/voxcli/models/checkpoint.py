"""A checkpoint's name -> its config, without weights; one clear `ModelError` where there is no such checkpoint.

A name is a local folder or an id on the Hugging Face hub. The hub's client retries an unreachable host for about
25 s a file, so whether it answers at all is asked once, with a short timeout, and only when a file is not in the cache.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import socket
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voxcli.errors import ModelError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_TIMEOUT = 5.0  # s for one TCP connection to the hub
_CONFIG_ONLY: ContextVar[bool] = ContextVar("config_only", default=False)


@contextlib.contextmanager
def config_only() -> Iterator[None]:
    """Within the block only config.json is fetched from the hub; of other files, those that are here are used.

    Families stand in for the tokenizer and the feature extractor that are missing, for a plan made before a download.
    """
    before = _CONFIG_ONLY.set(True)
    try:
        yield
    finally:
        _CONFIG_ONLY.reset(before)


def only_config() -> bool:
    """Whether `config_only` is in force."""
    return _CONFIG_ONLY.get()


def read_json(checkpoint: str, file: str) -> dict[str, Any] | None:
    """One JSON file of a checkpoint, or None where the checkpoint has no such file.

    Raises `ModelError` where there is no such checkpoint, the hub cannot be reached, or the file is not JSON.
    """
    path = _find(checkpoint, file)
    if path is None:
        return None
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", help="copy the checkpoint again") from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path} holds no JSON object", help="copy the checkpoint again")
    return loaded


def file_of(checkpoint: str, file: str) -> Path | None:
    """A file of a checkpoint on this machine, or None where it has none. Raises as `read_json`."""
    return _find(checkpoint, file)


def has_file(checkpoint: str, file: str) -> bool:
    """Whether a checkpoint has a file. Raises `ModelError` where there is no such checkpoint."""
    return _find(checkpoint, file) is not None


def read_config(checkpoint: str) -> dict[str, Any]:
    """config.json of a checkpoint. Raises `ModelError` where there is none or it names no `model_type`."""
    config = read_json(checkpoint, "config.json")
    if config is None:
        if read_json(checkpoint, "adapter_config.json") is not None:
            raise ModelError(
                f"{checkpoint} holds an adapter, not a whole model",
                help="transcribe and evaluate take it as it is; to train on, name its base model as the checkpoint",
            )
        raise ModelError(
            f"{checkpoint} is no checkpoint: it has no config.json",
            help="give the folder that `save_pretrained` wrote: config.json, model.safetensors, the processor's files",
        )
    if not isinstance(config.get("model_type"), str):
        raise ModelError(
            f"config.json of {checkpoint} names no model_type", help="it was not written by transformers: convert it"
        )
    return config


def source(checkpoint: str) -> dict[str, Any]:
    """Keyword arguments with which every `from_pretrained` of a checkpoint is called: no network where none answers."""
    if Path(checkpoint).is_dir() or (_reachable() and not only_config()):
        return {}
    return {"local_files_only": True}


def absolute(checkpoint: str) -> str:
    """A local folder as an absolute path, so that it is still found from another working directory; ids unchanged."""
    folder = Path(checkpoint)
    return str(folder.resolve()) if folder.is_dir() else checkpoint


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' progress bars and warnings within the block: what matters is raised or logged by us."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by names that are about to change
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def explained(checkpoint: str, what: str) -> Iterator[None]:
    """Turn what `from_pretrained` raises for missing, truncated or misfitting files into a `ModelError`."""
    from huggingface_hub.errors import HfHubHTTPError
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"the {what} of {checkpoint} cannot be loaded: {reason[0]}",
            help="check that the folder is whole: config.json, model.safetensors, tokenizer and preprocessor files",
        ) from error


def _find(checkpoint: str, file: str) -> Path | None:
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    if folder.exists() or not _HUB_ID.fullmatch(checkpoint):
        raise _missing(checkpoint, f"looked for the folder {folder.absolute()}")

    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    cached = huggingface_hub.try_to_load_from_cache(checkpoint, file)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None:  # the cache knows that the repository has no such file
        return None
    if only_config() and file != "config.json":
        return None
    looked = f"looked for the folder {folder.absolute()}, then in the cache {huggingface_hub.constants.HF_HUB_CACHE}"
    if not _reachable():
        if file != "config.json" and isinstance(huggingface_hub.try_to_load_from_cache(checkpoint, "config.json"), str):
            return None  # a cached checkpoint without this file
        raise _missing(checkpoint, f"{looked}; {huggingface_hub.constants.ENDPOINT} cannot be reached")
    try:
        return Path(huggingface_hub.hf_hub_download(checkpoint, file))
    except LocalEntryNotFoundError as error:
        raise _missing(checkpoint, f"{looked}; the hub did not answer") from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _missing(checkpoint, f"{looked}, then on the hub: {str(error).splitlines()[0]}") from error


def _missing(checkpoint: str, looked: str) -> ModelError:
    what = (
        "a plan needs config.json alone: copy it into a folder, and name that folder"
        if only_config()
        else "give a local folder with config.json and model.safetensors: "
        "on a machine with a network, `hf download ID --local-dir FOLDER`, then copy FOLDER here"
    )
    return ModelError(f"there is no checkpoint '{checkpoint}': {looked}", help=what)


@functools.cache
def _reachable() -> bool:
    """Whether the hub's host accepts a connection; asked once a process."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # a proxy answers for it: let the client try
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=_TIMEOUT):
            return True
    except OSError:
        return False
