"""`vox debian-prompts fetch`: the packages of the prompts, downloaded by apt and compared with apt's checksums."""

from __future__ import annotations

import hashlib
import json as json_
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vox_debian_prompts.places import packages
from vox_debian_prompts.prompts import LANGUAGES
from voxcli.errors import DataError, UsageError

PAGE = "https://packages.debian.org/asterisk-core-sounds-en-g722"
CODECS = ("g722", "gsm", "wav")  # of which Debian has packages

app = typer.Typer(help="The voice prompts of Asterisk in five languages.", no_args_is_help=True)


@app.callback()
def prompts() -> None:
    """The voice prompts of Asterisk in five languages."""


@app.command()
def fetch(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the .deb files; made if need be.")],
    languages: Annotated[
        list[str] | None, typer.Option("--language", "-l", metavar="LANG", help="en, es, fr, it, ru; repeatable [all].")
    ] = None,
    codec: Annotated[str, typer.Option("--codec", help="g722 (16 kHz), gsm or wav (8 kHz).")] = "g722",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Download the packages with apt-get, unpack nothing, install nothing; needs Debian's or Ubuntu's apt, not root.

    A package that is there already, with the checksum that apt knows, is not downloaded again.

    \b
    vox debian-prompts fetch prompts/ --language en --language es
    """
    wanted = tuple(dict.fromkeys(languages or LANGUAGES))
    if unknown := [one for one in wanted if one not in LANGUAGES]:
        raise UsageError(f"no prompts in {', '.join(unknown)}", help=f"languages: {', '.join(LANGUAGES)}")
    if codec not in CODECS:
        raise UsageError(f"Debian has no package of {codec}", help=f"codecs: {', '.join(CODECS)}")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is no folder", help="OUT is the folder that the packages are put into")
    names = [name for language in wanted for name in packages(language, codec)]
    if missing := [tool for tool in ("apt-get", "apt-cache") if shutil.which(tool) is None]:
        raise UsageError(
            f"{' and '.join(missing)} is not here: this is no Debian or Ubuntu",
            help=f"download the packages by hand, for example {PAGE}, into one folder, and name it as root",
        )
    digests = {name: _digests(name) for name in names}
    known = {one for several in digests.values() for one in several}
    absent = [name for name in names if not _here(out, name, known)]
    command = ["apt-get", "download", *absent]
    typer.echo(f"runs in {out}: {' '.join(command)}" if absent else f"{out} has them all", err=True)
    if absent and not dry_run:
        _download(command, out)
    files = [_checked(out, name, digests[name]) for name in names] if not dry_run else []
    if json:
        typer.echo(json_.dumps({"folder": str(out), "command": command if absent else [], "files": files}, indent=1))
    else:
        for file in files:
            typer.echo(f"{file['sha256'][:16]}  {file['bytes']:>12,}  {file['file']}")
        if files:
            typer.echo(f'next: [[data]] type = "debian-prompts", root = "{out}"', err=True)


def _digests(package: str) -> tuple[str, ...]:
    """SHA-256 of every version of a package that apt knows. Raises `DataError` where it knows none."""
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True, check=False)
    found = [line.split(":")[1].strip() for line in shown.stdout.splitlines() if line.startswith("SHA256:")]
    if not found:
        raise DataError(f"apt knows no package {package}", help="apt-get update; the packages are in Debian's main")
    return tuple(found)


def _download(command: Sequence[str], out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder {out} cannot be made: {error.strerror or error}", help="give another OUT"
        ) from error
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["no reason"]
        raise DataError(f"{' '.join(command[:2])} ended with {done.returncode}: {said[0]}", help="apt-get update")


def _files(out: Path, package: str) -> list[Path]:
    return sorted(out.glob(f"{package}_*.deb"))


def _here(out: Path, package: str, known: set[str]) -> bool:
    return any(_sha256(path) in known for path in _files(out, package))


def _checked(out: Path, package: str, digests: Sequence[str]) -> dict[str, Any]:
    """The file of a package. Raises `DataError` where none has a checksum that apt knows."""
    found = {path: _sha256(path) for path in _files(out, package)}
    for path, digest in found.items():
        if digest in digests:
            return {"package": package, "file": path.name, "bytes": path.stat().st_size, "sha256": digest}
    told = ", ".join(f"{path.name} has {digest}" for path, digest in found.items()) or "there is no file"
    raise DataError(
        f"{package} is not what apt knows: {told}, expected {' or '.join(digests)}", help="remove it and fetch again"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
