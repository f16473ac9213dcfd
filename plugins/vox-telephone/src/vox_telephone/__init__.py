"""A voxcli plugin: the augmentation `phone-line`. Reading order: phone_line (its keys), g711, packets."""

from __future__ import annotations

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer the augmentation."""
    registry.add(
        "augmentation", "phone-line", "vox_telephone.phone_line:PhoneLine", summary="8 kHz, G.711, lost packets"
    )
