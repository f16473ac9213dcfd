"""Write docs/checks.md from the docstrings of the checks, so that the page and `vox explain` cannot differ.

python scripts/check_pages.py           tests/doctor/test_pages.py fails where this would change the page
"""

from __future__ import annotations

import re
from pathlib import Path

from voxcli.doctor.explain import Entry, entries
from voxcli.doctor.report import HEADINGS
from voxcli.findings import ABOUT
from voxcli.plugins.registry import BUILTIN

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checks.md"
HEAD = """\
# Checks

Every code that [vox doctor](doctor.md) may say. `vox explain CODE` prints the same text. Those marked with a star are
made by `vox train` before it begins. This page is written from the checks by `scripts/check_pages.py`.
"""
PARAGRAPH = re.compile(r"^(Why|Repair|Sources):", re.MULTILINE)


def main() -> None:
    """Renew the page."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.name} renewed")


def page() -> str:
    """The page as it has to be."""
    every = [one for one in entries() if one.distribution == BUILTIN]
    parts = [HEAD, *(_index(every)), ""]
    for about in ABOUT:
        found = [one for one in every if one.about == about]
        if found:
            parts.append(f"## {HEADINGS[about].capitalize()}\n")
            parts += [_section(one) for one in found]
    return "\n".join(parts).rstrip("\n") + "\n"


def _index(every: list[Entry]) -> list[str]:
    rows = [
        f"| [{one.code}](#{_anchor(one)}){'*' if one.before_training else ''} | {one.name} | {_cell(one.summary)} |"
        for one in every
    ]
    return ["| code | name | |", "|---|---|---|", *rows]


def _section(one: Entry) -> str:
    text = PARAGRAPH.sub(r"**\1:**", one.text)
    compared = "".join(
        f"- `{', '.join(f.names)}{f' = {f.value}' if f.value else ''}`: {f.source}\n" for f in one.figures
    )
    return f"### {one.code} {one.name}\n\n{text}\n" + (f"\n**Figures:**\n\n{compared}" if compared else "")


def _anchor(one: Entry) -> str:
    return f"{one.code} {one.name}".lower().replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
