"""run_audio_classification.py."""

from __future__ import annotations

from voxcli.recipe.importing import shared
from voxcli.recipe.importing.imported import Imported
from voxcli.recipe.importing.training import metrics, training

_NO_FREEZE = ("ast-", "whisper", "w2v-bert", "wav2vec2-bert")


def classification(to: Imported) -> None:
    """A recording to a class."""
    to.tables["name"] = shared.name_of(to)
    removed = to.command.given.get("remove_unused_columns") or ["True"]
    if removed[0].lower() != "false" and not to.given("no_remove_unused_columns"):
        text = "without --remove_unused_columns False the script ends with a KeyError: nothing of the kind is needed"
        to.note("mended", "--remove_unused_columns", text)
    training(to)
    shared.data(to, train="train", evaluation="validation", column="label", columns=("audio", "label"))
    name = shared.checkpoint(to, "facebook/wav2vec2-base")
    frozen = to.flag("freeze_feature_encoder", to.flag("freeze_feature_extractor", True))
    if frozen and any(one in name.lower() for one in _NO_FREEZE):
        text = "the script crashes for this architecture; here the convolutions of every architecture can be frozen"
        to.note("mended", "--freeze_feature_encoder", text)
    to.tables["model"] = {
        "type": "classifier",
        "checkpoint": name,
        "freeze_feature_encoder": frozen,
        "crop": "random",
        "crop_duration": float(to.number("max_length_seconds", 20)),
    }
    if to.given("attention_mask"):
        to.drop("attention_mask", why="taken from the architecture: a wrong one costs accuracy in silence")
    to.drop("ignore_mismatched_sizes", why="an output layer for other labels is new, and said to be")
    to.drop("config_name", "feature_extractor_name", why="the checkpoint's own")
    to.drop("train_file", "eval_file", why='the script never reads them; [[data]] type = "manifest" would')
    metrics(to, ["accuracy", "macro_f1"])
