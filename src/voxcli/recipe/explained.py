"""R001 to R020, the problems for which a recipe does not resolve: what each is, why it stops, how it is repaired.

`vox explain`, `vox doctor --list` and docs/checks.md take them from here, beside the docstrings of the checks.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

WIDTH = 116  # characters a line, as in the docstrings of the checks


@dataclass(frozen=True)
class Explained:
    """One problem."""

    name: str
    """The problem in lower-case words joined by hyphens."""
    summary: str
    """What is wrong, one line."""
    why: str
    repair: str

    @property
    def text(self) -> str:
        """As the docstring of a check would say it."""
        paragraphs = (self.summary, f"Why: {self.why}", f"Repair: {self.repair}", "Sources: docs/recipe.md.")
        return "\n\n".join(textwrap.fill(one, WIDTH, break_long_words=False) for one in paragraphs)


EXPLAINED: dict[str, Explained] = {
    "R001": Explained(
        "recipe-unreadable",
        "The recipe's file cannot be read, or is not TOML.",
        "nothing else can be checked before it can be. A frequent reason is a value without quotes, or a string that "
        "does not end on its line.",
        "the message names the line; TOML's rules stand at https://toml.io/en/v1.0.0.",
    ),
    "R002": Explained(
        "extends-or-unset",
        "`extends` names no recipe or preset, or `unset` a key that is not inherited.",
        "a recipe that inherits from nothing lacks most of its keys, and a key that `unset` misspells stays set.",
        "a shipped name (`vox recipe list`) or a path beside the recipe; `vox recipe show` prints what is inherited.",
    ),
    "R003": Explained(
        "unknown-section",
        "A section or top-level key that does not exist.",
        "it would be read by nobody, and the run would go on without what it was meant to set.",
        "the help names the closest one, and the section that has a key of this name.",
    ),
    "R004": Explained(
        "unknown-component",
        "A table names no component, or one that nothing installed is called.",
        "`type` says which data set, model, augmentation or backend a table configures.",
        "one of the names in the help; a plugin that is broken or not installed is named as well (`vox plugins list`).",
    ),
    "R005": Explained(
        "unknown-key",
        "A key that its table does not have.",
        "a misspelled key would leave its default in place without a word.",
        "the help names the closest key; the tables of keys stand in the documentation.",
    ),
    "R006": Explained(
        "wrong-value",
        "A value of the wrong type, or out of its range.",
        'types are strict: "240" is no number and 1 is not true, because a library would read them as something else.',
        "the message says what is expected.",
    ),
    "R007": Explained(
        "missing-key",
        "A key or a section that has to be there is missing.",
        "there is no default for where the data lie or which model is trained.",
        "add the key that the message names; the help describes it.",
    ),
    "R008": Explained(
        "wrong-override",
        "A change on the command line cannot be applied.",
        "it is no KEY=VALUE, its value is no TOML, or it removes or indexes something that is not set.",
        "a value is TOML: `model.language=tr` is taken as text, `train.max_steps=100` as a number, `~adapter` removes.",
    ),
    "R009": Explained(
        "component-broken",
        "A component cannot be imported, or fails when it is made.",
        "the plugin that brings it is named with its version; its code, not the recipe, is at fault.",
        "`vox plugins list` shows its state; update it, or report it to its authors.",
    ),
    "R010": Explained(
        "no-length",
        "The run has no length: neither `max_steps` nor `num_train_epochs` is set.",
        "the schedule of the learning rate and the warm-up are shares of it.",
        "`max_steps = 1000`, or `num_train_epochs = 3.0`.",
    ),
    "R011": Explained(
        "no-batch-size",
        "The batches have no size, or two.",
        "`batch_duration` fills batches by seconds of padded audio, `per_device_train_batch_size` by number.",
        "set one of the two and remove the other.",
    ),
    "R012": Explained(
        "not-honoured",
        "A key of [train] that the chosen backend does not honour.",
        "it would be ignored, and the run would be another than the recipe says.",
        "remove the key, or choose another [backend] type.",
    ),
    "R013": Explained(
        "unknown-metric",
        "A metric that the task does not have.",
        "the first metric picks the best checkpoint, so a wrong name would pick none.",
        "one of the names in the help, or no `metrics`: then all that the task has.",
    ),
    "R014": Explained(
        "quantization-width",
        "[quantization] asks for 8 and for 4 bits, or for neither.",
        "bitsandbytes keeps a model in one width.",
        "keep one of `load_in_8bit` and `load_in_4bit`, or remove the section.",
    ),
    "R015": Explained(
        "quantization-without-adapter",
        "A quantised model is trained without an adapter.",
        "weights of 8 or 4 bits take no gradient (QLoRA, arXiv 2305.14314): there is nothing to train.",
        'add [adapter] with type = "lora", or remove [quantization].',
    ),
    "R016": Explained(
        "component-says",
        "What a component found wrong with its own keys.",
        "keys that are valid one by one need not go together; the component knows.",
        "the message and the help are the component's own.",
    ),
    "R017": Explained(
        "path-missing",
        "A path that does not exist on this machine.",
        "an error where the recipe is about to be run, a warning where it is only read: a recipe may be checked on a "
        "machine without its data.",
        "the help says where it was looked for; `KEY=PATH` on the command line sets another.",
    ),
    "R018": Explained(
        "precision-together",
        "Precisions or an attention that do not go together.",
        "half of a frozen type needs the same mixed precision, flash attention is made for half precision on a GPU.",
        "the help names the value that fits the other.",
    ),
    "R019": Explained(
        "adapter-together",
        "Keys of [adapter] that exclude each other, or [quantization].",
        "peft would refuse them while the model is loaded, or train something else than they say.",
        "the help names the key to remove or its value.",
    ),
    "R020": Explained(
        "stage-together",
        "A [[stage]] that cannot be one.",
        "a stage goes on with the model of the stage before, so it may say otherwise how that is trained, and on what, "
        "but not which model it is; and a gate needs one aim for a metric that is measured.",
        "the help names what a stage may hold; what is the same for all stages stands above them.",
    ),
}
