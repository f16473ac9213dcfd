"""What cannot be trained together is refused by name, with the repair, before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from voxcli.errors import RecipeError
from voxcli.recipe.resolve import resolve_tables

TABLES: dict[str, Any] = {
    "name": "r",
    "data": [{"type": "sample-speech"}],
    "model": {"type": "whisper", "checkpoint": "no/such-model"},
    "train": {"max_steps": 1, "batch_duration": 10.0},
}
REFUSED: list[tuple[list[str], str, str, str]] = [
    # changes; code; what is said; the repair
    (["quantization.load_in_8bit=true"], "R015", "without [adapter]", "add [adapter]"),
    (["quantization.load_in_8bit=true", "quantization.load_in_4bit=true", "adapter.r=4"], "R014", "both true", "keep"),
    (["quantization.bnb_4bit_quant_type='fp4'", "adapter.r=4"], "R014", "quantises nothing", "set one"),
    (["train.frozen_dtype='bfloat16'"], "R018", 'mixed_precision is "no"', 'mixed_precision = "bf16"'),
    (["train.frozen_dtype='float16'", "train.mixed_precision='bf16'"], "R018", '"float16"', '"fp16"'),
    (["train.attn_implementation='flash_attention_2'"], "R018", "half precision", '"bf16" or "fp16"'),
    (["train.attn_implementation='flex_attention'", "train.use_cpu=true"], "R018", "on the CPU", '"sdpa"'),
    (["adapter.init_lora_weights='pissa'", "quantization.load_in_4bit=true"], "R019", "rewrites the weights", "= true"),
    (["adapter.init_lora_weights='olora'", "quantization.load_in_8bit=true"], "R019", "rewrites the weights", "= true"),
    (["adapter.bias='all'", "quantization.load_in_8bit=true"], "R019", "trains biases", '"none"'),
    (["adapter.init_lora_weights='orthogonal'", "adapter.r=5"], "R019", "even r", "r = 6"),
    (["adapter.lora_bias=true", "adapter.use_dora=true"], "R019", "exclude each other", "remove one"),
    (["adapter.lora_bias=true", "adapter.init_lora_weights='gaussian'"], "R019", "needs init_lora_weights", "remove"),
    (["adapter.layers_pattern='layers'"], "R019", "picks no layers", "layers_to_transform = [0, 1]"),
    (["adapter.target_modules='all-linear'", "adapter.layers_to_transform=[0]"], "R019", "a pattern", "name them"),
    (["adapter.rank_pattern={'.*' = 0}"], "R006", "is 0", ""),
]
ALLOWED = [
    ["train.frozen_dtype='bfloat16'", "train.mixed_precision='bf16'", "adapter.r=4"],
    ["train.attn_implementation='flash_attention_2'", "train.mixed_precision='fp16'"],
    ["adapter.init_lora_weights='pissa'"],
    ["adapter.init_lora_weights=false", "adapter.lora_bias=true"],
    ["adapter.init_lora_weights='orthogonal'", "quantization.load_in_4bit=true"],
    ["adapter.bias='all'", "adapter.use_dora=true"],
    ["adapter.target_modules=['q_proj']", "adapter.layers_to_transform=[0]", "adapter.layers_pattern='layers'"],
    ["adapter.target_modules='all-linear'", "quantization={load_in_8bit=true, llm_int8_skip_modules=['fc1']}"],
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "said", "repair"), REFUSED, ids=lambda one: str(one)[:60])
def test_it_is_refused(changes: list[str], code: str, said: str, repair: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve_tables(TABLES, changes)
    (finding,) = caught.value.findings
    assert finding.code == code
    assert said in finding.message
    assert repair in (finding.help or "")
    assert finding.path[0] in ("train", "adapter", "quantization"), "the message shows its line"


@pytest.mark.parametrize("changes", ALLOWED, ids=lambda one: str(one)[:60])
def test_it_is_not(changes: list[str]) -> None:
    resolve_tables(TABLES, changes)


def test_a_new_output_layer_that_would_stay_random_is_warned_of() -> None:
    ctc = {**TABLES, "model": {"type": "ctc", "checkpoint": "no/such-model"}}
    for saved, warned in (("[]", True), ("['intermediate_dense']", True), ("['lm_head']", False)):
        made = resolve_tables(ctc, [f"adapter.modules_to_save={saved}"])
        assert [one.code for one in made.warnings] == (["R019"] if warned else [])
    assert not resolve_tables(TABLES, ["adapter.modules_to_save=[]"]).warnings, "a Whisper has its output layer"
