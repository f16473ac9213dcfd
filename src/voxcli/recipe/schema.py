"""The core tables of a recipe. Component tables (`[[data]] [[augment]] [model] [backend]`) belong to their plugins.

Keys that reach a library keep that library's name; the rest are plain words with the unit in the text below them.
"""

from __future__ import annotations

from typing import Any, Literal

from voxcli.api import config, field

COMPONENT_SECTIONS = {
    "data": "dataset",
    "augment": "augmentation",
    "model": "model",
    "backend": "backend",
    "decoder": "decoder",
}
LISTS = ("data", "augment")  # sections written with double brackets
TOP_KEYS = ("name", "seed", "extends", "unset")


@config
class Filter:
    """`[filter]`: which utterances are left out, in every split."""

    min_duration: float | None = None
    """s; None means what the model needs at least."""
    max_duration: float | None = None
    """s; None means what the model takes at most. Longer clips cost memory first."""
    too_long: Literal["drop", "crop", "chunk"] = "drop"
    """What becomes of clips of more than max_duration, or than the model takes: left out, cut down to their middle, or
    cut into equal pieces. A transcribed clip cannot be cropped, and is cut into pieces where it has `segments`."""
    too_short: Literal["drop", "pad"] = "drop"
    """What becomes of clips of less than min_duration, or than the model needs: left out, or padded with silence."""
    min_characters: int = 1
    """Shorter transcripts are left out; 1 drops the empty ones."""
    max_characters: int | None = None
    """Longer transcripts are left out."""
    max_characters_per_second: float | None = None
    """Above about 30 the transcript says more than anyone can speak: usually a misaligned row."""
    allowed_characters: str | None = None
    """Leave out transcripts that, after `[text]`, hold any other character than these."""
    languages: tuple[str, ...] | None = None
    """Keep only utterances of these languages, where the data set says one."""
    exclude: str | None = None
    """A text file of utterance ids to leave out, one a line; id, tab and a split leave it out of that split only. Lines
    that begin with `# ` are comments."""


@config
class TextRules:
    """`[text]`: what happens to a transcript before it is learned. Applied in the order of the keys below."""

    language: str | None = None
    """BCP-47 or ISO 639 code; decides the casing of Turkish and Azerbaijani (I/ı, İ/i) and Lithuanian."""
    unicode_form: Literal["NFC", "NFKC", "NFD", "NFKD"] = "NFC"
    """Unicode normal form (UAX 15). NFKC also folds ligatures and full-width letters."""
    lowercase: bool = False
    """Lower case by the rules of `language`."""
    replace: dict[str, str] = field(default_factory=dict)
    """Literal strings and what takes their place, applied in order, for example { "&" = " and " }. Where `lowercase` is
    set they meet lower-cased text."""
    remove: str = ""
    """Characters that are deleted, each one literally: no ranges, no patterns."""
    remove_punctuation: bool = False
    """Replace every character of the Unicode categories P and S by a space, except those in `keep`."""
    keep: str = "'’"
    """What `remove_punctuation` leaves alone."""
    strip_marks: bool = False
    """Remove combining marks (é -> e). Wrong for scripts that write vowels as marks, for example Devanagari."""


@config
class Holdout:
    """`[holdout]`: shares of the training split that become a split which the data does not have.

    Decided by a hash of the normalised text, so that equal texts never stand on both sides. Where labels are learned,
    each class gives its share.
    """

    validation: float = 0.0
    """Share of the training utterances, used only where no data set has a validation split."""
    test: float = 0.0
    """Share of the training utterances, used only where no data set has a test split."""
    speakers_apart: bool = False
    """No speaker is to stand in two splits: shares are cut by speaker instead of by text, and `vox doctor` checks the
    splits that the data have."""


@config
class Quantization:
    """`[quantization]`: the frozen base in 8 or 4 bits; the keys are those of transformers' BitsAndBytesConfig."""

    load_in_8bit: bool = False
    """LLM.int8 (arXiv 2208.07339): about a quarter of the fp32 bytes."""
    load_in_4bit: bool = False
    """QLoRA (arXiv 2305.14314): about an eighth of the fp32 bytes, slower steps."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    """nf4 fits normally distributed weights better."""
    bnb_4bit_use_double_quant: bool = False
    """Quantise the scales too: 0.4 bit less a parameter."""
    bnb_4bit_compute_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Type of the matrix products on 4-bit weights."""
    llm_int8_threshold: float = 6.0
    """Activations above it are computed in 16 bits."""
    llm_int8_skip_modules: tuple[str, ...] | None = None
    """Layers that keep their precision, in 8 and in 4 bits, by the end of their names; output layers always do."""


@config
class Adapter:
    """`[adapter]`: train a small addition to a frozen model; the keys are those of peft.LoraConfig."""

    type: Literal["lora", "attention"] = "lora"
    """`lora` (arXiv 2106.09685). `attention` is for CTC models of several languages, as in MMS (arXiv 2305.13516): a
    small adapter in every layer and an output layer for the language; of the keys below it has the next two alone."""
    language: str | None = None
    """`attention` only: name of the language, for example its ISO 639-3 code. The checkpoint holds
    adapter.<language>.safetensors and those of the checkpoint it began with; `vox transcribe --language` picks one."""
    adapter_attn_dim: int | None = None
    """`attention` only: width of the adapters. None means the checkpoint's own, else 16."""
    r: int = 8
    """Rank. Higher learns more and costs memory for its weights, gradients and optimizer state."""
    lora_alpha: int = 16
    """Scale: the update is multiplied by lora_alpha / r."""
    lora_dropout: float = 0.0
    """Dropout on the adapter's input."""
    target_modules: tuple[str, ...] | str | None = None
    """Names of the layers that get an adapter, a pattern that whole names match, or `all-linear`; None means the
    queries and values of every attention."""
    exclude_modules: tuple[str, ...] | str | None = None
    """Names of layers, or a pattern, that get none all the same."""
    layers_to_transform: tuple[int, ...] | None = None
    """Only these layers of a stack, counted from 0; in a model with two stacks (Whisper), of both."""
    layers_pattern: str | None = None
    """Name of the stack that `layers_to_transform` counts, where it is no usual one ("layers")."""
    rank_pattern: dict[str, int] = field(default_factory=dict)
    """Other ranks than `r`, by a pattern of layer names, for example { "decoder.*" = 16 }."""
    alpha_pattern: dict[str, int] = field(default_factory=dict)
    """Other scales than `lora_alpha`, by a pattern of layer names."""
    modules_to_save: tuple[str, ...] | None = None
    """Layers trained whole and saved with the adapter; None means the task's output layer where it has one of its own
    (CTC: lm_head, ctc_head); [] means none."""
    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases are trained."""
    lora_bias: bool = False
    """Give the adapter a bias of its own."""
    init_lora_weights: bool | Literal["gaussian", "pissa", "olora", "orthogonal"] = True
    """How the adapter begins. True changes nothing at first; `pissa` (arXiv 2404.02948) and `olora` (arXiv 2406.01775)
    begin from the strongest directions of the weights; False is random, for tests."""
    use_rslora: bool = False
    """Scale by lora_alpha / sqrt(r) (arXiv 2312.03732)."""
    use_dora: bool = False
    """Learn magnitude and direction apart (arXiv 2402.09353); slower."""
    trainable_token_indices: tuple[int, ...] | None = None
    """Tokens whose embeddings are learned besides, for example new ones; models with a decoder only."""
    ensure_weight_tying: bool = False
    """Keep layers tied that the adapter or `modules_to_save` would part, as Whisper's embedding and output."""


@config
class Train:
    """`[train]`: the length, the pace and the batches of a run. A backend refuses keys it does not honour."""

    max_steps: int | None = None
    """Optimizer steps; wins over num_train_epochs."""
    num_train_epochs: float | None = None
    """Passes over the training split. One of the two has to be set."""
    learning_rate: float = 1e-4
    """Peak rate. Usual: full fine-tuning 1e-5 (Whisper) to 3e-4 (CTC), LoRA 1e-4 to 1e-3."""
    lr_scheduler_type: str = "linear"
    """Any of transformers' SchedulerType: linear, cosine, constant_with_warmup, warmup_stable_decay …"""
    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    """Handed to the scheduler."""
    warmup_steps: float = 0.1
    """Steps of rising rate; below 1 it is a share of all steps."""
    optim: str = "adamw_torch"
    """adamw_torch, adamw_bnb_8bit, paged_adamw_8bit, adafactor, sgd … as in transformers' OptimizerNames; some need a
    package of their own."""
    optim_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of an optimizer that are no key here, for example { momentum = 0.9 } of sgd."""
    optim_target_modules: tuple[str, ...] | str | None = None
    """Layers that GaLore or APOLLO projects: names, a pattern, or all-linear."""
    layer_decay: float | None = None
    """Rate of each transformer layer as a share of that of the layer above it; the output has the whole learning_rate.
    Usual: 0.8 to 0.95."""
    learning_rates: dict[str, float] = field(default_factory=dict)
    """Other rates than `learning_rate`, by the groups of `freeze` or by patterns of parameter names, for example
    { head = 1e-3 }; later ones win."""
    freeze: tuple[str, ...] = ()
    """What is not trained: feature_encoder, feature_projection, embeddings, encoder, encoder.layers.0-5, decoder, head,
    all_but_head, or patterns of parameter names (*.attention.*)."""
    weight_decay: float = 0.0
    """Decoupled decay, not applied to biases and normalisation weights."""
    adam_beta1: float = 0.9
    """Decay of the first moment."""
    adam_beta2: float = 0.999
    """Decay of the second moment."""
    adam_epsilon: float = 1e-8
    """Added to the denominator."""
    label_smoothing_factor: float = 0.0
    """Share of each label that is spread evenly over all classes, in training (arXiv 1512.00567); 0.1 is usual. For
    models that predict one class at a time: with a decoder, classifiers. The validation loss is not smoothed."""
    max_grad_norm: float = 1.0
    """Clip the gradient's norm; 0 leaves it."""
    ema_decay: float | None = None
    """Evaluate and save a moving average of the weights, of which so much is kept at each step: 0.999 averages over the
    last thousand steps or so. It rises to that value while a run is young. One copy more of what is trained."""
    average_checkpoints: int = 0
    """At the end of a run, average the weights of so many checkpoints and evaluate them: the best, where they are."""
    average_by: Literal["best", "last"] = "best"
    """Which checkpoints: those with the best metric, or the newest. So many are kept until the end."""
    batch_duration: float | None = None
    """s of padded audio per device and step; one of this and per_device_train_batch_size has to be set."""
    per_device_train_batch_size: int | None = None
    """Utterances per device and step."""
    group_by_length: bool | None = None
    """Clips of similar length share a batch: little padding. Without it a batch holds clips of any length. None: yes,
    but for classification, where length says something of the class and a batch would hold few of them."""
    gradient_accumulation_steps: int = 1
    """Batches per optimizer step; the gradient is the exact mean over all of them."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: much less memory, about a third more time."""
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """Precision of the forward pass; weights that are trained stay float32."""
    frozen_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Type in which weights that are not trained are kept. Half of it needs the same mixed_precision; the bytes of the
    frozen part are halved."""
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = (
        None
    )
    """How attention is computed, as in transformers' from_pretrained. None takes the best that the model has; `eager`
    keeps every attention weight and needs about twice the memory."""
    use_cpu: bool = False
    """Train on the processor even where there is a GPU."""
    dataloader_num_workers: int = 0
    """Processes that read, augment and compute features. 0 works in the training process."""
    logging_steps: int = 10
    """Steps between lines on the screen; every step is in log.jsonl."""
    eval_steps: int | None = None
    """Steps between evaluations; None means at the end of each epoch's worth of steps, at most ten a run, and so seldom
    that they cost about a tenth of the training."""
    save_steps: int | None = None
    """Steps between checkpoints; None means at every evaluation. One is always written at the end."""
    save_total_limit: int = 2
    """Checkpoints kept, beside the best."""
    early_stopping_patience: int | None = None
    """Stop after this many evaluations without a better metric."""
    max_culprits: int = 20
    """Utterances that may be set aside because their loss or gradient is not finite; one more stops the run, 0 stops it
    at the first."""


@config
class Evaluate:
    """`[evaluate]`: what is measured, and how text is decoded, during training and afterwards."""

    metrics: tuple[str, ...] | None = None
    """Names of the task's metrics; the first picks the best checkpoint. None means all the task has."""
    max_utterances: int | None = 500
    """Size of the fixed validation sample during training, at most; where eval_steps is not set, short runs take fewer,
    so that evaluations cost about a tenth of the training. `vox evaluate` always takes the whole split."""
    batch_duration: float = 120.0
    """s of padded audio per evaluation batch."""
    num_beams: int = 1
    """Beams of the search, here and in `vox transcribe`; 1 is greedy."""
    max_new_tokens: int | None = None
    """Longest output in tokens; None means what the model allows."""
    no_repeat_ngram_size: int = 0
    """Forbid a repeated n-gram of this length; 0 allows all."""


@config
class Gate:
    """`gate` of a `[[stage]]`: what its model has to reach for the next stage to begin."""

    metric: str
    """A metric of `[evaluate]`, or loss."""
    at_most: float | None = None
    """The stage has passed where the metric is not above it; one of this and at_least has to be set."""
    at_least: float | None = None
    """The same for metrics of which more is better."""

    def passed(self, value: float) -> bool:
        """Whether a value of the metric is good enough; NaN never is."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)

    @property
    def aim(self) -> str:
        """In words: "at most 0.5"."""
        return f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"


@config
class Stage:
    """`[[stage]]`: one part of a run that is trained in parts. Beside these keys it may hold [stage.filter],
    [stage.model], [stage.train], [stage.evaluate], [[stage.data]] and [[stage.augment]]: what is other than in the rest
    of the recipe."""

    name: str | None = None
    """Names its folder, runs/NAME/stages/1-NAME; None means "stage"."""
    gate: Gate | None = None
    """What has to be reached before the next stage begins; the run ends with an error where it is not."""
    hand_over: Literal["last", "best"] = "last"
    """The checkpoint that the next stage begins with, and that the gate looks at."""
    unset: tuple[str, ...] = ()
    """Keys of the recipe that this stage does without, for example ["train.batch_duration"]."""


STAGED = ("data", "filter", "augment", "model", "train", "evaluate")
"""Sections that a stage may say otherwise."""

CORE: dict[str, type] = {
    "filter": Filter,
    "text": TextRules,
    "holdout": Holdout,
    "quantization": Quantization,
    "adapter": Adapter,
    "train": Train,
    "evaluate": Evaluate,
}
OPTIONAL = ("quantization", "adapter")  # absent means: not done; every other core section has its defaults
SECTIONS = (
    "data",
    "filter",
    "text",
    "holdout",
    "augment",
    "model",
    *OPTIONAL,
    "backend",
    "train",
    "evaluate",
    "decoder",
)
"""Every section, in the order in which a recipe is read and written."""


def homes_of(key: str) -> str:
    """The core sections that have a key of this name, as a message names them: "[adapter]"."""
    return " and ".join(
        f"[{section}]" for section, cls in CORE.items() if key in getattr(cls, "__dataclass_fields__", {})
    )
