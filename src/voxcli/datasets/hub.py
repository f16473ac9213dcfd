"""A Hub id, a folder of Parquet, JSON or audio files, or a `save_to_disk` folder -> its parts, opened by `datasets`.

`datasets` 5 decodes and even lists audio through torchcodec, which is built against one CUDA and dies beside a CPU
build of torch. Nothing here decodes: the encoded audio stays as it is, for voxcli's own decoder.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voxcli.errors import DataError

log = logging.getLogger(__name__)

Arguments = tuple[tuple[str, Any], ...]
"""Keywords of `datasets.load_dataset`, hashable."""


@functools.lru_cache(maxsize=32)
def parts(path: str, arguments: Arguments) -> Mapping[str, Any]:
    """Part -> `Dataset` or `IterableDataset`, for all the parts there are. Raises `DataError`."""
    import datasets

    folder = Path(path).expanduser()
    saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
    where = str(folder.absolute()) if folder.exists() else path
    if not folder.exists():
        log.info("asking %s for %s", _endpoint(), path)
    try:
        with as_stored(), _offline_where_unreachable(where):
            loaded = datasets.load_from_disk(where) if saved else datasets.load_dataset(where, **dict(arguments))
    except Exception as error:  # whatever a builder, a file or the network raises
        raise _explained(error, path) from error
    return loaded if isinstance(loaded, dict) else {str(loaded.split or "train"): loaded}


def piece(path: str, arguments: Arguments, expression: str) -> Any:
    """A part by an expression of `datasets`: "train[:10%]". Raises `DataError`."""
    import datasets

    folder = Path(path).expanduser()
    where = str(folder.absolute()) if folder.exists() else path
    try:
        with as_stored(), _offline_where_unreachable(where):
            return datasets.load_dataset(where, split=expression, **dict(arguments))
    except Exception as error:
        raise _explained(error, path) from error


@contextlib.contextmanager
def as_stored() -> Iterator[None]:
    """Inside, `datasets` takes audio files and their bytes as they are, without importing torchcodec."""
    import datasets

    def encode(self: Any, value: Any) -> dict[str, Any]:
        if isinstance(value, (str, Path)):
            return {"bytes": None, "path": str(value)}
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": bytes(value), "path": None}
        if isinstance(value, dict) and "array" not in value:
            local = value.get("path") and os.path.isfile(value["path"])
            return {"bytes": None if local else value.get("bytes"), "path": value.get("path")}
        original: dict[str, Any] = before(self, value)
        return original

    before = datasets.Audio.encode_example
    datasets.Audio.encode_example = encode
    try:
        yield
    finally:
        datasets.Audio.encode_example = before


@contextlib.contextmanager
def _offline_where_unreachable(where: str) -> Iterator[None]:
    """Inside, nothing is asked of a Hub whose address is not known: six tries of each file take 23 s."""
    import datasets
    from huggingface_hub import constants

    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if os.path.exists(where) or proxied or _known(urlsplit(_endpoint()).hostname or ""):
        yield
        return
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def _explained(error: Exception, path: str) -> DataError:
    """What `datasets` raised, as what it means and what to do."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    local = Path(path).expanduser().exists()
    if "Dataset scripts are no longer supported" in text:
        way = "" if local else 'revision = "refs/convert/parquet" reads its converted copy where the Hub has one; else '
        return DataError(
            f"{path} is a script data set, which `datasets` no longer runs ({text.rpartition(' ')[2]})",
            help=f'{way}download it and use `type = "manifest"`, or `type = "common-voice"` for Common Voice',
        )
    if "gated" in text.lower():
        return DataError(
            f"{path} is gated: its terms have to be accepted", help="accept them on its page, then run `hf auth login`"
        )
    if isinstance(error, ConnectionError) or "OfflineMode" in kind or kind in ("ConnectError", "ConnectTimeout"):
        return DataError(
            f"there is no folder {path}, no copy of such a data set in the cache, and {_endpoint()} cannot be reached",
            help="connect once to download it, or set `path` to a local folder",
        )
    if "BuilderConfig" in text or "Config name is missing" in text:
        return DataError(f"{path}: {text}", help="set `name` to one of its configurations")
    if kind == "DatasetNotFoundError":
        return DataError(
            f"there is no folder {path}, and no such data set on the Hub that you may read",
            help="check its spelling (owner/name); a private one needs `hf auth login`",
        )
    if kind in ("DataFilesNotFoundError", "EmptyDatasetError"):
        return DataError(f"{path} holds no data files that `datasets` reads", help="Parquet, JSON, CSV or audio files")
    cause = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else text
    return DataError(f"{path} cannot be loaded: {kind}: {cause}", help=None)
