"""First bytes or a file's name -> what kind of file it is. No audio library is imported here.

The signatures are those of the formats' own specifications: ISO 14496-12 (ftyp), RFC 8794 (EBML), RFC 4867 (AMR).
"""

from __future__ import annotations

import os

LIBSNDFILE_SUFFIXES = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".snd",
    ".caf",
    ".w64",
    ".rf64",
    ".sph",
)
"""What libsndfile reads, by the usual ends of names."""

CONTAINER_SUFFIXES = (".m4a", ".mp4", ".webm", ".aac", ".mka", ".mkv", ".mov", ".m4b", ".wma", ".amr", ".3gp", ".ac3")
"""What FFmpeg's libraries read beyond that; the extra `containers` brings them."""

SUFFIXES = LIBSNDFILE_SUFFIXES + CONTAINER_SUFFIXES
"""Names with these ends are taken for audio when a folder is searched. Reading goes by content, not by name."""


def is_audio(name: str) -> bool:
    """Whether a file's name ends like one of audio."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def kind(head: bytes) -> str | None:
    """What the first bytes (64 are enough) say about a file that libsndfile does not know, as a noun; None: nothing."""
    if head[4:8] == b"ftyp":
        return "an MPEG-4 container (m4a, mp4)"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "a Matroska or WebM container"
    if head.startswith(b"0&\xb2u\x8ef\xcf\x11"):
        return "a Windows Media file"
    if head.startswith(b"#!AMR"):
        return "an AMR recording"
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return "an AAC stream"
    return None


def impostor(head: bytes) -> tuple[str, str] | None:
    """What stands where audio was expected, and the repair: pointers and web pages that a download left behind."""
    start = head.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the audio itself", "fetch the files with `git lfs pull`"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page or XML, not audio", "the download failed: download it again"
    return None
