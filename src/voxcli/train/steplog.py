"""What a run says of each step: one object in log.jsonl, and every few steps the means on the screen's bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcli.progress import Bar
from voxcli.train import measured

if TYPE_CHECKING:
    from voxcli.train.run import Run
    from voxcli.train.steps import Step


class StepLog:
    """Logs the steps of one session. The bar is there between `open` and `close`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._bar: Bar | None = None
        self._window: list[tuple[float, float, float, float]] = []
        """(loss, audio s, padded s, s) of the steps since the bar was last told."""

    def open(self) -> None:
        """Show the bar, from the step at which the run stands."""
        run, done = self._run, self._run.state.step
        what = f"training from step {done + 1}" if done else "training"
        self._bar = run.progress.task(what, total=run.total_steps - done, unit="steps").__enter__()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def step(self, step: Step, facts: dict[str, float]) -> None:
        """A step was taken and counted; `facts` are the loop's own figures."""
        run = self._run
        audio, padded, seconds = facts["audio_seconds"], facts["padded_seconds"], facts["seconds"]
        entry: dict[str, Any] = {
            "step": run.state.step,
            "epoch": round(step.epoch + step.after / step.count, 4),
            "loss": facts["loss"] if facts["loss"] == facts["loss"] else None,  # nothing was left of this step
            "grad_norm": facts["grad_norm"],
            "learning_rate": facts["learning_rate"],
            "seconds": round(seconds, 4),
            "data_seconds": round(step.waited, 4),
            "audio_seconds": round(audio, 2),
            "padding": round(1 - audio / padded, 4) if padded else 0.0,
            "peak_bytes": run.watch.step(step.batches),
            **{name: facts[name] for name in measured.names(run.task) if name in facts},
        }
        run.log(entry)
        if entry["loss"] is not None:
            self._window.append((facts["loss"], audio, padded, seconds))
        if self._bar is None:
            return
        if run.state.step % run.recipe.train.logging_steps and not run.finished:
            self._bar.advance(1)
            return
        window = self._window or [(float("nan"), 0.0, 0.0, 0.0)]
        losses, audios, paddeds, times = (sum(column) for column in zip(*window, strict=True))
        self._bar.advance(
            1,
            loss=round(losses / len(window), 4),
            lr=f"{facts['learning_rate']:.2e}",
            audio=f"{audios / max(times, 1e-9):.0f} s/s",
            padding=f"{1 - audios / max(paddeds, 1e-9):.0%}",
            memory=f"{entry['peak_bytes'] / 2**30:.2f} GiB",
        )
        self._window.clear()
