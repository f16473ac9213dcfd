"""A Debian package -> the files in it, with the standard library: an ar archive that holds data.tar (deb(5))."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from voxcli.errors import DataError

MAGIC = b"!<arch>\n"
_HEADER = 60  # bytes before each member: name 16, date 12, owner 6, group 6, mode 8, size 10, end 2
_READABLE: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_BLOCK = 512  # bytes; a tar ends with one of zeros


def files(package: Path) -> Iterator[tuple[str, bytes]]:
    """(path without a leading slash, content) of every file of a package, links resolved, in the package's order.

    Raises `DataError` for what is no package, is damaged, or is compressed as only newer Pythons can read.
    """
    try:
        data = _data(package)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            if data[archive.offset :][:_BLOCK] != bytes(_BLOCK):  # tarfile takes any rubbish for the end
                raise tarfile.ReadError(f"data.tar is cut short or damaged at byte {archive.offset:,}")
            for member in members:
                path = PurePosixPath(member.name)
                if ".." in path.parts or not (member.isreg() or member.islnk() or member.issym()):
                    continue
                try:
                    opened = archive.extractfile(member)
                except KeyError:  # a link to another package
                    continue
                if opened is not None:
                    yield "/".join(part for part in path.parts if part not in ("/", ".")), opened.read()
    except RecursionError as error:
        raise DataError(f"{package} cannot be read: a link in it leads to itself", help="download it again") from error
    except (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{package} cannot be read: {error}", help="download it again") from error


def _data(package: Path) -> bytes:
    """The bytes of data.tar, decompressed to their end, where the check sum is."""
    with package.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{package} is no Debian package", help="download it again")
        while header := file.read(_HEADER):
            if len(header) < _HEADER or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
                break
            name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
            if not name.startswith("data.tar"):
                file.seek(size + size % 2, io.SEEK_CUR)  # members begin at even places
                continue
            decompress = _READABLE.get(name.removeprefix("data.tar"))
            if decompress is None:
                raise DataError(
                    f"{package} holds {name}, which Python's standard library does not read",
                    help=f"unpack it, and name the folder as root: dpkg-deb -x {package} FOLDER",
                )
            return decompress(_exactly(file, size, package))
    raise DataError(f"{package} holds no data.tar", help="download it again")


def _exactly(file: BinaryIO, size: int, package: Path) -> bytes:
    read = file.read(size)
    if len(read) != size:
        raise DataError(
            f"{package} is cut short: {len(read):,} of {size:,} bytes of data.tar", help="download it again"
        )
    return read
