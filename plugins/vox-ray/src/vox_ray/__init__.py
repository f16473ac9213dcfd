"""A voxcli plugin: the backend `ray`, which trains a recipe in processes that Ray Train places on machines.

Reading order: backend (the keys of `[backend]`), driver (the process that a person started), cluster (where Ray runs),
fitting (Ray Train), worker (what each process does), channel (what they tell each other), failures (why one ended).
"""

from __future__ import annotations

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer the backend."""
    registry.add("backend", "ray", "vox_ray.backend:Ray", summary="processes on the machines of a Ray cluster")
