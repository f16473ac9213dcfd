"""How quickly recordings become text: vox against openai-whisper, transformers' pipeline and faster-whisper.

python benchmarks/transcription.py MODEL --data asterisk-en/manifest.csv [--split test] [--clips 120] [--joined 0]
    [--shuffle 0] [--systems vox,pipeline,...] [--rounds 3] [--num-beams 1] [--language en] [--threads 2]
    [--peers PYTHON]

MODEL is a folder of transformers (Whisper). Each system runs in a process of its own, in turn, `--rounds` times: what
else the machine does meets all of them. "command" is the wall time of the whole process, imports and loading included;
"work" is that of the transcription alone, "processor" the processor time of the process, "memory" its peak resident
set. Word error rates are normalised.

`--joined 900` glues the clips, half a second of silence between them, into recordings of that many seconds; `--shuffle`
with another number puts them in another order: where windows begin and end decides much of what is heard. `--peers`
is the Python of an environment where openai-whisper and faster-whisper are installed beside torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SYSTEMS = ("vox", "vox-window", "pipeline", "openai-whisper", "vox-ctranslate2", "faster-whisper")
COMMANDS = ("vox", "vox-window", "vox-ctranslate2")


def main() -> None:
    """Run every system on the same recordings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--joined", type=float, default=0.0, metavar="S")
    parser.add_argument("--shuffle", type=int, default=0, metavar="SEED")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--num-beams", type=int, default=1)
    parser.add_argument("--language", default="en")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compute-type", default="float32")
    parser.add_argument("--engine-option", action="append", default=[])
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        ONE[given.one](given)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        references, seconds = _recordings(given, folder / "audio")
        systems = given.systems.split(",")
        if {"vox-ctranslate2", "faster-whisper"} & set(systems):
            command = [sys.executable, "-m", "voxcli", "export", given.model, "--to", "ctranslate2", "--no-check"]
            command += ["--out", str(folder / "ct2"), f"quantization={given.compute_type}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
        for _ in range(given.rounds):
            for name in systems:
                runs[name].append(_run(name, given, folder))
    _show(given, runs, references, seconds)


def _recordings(given: argparse.Namespace, folder: Path) -> tuple[dict[str, str], float]:
    """Write the clips as files, or joined; references by file name, and seconds in all."""
    import numpy as np
    import soundfile

    from voxcli.audio.decode import read_utterance
    from voxcli.evaluate.target import split_of, target
    from voxcli.recipe.schema import TextRules

    folder.mkdir()
    table = split_of(target(given.data, None), given.split, text=TextRules())[0]
    rows = np.flatnonzero(table.durations <= given.longest)[: given.clips]
    if given.shuffle:
        rows = np.random.default_rng(given.shuffle).permutation(rows)
    references: dict[str, str] = {}
    pieces: list[Any] = []
    texts: list[str] = []
    seconds = 0.0

    def write() -> None:
        name = f"{len(references):05d}.flac"
        soundfile.write(folder / name, np.concatenate(pieces), 16_000)
        references[name] = " ".join(texts)
        pieces.clear()
        texts.clear()

    for row in rows:
        utterance = table.utterance(int(row))
        audio = read_utterance(utterance, 16_000)
        pieces.append(audio)
        texts.append(utterance.text or "")
        seconds += len(audio) / 16_000
        if given.joined:
            pieces.append(np.zeros(8_000, dtype=np.float32))
            seconds += 0.5
        if sum(map(len, pieces)) >= given.joined * 16_000:
            write()
    if pieces:
        write()
    return references, seconds


def _run(name: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One system in a process of its own: its texts, seconds and bytes."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's start finds compiled files
    passed = ["--data", given.data, "--num-beams", str(given.num_beams), "--language", given.language]
    passed += ["--threads", str(given.threads), "--compute-type", given.compute_type]
    passed += [part for option in given.engine_option for part in ("--engine-option", option)]
    python = sys.executable if name in COMMANDS else given.peers
    command = [python, __file__, given.model, *passed, "--one", name, "--folder", str(folder)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, said = process.communicate()
    wall = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"{name}: {said[-2000:]}")
    return {"command": wall, **json.loads(out.strip().splitlines()[-1])}


def _report(begin: float, texts: dict[str, str]) -> None:
    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    made = {
        "work": time.perf_counter() - begin,
        "processor": own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime,
        "memory": max(own.ru_maxrss, below.ru_maxrss) * 1024,
        "texts": texts,
    }
    print(json.dumps(made))


def _vox(given: argparse.Namespace, *more: str, model: str | None = None) -> None:
    """The command as a person types it; the seconds of the transcription are those it reports."""
    command = [sys.executable, "-m", "voxcli", "transcribe", str(given.folder / "audio"), "--json", *more]
    command += ["--model", model or given.model, "--num-beams", str(given.num_beams), "--timestamps", "none"]
    if not given.model.rstrip("/").endswith(".en"):
        command += ["--language", given.language]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    worked = float(made.stderr.rsplit(" of audio in ", 1)[1].split(" s", 1)[0])
    _report(time.perf_counter() - worked, {Path(row["path"]).name: row["text"] for row in rows})


def _pipeline(given: argparse.Namespace) -> None:
    """transformers' pipeline: batches of 8 in the order of the files, long recordings as its documentation has it."""
    import soundfile
    import torch
    from transformers import pipeline

    torch.set_num_threads(given.threads)
    pipe = pipeline("automatic-speech-recognition", model=given.model, dtype=torch.float32, device="cpu")
    begin = time.perf_counter()
    files = sorted((given.folder / "audio").iterdir())
    long = max(soundfile.info(path).duration for path in files) > 30.0
    keys: dict[str, Any] = {"num_beams": given.num_beams, "do_sample": False}
    if not given.model.rstrip("/").endswith(".en"):
        keys |= {"language": given.language, "task": "transcribe"}
    inputs = ({"raw": soundfile.read(path, dtype="float32")[0], "sampling_rate": 16_000} for path in files)
    made = pipe(inputs, batch_size=1 if long else 8, return_timestamps=long, generate_kwargs=keys)
    _report(begin, {path.name: one["text"] for path, one in zip(files, made, strict=True)})


def _openai(given: argparse.Namespace) -> None:
    """openai-whisper with the same weights, one file after the other, as its command does."""
    import soundfile
    import torch
    import whisper

    torch.set_num_threads(given.threads)
    model = whisper.load_model(str(_openai_weights(given)), device="cpu")
    begin = time.perf_counter()
    texts = {}
    for path in sorted((given.folder / "audio").iterdir()):
        audio = soundfile.read(path, dtype="float32")[0]
        beams = given.num_beams if given.num_beams > 1 else None
        made = model.transcribe(audio, language=given.language, fp16=False, beam_size=beams, verbose=None)
        texts[path.name] = made["text"]
    _report(begin, texts)


def _openai_weights(given: argparse.Namespace) -> Path:
    """The weights by the names of openai-whisper, made once."""
    import torch
    from transformers import WhisperForConditionalGeneration

    place: Path = given.folder / "openai.pt"
    if place.exists():
        return place
    model = WhisperForConditionalGeneration.from_pretrained(given.model, dtype=torch.float32)
    names = [
        ("model.", ""),
        ("layers", "blocks"),
        ("fc1", "mlp.0"),
        ("fc2", "mlp.2"),
        ("final_layer_norm", "mlp_ln"),
        ("self_attn_layer_norm", "attn_ln"),
        ("encoder_attn_layer_norm", "cross_attn_ln"),
        ("self_attn", "attn"),
        ("encoder_attn", "cross_attn"),
        ("q_proj", "query"),
        ("k_proj", "key"),
        ("v_proj", "value"),
        ("out_proj", "out"),
        ("encoder.embed_positions.weight", "encoder.positional_embedding"),
        ("decoder.embed_positions.weight", "decoder.positional_embedding"),
        ("embed_tokens", "token_embedding"),
        ("encoder.layer_norm", "encoder.ln_post"),
        ("decoder.layer_norm", "decoder.ln"),
    ]
    weights = {}
    for name, value in model.state_dict().items():
        if name == "proj_out.weight":
            continue
        for old, new in names:
            name = name.replace(old, new)
        weights[name] = value
    sizes = model.config
    dims = {
        "n_mels": sizes.num_mel_bins,
        "n_audio_ctx": sizes.max_source_positions,
        "n_audio_state": sizes.d_model,
        "n_audio_head": sizes.encoder_attention_heads,
        "n_audio_layer": sizes.encoder_layers,
        "n_vocab": sizes.vocab_size,
        "n_text_ctx": sizes.max_target_positions,
        "n_text_state": sizes.d_model,
        "n_text_head": sizes.decoder_attention_heads,
        "n_text_layer": sizes.decoder_layers,
    }
    torch.save({"dims": dims, "model_state_dict": weights}, place)
    return place


def _faster(given: argparse.Namespace) -> None:
    """faster-whisper, one file after the other."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(given.folder / "ct2"), device="cpu", compute_type=given.compute_type, cpu_threads=given.threads
    )
    begin = time.perf_counter()
    texts = {}
    for path in sorted((given.folder / "audio").iterdir()):
        made, _ = model.transcribe(str(path), language=given.language, beam_size=given.num_beams)
        texts[path.name] = " ".join(one.text.strip() for one in made)
    _report(begin, texts)


def _vox_ctranslate2(given: argparse.Namespace) -> None:
    options = [part for option in given.engine_option for part in ("--engine-option", option)]
    _vox(given, "--engine", "ctranslate2", *options, model=str(given.folder / "ct2"))


ONE: dict[str, Callable[[argparse.Namespace], None]] = {
    "vox": lambda given: _vox(given, "--encoder-context", "merged"),
    "vox-window": lambda given: _vox(given, "--encoder-context", "window"),
    "pipeline": _pipeline,
    "openai-whisper": _openai,
    "faster-whisper": _faster,
    "vox-ctranslate2": _vox_ctranslate2,
}


def _show(
    given: argparse.Namespace, runs: dict[str, list[dict[str, Any]]], references: dict[str, str], seconds: float
) -> None:
    from voxcli.evaluate.align import Counts, align
    from voxcli.evaluate.report import table
    from voxcli.models.open import open_model
    from voxcli.text.scoring import english_spelling_of, scoring_normalizer

    tokenizer = open_model(given.model, device="cpu").bundle.processor.tokenizer
    normalise = scoring_normalizer(given.language, english_spelling_of(tokenizer))
    rows = []
    first = next(iter(runs))

    def median(name: str, what: str) -> float:
        return statistics.median(run[what] for run in runs[name])

    for name, made in runs.items():
        counts = Counts()
        for key, reference in references.items():
            counts += align(normalise(reference), normalise(made[-1]["texts"].get(key, ""))).words
        work = [run["work"] for run in made]
        rows.append(
            [
                name,
                f"{100 * (counts.rate or 0):.1f}",
                f"{median(name, 'work'):.1f} ({min(work):.1f}-{max(work):.1f})",
                f"{median(name, 'work') / seconds:.3f}",
                f"{median(name, 'command'):.1f}",
                f"{median(name, 'processor'):.1f}",
                f"{median(name, 'memory') / 2**30:.2f}",
                f"{median(name, 'work') / median(first, 'work'):.2f}",
                f"{median(name, 'command') / median(first, 'command'):.2f}",
                f"{median(name, 'processor') / median(first, 'processor'):.2f}",
            ]
        )
    print(
        f"{len(references)} recordings, {seconds:.0f} s; {given.model}, beams {given.num_beams}, {given.rounds} rounds"
    )
    heads = ["", "WER %", "work s", "real time", "command s", "processor s", "memory GiB"]
    print("\n".join(table([*heads, "work", "command", "processor"], rows)))


if __name__ == "__main__":
    main()
