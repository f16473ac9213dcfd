"""run_speech_recognition_ctc.py, and the same with a language adapter."""

from __future__ import annotations

from typing import Any

from voxcli.recipe.importing import shared
from voxcli.recipe.importing.imported import Imported
from voxcli.recipe.importing.training import metrics, training

_DROPOUTS = ("attention_dropout", "activation_dropout", "feat_proj_dropout", "hidden_dropout", "final_dropout")
_NO_DROPOUTS = ("parakeet", "lasr")  # architectures without most of them
_METRICS = ("wer", "cer", "mer", "wil")


def ctc(to: Imported) -> None:
    """Speech to characters."""
    _common(to, dropouts=_DROPOUTS)
    model = to.tables["model"]
    frozen = to.flag("freeze_feature_encoder", to.flag("freeze_feature_extractor", True))
    model["freeze_feature_encoder"] = frozen
    if to.flag("add_adapter"):
        model["config"] = {"add_adapter": True}
    if to.flag("ctc_zero_infinity"):
        text = "labels that do not fit their frames are named and left out before training, not silenced"
        to.note("changed", "--ctc_zero_infinity", text)
    if (language := to.text("phoneme_language")) is not None:
        text = (
            f"write phonemes of '{language}' into the text column (espeak-ng), and [text] as it is: nothing phonemizes"
        )
        to.note("to do", "--phoneme_language", text)
    if to.given("shuffle_buffer_size"):  # the streaming script of transformers 4.18
        table = to.tables["data"][0]
        table.update(streaming=True, buffer_size=int(to.number("shuffle_buffer_size")))


def adapter(to: Imported) -> None:
    """A language as an adapter and an output layer."""
    _common(to, dropouts=("final_dropout",))
    language = to.text("target_language")
    if language is None:
        to.note("to do", "--target_language", "the script needs it: name the language in [adapter]")
        language = "xxx"
    to.set("adapter", type="attention", language=language)
    to.set("adapter", adapter_attn_dim=int(to.number("adapter_attn_dim", 16)))
    to.drop("overwrite_lang_vocab", why="the language's vocabulary is that of the training texts; others stay")


def _common(to: Imported, *, dropouts: tuple[str, ...]) -> None:
    to.tables["name"] = shared.name_of(to)
    training(to)
    shared.data(to, train="train+validation", evaluation="test", column="text")
    shared.durations(to, longest=20.0, shortest=0.0)
    _text(to)
    name = shared.checkpoint(to)
    tokenizer = to.text("tokenizer_name_or_path")
    model: dict[str, Any] = {"type": "ctc", "checkpoint": name}
    model["vocabulary"] = "checkpoint" if tokenizer is not None else "data"
    if tokenizer not in (None, name):
        text = f"the tokenizer of {tokenizer}: a checkpoint's own is taken here; copy its files into the model's folder"
        to.note("to do", "--tokenizer_name_or_path", text)
    for key in (*dropouts, "layerdrop"):
        value = float(to.number(key, 0.0))
        if to.given(key) or not any(one in name.lower() for one in _NO_DROPOUTS):
            model[key] = value
    if not any(to.given(key) for key in (*dropouts, "layerdrop")):
        text = "the script overwrites the checkpoint's dropouts with 0, and so does the recipe: remove them for its own"
        to.note("changed", "--hidden_dropout …", text)
    model["mask_time_prob"] = float(to.number("mask_time_prob", 0.05))
    model["mask_time_length"] = int(to.number("mask_time_length", 10))
    model["mask_feature_prob"] = float(to.number("mask_feature_prob", 0.0))
    model["mask_feature_length"] = int(to.number("mask_feature_length", 10))
    to.tables["model"] = model
    if to.text("ctc_loss_reduction", "mean") != "mean":
        text = "the loss is the mean over the label tokens of a step: a learning rate for sums is too high here, or low"
        to.note("to do", "--ctc_loss_reduction", text)
    to.drop("unk_token", "pad_token", "word_delimiter_token", why="a new vocabulary has [UNK], [PAD] and |")
    names = [name.lower() for name in to.words("eval_metrics") or ["wer"]]
    if strange := [name for name in names if name not in _METRICS]:
        to.note("left out", "--eval_metrics", f"{', '.join(strange)}: metrics are wer and cer")
    metrics(to, [name for name in names if name in ("wer", "cer")] or ["wer"])


def _text(to: Imported) -> None:
    words = to.words("chars_to_ignore")
    rules: dict[str, Any] = {"lowercase": True}
    to.note("changed", "lower case", "the script always lower-cases; set text.language where I and i are two letters")
    if words:
        characters = "".join(dict.fromkeys("".join(words).replace("\\", "")))
        rules["remove"] = characters
        if (deleted := _range(words)) is not None:
            text = f"each character is removed literally; in the script they become the range {deleted}"
            to.note("mended", "--chars_to_ignore", text)
    to.tables["text"] = rules
    if "tokenizer_name_or_path" not in to.command.given:
        text = "the script takes characters of the test texts into the vocabulary; here the training texts alone decide"
        to.note("mended", "vocabulary", text)


def _range(words: list[str]) -> str | None:
    """The range that an unescaped hyphen makes of `[…]`, and what it deletes besides, in words."""
    joined = "".join(words)
    at = joined.find("-", 1)
    if at < 1 or at + 1 >= len(joined) or joined[at - 1] == "\\":
        return None
    after = joined[at + 1 :].lstrip("\\")[:1]
    first, last = ord(joined[at - 1]), ord(after) if after else 0
    if last <= first:
        return None
    within = [chr(code) for code in range(first, last + 1) if chr(code) not in joined]
    letters = [one for one in within if one.isalnum() or one == "'"]
    lost = " and ".join(
        what
        for what, there in (("every digit", any(one.isdigit() for one in letters)), ("apostrophes", "'" in letters),
                            ("letters", any(one.isalpha() for one in letters)))
        if there
    )  # fmt: skip
    return f"{chr(first)}-{chr(last)}, which deletes {lost or 'other characters'} too"
