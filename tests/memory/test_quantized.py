"""Layers without storage that take what bitsandbytes' layers take, measured at torch's CPU allocator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from voxcli.memory.counted import Allocations
from voxcli.memory.quantized import replace_linears
from voxcli.testing_models import tiny_whisper

ROWS = 400  # of the input, 4 clips
CONFIGS: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},
    "int8-without-outliers": {"load_in_8bit": True, "llm_int8_threshold": 0.0},
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "fp4-nested": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": torch.bfloat16,
    },
}


def _config(name: str, **more: Any) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(**CONFIGS[name], **{"llm_int8_skip_modules": ["none"], **more})


class _Net(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.config: Any = type("Config", (), {})()
        self.wide = nn.Linear(256, 512, dtype=dtype)
        self.narrow = nn.Linear(512, 128, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(nn.functional.gelu(self.wide(x)))
        return y


def _real(config: Any, dtype: torch.dtype) -> nn.Module:
    """The net with bitsandbytes' own layers, quantised on the CPU."""
    import bitsandbytes.nn as bnb

    net = _Net(dtype)
    for name, linear in list(net.named_children()):
        sizes = (linear.in_features, linear.out_features, True)
        made: Any
        if config.load_in_8bit:
            made = bnb.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=config.llm_int8_threshold)
            made.weight = bnb.Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False).to("cpu")
        else:
            kind = {
                "compress_statistics": config.bnb_4bit_use_double_quant,
                "quant_type": config.bnb_4bit_quant_type,
            }
            made = bnb.Linear4bit(*sizes, config.bnb_4bit_compute_dtype, **kind)
            made.weight = bnb.Params4bit(linear.weight.data, requires_grad=False, **kind).to("cpu")
            made.support_avx512bf16_for_cpu = False  # as voxcli.train.loading sets it
        made.bias = nn.Parameter(linear.bias.data, requires_grad=False)
        setattr(net, name, made)
    return net


def _measure(make: Callable[[], nn.Module], dtype: torch.dtype, how: str, *, autocast: bool) -> tuple[int, ...]:
    """Bytes: peak of the forward pass, what it keeps, peak of the backward pass; of the second call."""
    net = make().train(how != "evaluation")
    x = torch.randn(4, ROWS // 4, 256, dtype=dtype, requires_grad=how != "evaluation")

    def forward() -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if how.startswith("checkpoint"):
                y: Tensor = checkpoint(net, x, use_reentrant=how == "checkpoint-reentrant")
                return y
            with torch.set_grad_enabled(how != "evaluation"):
                return net(x)  # type: ignore[no-any-return]

    forward()  # biases change their type at the first call
    with Allocations() as forwards:
        y = forward()
    with Allocations() as backwards:
        if how != "evaluation":
            y.float().sum().backward()
    return forwards.peak, int(forwards.curve[-1]), backwards.peak


@pytest.mark.parametrize("how", ["training", "checkpoint", "checkpoint-reentrant", "evaluation"])
@pytest.mark.parametrize(
    ("dtype", "autocast"), [(torch.float32, False), (torch.float32, True), (torch.bfloat16, False)]
)
@pytest.mark.parametrize("name", CONFIGS)
def test_allocates_what_bitsandbytes_does(name: str, dtype: torch.dtype, how: str, autocast: bool) -> None:
    config = _config(name)
    truth = _measure(lambda: _real(config, dtype), dtype, how, autocast=autocast)
    ours = _measure(lambda: replace_linears(_Net(dtype), config, "cpu"), dtype, how, autocast=autocast)
    assert ours == pytest.approx(truth, rel=1e-4, abs=512)
    assert truth[0] > ROWS * 512  # something was measured


def _bytes_of(model: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_and_scales_take_the_same_bytes(name: str) -> None:
    config = _config(name)
    real: Any = _real(config, torch.float32)
    total = _bytes_of(real)
    for layer in (real.wide, real.narrow):
        if config.load_in_8bit:
            total += layer.weight.SCB.nbytes
        else:
            state = layer.weight.quant_state
            total += state.absmax.nbytes + state.code.nbytes
            if state.nested:
                total += state.state2.absmax.nbytes + state.state2.code.nbytes + state.offset.nbytes
    assert _bytes_of(replace_linears(_Net(torch.float32), config, "cpu")) == total


def test_int8_keeps_its_input_through_checkpointing_unless_it_re_enters() -> None:
    """19.8 instead of 7.95 GiB for a Whisper large: the reason for re-entrant checkpointing, on a GPU too."""
    kept = {}
    for device in ("cpu", "cuda"):
        for how in ("checkpoint", "checkpoint-reentrant"):
            net = replace_linears(_Net(torch.float32), _config("int8"), device)
            kept[device, how] = _measure(lambda net=net: net, torch.float32, how, autocast=False)[1]
    for device in ("cpu", "cuda"):
        hidden = ROWS * 512 * 4  # the input of the second layer
        assert kept[device, "checkpoint"] - kept[device, "checkpoint-reentrant"] >= hidden


def test_a_gpu_needs_an_int32_product_for_int8() -> None:
    x = torch.randn(4, ROWS // 4, 256).half()
    net = replace_linears(_Net(torch.float32), _config("int8"), "cuda").eval()
    with Allocations() as forward, torch.no_grad():
        net.wide(x)
    # the quantised input, the product as int32 and as float16
    assert forward.peak == pytest.approx(ROWS * 256 + ROWS * 512 * (4 + 2), rel=0.01)


@pytest.mark.parametrize("use_dora", [False, True])
@pytest.mark.parametrize("name", ["int8", "nf4"])
def test_peft_puts_its_own_layers_around_them(name: str, use_dora: bool, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora.bnb import Linear4bit, Linear8bitLt
    from transformers import AutoConfig, WhisperForConditionalGeneration

    settings = AutoConfig.from_pretrained(tiny_whisper(tmp_path / "whisper"))
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(settings)
    skip = ["proj_out", "fc1"]
    replace_linears(model, _config(name, llm_int8_skip_modules=skip), "cuda")
    lora = LoraConfig(r=4, target_modules=["q_proj"], use_dora=use_dora)
    wrapped: Any = get_peft_model(model, lora, low_cpu_mem_usage=True)
    inner = wrapped.base_model.model
    layer = inner.model.encoder.layers[0]
    assert type(layer.self_attn.q_proj) is (Linear8bitLt if name == "int8" else Linear4bit)
    assert type(layer.fc1) is nn.Linear
    assert type(inner.proj_out) is nn.Linear
    assert layer.fc2.weight.dtype in (torch.int8, torch.uint8)
    features = torch.empty(1, settings.num_mel_bins, 2 * settings.max_source_positions, device="meta")
    wrapped(input_features=features, labels=torch.zeros(1, 3, dtype=torch.long, device="meta")).loss.backward()
    assert layer.self_attn.q_proj.lora_A["default"].weight.grad is not None
    assert bool(len(layer.self_attn.q_proj.lora_magnitude_vector)) == use_dora
