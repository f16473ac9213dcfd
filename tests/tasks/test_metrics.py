from __future__ import annotations

import pytest

from voxcli.errors import UsageError
from voxcli.tasks.classification import ClassificationTask
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.metrics import METRICS, character_error_rate, direction, metric, metric_of, word_error_rate
from voxcli.tasks.seq2seq import Seq2Seq


def test_rates_are_over_all_words_and_not_the_mean_of_rates() -> None:
    references = ["a b c d e f g h i j", "x"]
    assert word_error_rate(["a b c d e f g h i j", "y"], references) == pytest.approx(1 / 11)
    assert character_error_rate(["abd"], ["abc"]) == pytest.approx(1 / 3)
    assert word_error_rate(["one two three"], ["one"]) == 2.0


@pytest.mark.parametrize(("predictions", "rate"), [(["", ""], 0.0), (["noise", ""], 1.0)])
def test_silence(predictions: list[str], rate: float) -> None:
    assert word_error_rate(predictions, ["", ""]) == rate


def test_an_empty_reference_among_others() -> None:
    assert word_error_rate(["so", "a b"], ["", "a b"]) == pytest.approx(1 / 2)


def test_errors_go_down_and_accuracies_go_up() -> None:
    found = {name: direction(name) for name in METRICS}
    assert {name for name, way in found.items() if way == "min"} >= {"wer", "cer"}
    assert {name for name, way in found.items() if way == "max"} >= {"accuracy", "macro_f1", "mean_average_precision"}
    assert set(CTCTask.metrics) | set(Seq2Seq.metrics) | set(ClassificationTask.metrics) <= set(METRICS)
    with pytest.raises(UsageError, match="no metric is called 'bleu'"):
        metric("bleu")


def test_each_prediction_has_its_reference() -> None:
    with pytest.raises(ValueError, match="2 predictions, 1 references"):
        word_error_rate(["a", "b"], ["a"])


def test_a_figure_of_a_plugins_task_is_a_metric_of_which_less_is_better() -> None:
    class Speaking:
        figures = ("mel_distance",)

    known = metric_of(Speaking(), "mel_distance")
    assert (known.compute, known.higher_is_better) == (None, False)
    assert metric_of(Speaking(), "wer") is METRICS["wer"]
    with pytest.raises(UsageError, match="no metric is called 'mel'"):
        metric_of(Speaking(), "mel")
