"""run_speech_recognition_seq2seq.py: Whisper, or an acoustic encoder with a text decoder."""

from __future__ import annotations

from typing import Any

from voxcli.recipe.importing import shared
from voxcli.recipe.importing.imported import Imported
from voxcli.recipe.importing.training import metrics, training

_PREFIX = 4  # tokens that generation_max_length counts and max_new_tokens does not: start, language, task, no times


def seq2seq(to: Imported) -> None:
    """Speech to text with a decoder."""
    to.tables["name"] = shared.name_of(to)
    training(to)
    shared.data(to, train="train", evaluation="test", column="text")
    shared.durations(to, longest=20.0, shortest=0.0)
    name = shared.checkpoint(to)
    whisper = "whisper" in name.lower()
    model: dict[str, Any] = {"type": "whisper" if whisper else "encoder-decoder", "checkpoint": name}
    if not whisper:
        to.note("to do", "--model_name_or_path", f"{name} is taken for a SpeechEncoderDecoderModel, by its name alone")
    language, task = to.text("language"), to.text("task", "transcribe")
    if whisper:
        model["language"] = language
        model["generation_task"] = task if task == "translate" else None
        if language and name.endswith(".en"):
            to.note("mended", "--language", f"{name} knows English only, and the script ends with an error: left out")
            del model["language"]
    frozen = to.flag("freeze_feature_encoder", True)
    if whisper and frozen:
        text = (
            "the script calls what Whisper does not have and crashes, unless it is False: nothing is frozen by it here"
        )
        to.note("mended", "--freeze_feature_encoder", text)
    elif not whisper:
        model["freeze_feature_encoder"] = frozen
    model["freeze_encoder"] = to.flag("freeze_encoder") or None
    if to.flag("apply_spec_augment"):
        model.update({"apply_spec_augment": True} if whisper else {"mask_time_prob": 0.05, "mask_time_length": 10})
    to.tables["model"] = {key: value for key, value in model.items() if value is not None}
    lower = to.flag("do_lower_case", True)
    to.tables["text"] = {"lowercase": lower}
    if lower and whisper and not to.given("do_lower_case"):
        text = "the script lower-cases unless told otherwise, and Whisper learns it: remove text.lowercase to keep case"
        to.note("changed", "--do_lower_case", text)
    _decoding(to, whisper=whisper)
    to.drop(
        "config_name", "tokenizer_name", "feature_extractor_name", "use_fast_tokenizer",
        why="the checkpoint's own: parts of other checkpoints fail in ways that show late",
    )  # fmt: skip
    to.drop("forced_decoder_ids", "suppress_tokens", why="language and task are kept in the generation config")
    to.drop("sortish_sampler", "generation_config", "model_index_name", why="not needed here")
    metrics(to, ["wer", "cer"])


def _decoding(to: Imported, *, whisper: bool) -> None:
    to.drop("predict_with_generate", why="validation always writes text, as vox evaluate and vox transcribe do")
    if (length := to.number("generation_max_length")) is not None:
        to.set("evaluate", max_new_tokens=int(length) - (_PREFIX if whisper else 0))
        if whisper:
            text = f"max_new_tokens does not count the {_PREFIX} tokens of the prefix, generation_max_length does"
            to.note("changed", "--generation_max_length", text)
    if (beams := to.number("generation_num_beams")) is not None:
        to.set("evaluate", num_beams=int(beams))
    text = "the script compares raw texts; vox evaluate says raw and normalised rates, with intervals"
    to.note("changed", "wer", text)
