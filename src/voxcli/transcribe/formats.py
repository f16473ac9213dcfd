"""A transcript -> the text of a file: txt, srt, vtt, tsv, json.

Times are written as openai/whisper writes them (whisper/utils.py), so that what reads its files reads these; the text
of WebVTT is escaped as the W3C recommendation asks (section 4.2.2).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from voxcli.api import Segment, Transcript
from voxcli.transcribe.cues import cues, segments

ALL = "all"


def txt(transcript: Transcript) -> str:
    """The text; one line a segment where there are several."""
    lines = [segment.text.strip() for segment in transcript.segments] or [transcript.text.strip()]
    return "".join(f"{line}\n" for line in lines if line)


def srt(transcript: Transcript) -> str:
    """SubRip: numbered subtitles, times with a comma."""
    blocks = (
        f"{number}\n{clock(cue.start, ',', hours=True)} --> {clock(cue.end, ',', hours=True)}\n{_no_arrow(cue.text)}\n"
        for number, cue in enumerate(cues(transcript), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT: times with a dot, hours only where there are any."""
    blocks = (f"\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{_escape(cue.text)}\n" for cue in cues(transcript))
    return "WEBVTT\n" + "".join(blocks)


def tsv(transcript: Transcript) -> str:
    """A table of segments: start and end in ms, and the text."""
    rows = (
        f"{milliseconds(segment.start)}\t{milliseconds(segment.end)}\t{' '.join(segment.text.split())}\n"
        for segment in segments(transcript)
    )
    return "start\tend\ttext\n" + "".join(rows)


def as_json(transcript: Transcript) -> dict[str, Any]:
    """The transcript with the keys of openai/whisper's JSON: text, segments, words; and the duration, s."""
    return {
        "text": transcript.text,
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "segments": [_segment(number, segment) for number, segment in enumerate(segments(transcript))],
    }


def _json(transcript: Transcript) -> str:
    return json.dumps(as_json(transcript), ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": txt, "srt": srt, "vtt": vtt, "tsv": tsv, "json": _json}
TIMED = ("srt", "vtt", "tsv", "json")  # what says when something was said


def chosen(format: str) -> tuple[str, ...]:
    """The formats that a name means: itself, or every one for "all"."""
    return tuple(FORMATS) if format == ALL else (format,)


def milliseconds(seconds: float) -> int:
    """Seconds as whole ms, never negative."""
    return max(round(seconds * 1000), 0)


def clock(seconds: float, point: str, *, hours: bool = False) -> str:
    """Seconds as "01:02:03.456"; the hours are left out where they are 0, unless asked for."""
    rest, ms = divmod(milliseconds(seconds), 1000)
    rest, s = divmod(rest, 60)
    h, m = divmod(rest, 60)
    return (f"{h:02d}:" if hours or h else "") + f"{m:02d}:{s:02d}{point}{ms:03d}"


def _no_arrow(text: str) -> str:
    return text.replace("-->", "->")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": number,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text.strip(),
    }
    if segment.words:
        made["words"] = [
            {
                "word": word.text,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                **({} if word.probability is None else {"probability": round(word.probability, 4)}),
            }
            for word in segment.words
        ]
    return made
