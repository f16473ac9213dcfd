"""Write the tables of keys into docs/*.md from the components themselves, so that pages and code cannot differ.

A page asks for a table by a pair of comments; what stands between them is replaced. Names are a core section of a
recipe, or a kind of component and its name:

    <!-- keys: train -->
    <!-- /keys -->

    <!-- keys: dataset manifest -->
    <!-- /keys -->

    python scripts/key_tables.py            tests/test_docs.py fails where this would change a page
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from voxcli.plugins.manager import manager
from voxcli.recipe.render import value_text
from voxcli.recipe.schema import COMPONENT_SECTIONS, CORE
from voxcli.recipe.schema_json import schema

DOCS = Path(__file__).resolve().parents[1] / "docs"
MARKED = re.compile(r"(<!-- keys: ([\w -]+?) -->\n).*?(<!-- /keys -->)", re.DOTALL)
TYPES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true, false", "object": "table"}


def main() -> None:
    """Renew every page."""
    for page in sorted(DOCS.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"{page.name} renewed")


def renewed(text: str) -> str:
    """The page with its tables as they have to be. Raises `KeyError` for a component that does not exist."""
    known = tables()
    return MARKED.sub(lambda match: match[1] + known[match[2]] + match[3], text)


def tables() -> dict[str, str]:
    """Name -> Markdown of every core section and every component of voxcli that takes keys."""
    registry = manager().registry
    whole = schema(registry)
    made = {section: table(whole["properties"][section], cls) for section, cls in CORE.items()}
    for one in registry:
        if one.distribution == "voxcli" and one.kind in COMPONENT_SECTIONS.values():
            definition = whole["$defs"][f"{one.kind}.{one.name}"]
            cls: Any = registry.load(one.kind, one.name)
            if dataclasses.fields(cls):  # what every data set has, its weight, needs no page of its own
                made[f"{one.kind} {one.name}"] = table(definition, cls)
    return made


def table(definition: dict[str, Any], cls: type) -> str:
    """One row a key, in the order of the class; `type` of a component is not a row, that of [adapter] is."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(cls)  # type: ignore[arg-type]
    missing = dataclasses.MISSING
    required = {one.name for one in fields if one.default is missing and one.default_factory is missing}
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, key in definition["properties"].items():
        if name == "type" and "default" not in key:
            continue
        default = f"`{value_text(key['default'])}`" if "default" in key else "needed" if name in required else ""
        about = key.get("description", "").replace("|", "\\|")
        rows.append(f"| `{name}` | {words(key)} | {default} | {about} |")
    return "\n".join(rows) + "\n"


def words(key: dict[str, Any]) -> str:
    """What a value may be, as the author of a recipe says it."""
    if "enum" in key:
        return ", ".join(f"`{value_text(choice)}`" for choice in key["enum"])
    if "const" in key:
        return f"`{value_text(key['const'])}`"
    if "anyOf" in key:
        return " or ".join(dict.fromkeys(words(choice) for choice in key["anyOf"]))
    if "prefixItems" in key:
        return f"`[{', '.join(words(one) for one in key['prefixItems'])}]`"
    if key.get("type") == "array":
        return f"list of {words(key.get('items', {}))}"
    if key.get("format") == "path":
        return "path"
    return TYPES.get(key.get("type", ""), "any")


if __name__ == "__main__":
    main()
