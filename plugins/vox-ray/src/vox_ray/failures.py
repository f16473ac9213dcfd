"""Why a worker of Ray Train ended: its exception as Ray reports it -> a line for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxcli.errors import VoxError


def reasons(exceptions: Mapping[int, BaseException]) -> dict[int, str]:
    """Rank -> why, those that died first: the others then mostly fail because they cannot reach them."""
    from ray.exceptions import RayActorError

    found = {rank: getattr(error, "health_check_failure", error) for rank, error in exceptions.items()}
    died = {rank: error for rank, error in found.items() if isinstance(error, RayActorError)}
    return {rank: _died(error) for rank, error in died.items()} or {
        rank: _raised(error) for rank, error in found.items()
    }


def _died(error: BaseException) -> str:
    """What Ray says of a process that has gone, in a few words: it lists causes that it only supposes."""
    said = str(error)
    if "low on memory" in said:
        return "Ray ended it because the memory of its machine ran out"
    if "node has died" in said or "node is dead" in said.lower():
        return "its machine went away"
    return "its process was killed or crashed"


def _raised(error: BaseException) -> str:
    """What the training function raised: Ray Train wraps it, and keeps its traceback as text."""
    inner = getattr(error, "_base_exc", error)
    return f"{type(inner).__name__}: {last_line(inner)}" if str(inner).strip() else type(inner).__name__


def sendable(error: VoxError) -> VoxError:
    """An error as another process can read it, whatever plugin its class is of."""
    if type(error).__module__ == "voxcli.errors":
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return error
    made = VoxError(error.message, help=error.help)
    made.exit_code = error.exit_code
    return made


def told(why: Mapping[int, str], hosts: Mapping[int, str]) -> str:
    """The first of the reasons, in words."""
    rank = min(why) if why else 0
    where = f" on {hosts[rank]}" if rank in hosts else ""
    return f"process {rank}{where} ended: {why.get(rank, 'Ray does not say why')}"


def last_line(text: Any) -> str:
    """The last line of a traceback: type and message."""
    lines = [line for line in str(text).splitlines() if line.strip()]
    return lines[-1].strip() if lines else str(text)
