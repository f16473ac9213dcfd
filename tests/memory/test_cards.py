"""Names and sizes become devices."""

from __future__ import annotations

import pytest

from voxcli.errors import UsageError
from voxcli.memory import cards
from voxcli.memory.cards import CARDS, GIB, find, parse_size


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("rtx-3060", "RTX 3060"),
        ("RTX 3060", "RTX 3060"),
        ("3060", "RTX 3060"),
        ("3060 Ti", "RTX 3060 Ti"),
        ("rtx_3060_8gb", "RTX 3060 8GB"),
        ("RTX 3060 12GB", "RTX 3060"),
        ("NVIDIA GeForce RTX 4060 Ti", "RTX 4060 Ti"),
        ("NVIDIA GeForce RTX 3070 Laptop GPU", "RTX 3070 Laptop"),
        ("1080ti", "GTX 1080 Ti"),
        ("t4", "T4"),
        ("Tesla T4", "T4"),
        ("l4-24gb", "L4"),
        ("a10g", "A10G"),
        ("V100", "V100 16GB"),
        ("Tesla V100-SXM2-32GB", "V100 32GB"),
        ("A100", "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA A100 80GB PCIe", "A100 80GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("a6000", "RTX A6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("orin nano", "Jetson Orin Nano 8GB"),
    ],
)
def test_the_names_that_people_and_drivers_use(asked: str, name: str) -> None:
    assert find(asked).name == name


def test_every_card_is_found_by_its_own_name_and_keeps_something_for_the_driver() -> None:
    for name, card in CARDS.items():
        assert find(name) is card
        assert 0.72 < card.usable / card.total < 0.995, name
        assert card.kind == "cuda"
        assert (5, 0) <= card.capability <= (12, 1)
    assert {6, 8, 10, 11, 12, 16, 24, 32, 40, 48, 80} <= {round(card.total / GIB) for card in CARDS.values()}


def test_what_cards_can_compute() -> None:
    assert (find("t4").half, find("t4").flash) == ("fp16", False)
    assert (find("rtx 3060").half, find("rtx 3060").flash) == ("bf16", True)
    assert (find("gtx 1070").half, find("v100").half) == ("fp16", "fp16")
    assert find("cpu").setup == "cpu"
    assert not find("cpu").fp16


@pytest.mark.parametrize("asked", ["8GiB", "8 GiB", "8gib", "8GB", "8g"])
def test_a_size_is_a_card_sold_as_that(asked: str) -> None:
    card = find(asked)
    assert card.total == 8 * GIB
    assert card.usable == int(8 * GIB * cards.VISIBLE)
    assert card.name == "a card of 8.0 GiB"


def test_sizes() -> None:
    assert parse_size("1.5 GiB") == 3 * 2**29
    assert parse_size("900M") == 900_000_000
    assert parse_size("512B") == 512
    assert parse_size("12") is None
    assert parse_size("RTX 3060 12GB") is None


@pytest.mark.parametrize("asked", ["rtx 3061", "4O90", "nonsense", "12", "", "rtx 3060 24gb"])
def test_a_name_that_does_not_exist_says_what_works(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(asked)
    assert asked in caught.value.message
    assert caught.value.help is not None
    assert "8GiB" in caught.value.help


def test_close_names_are_offered() -> None:
    with pytest.raises(UsageError) as caught:
        find("rtx 3065")
    assert "`RTX 3060`" in str(caught.value.help)
