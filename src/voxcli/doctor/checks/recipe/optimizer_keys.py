"""R102: keys of Adam beside an optimizer that is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.recipe.keys import asked, without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_NO_MOMENTS = ("adafactor", "sgd", "adagrad", "rmsprop")
_BACKENDS = ("accelerate", "transformers")


class OptimizerKeyWithoutEffect:
    """`adam_beta1`, `adam_beta2` or `adam_epsilon` are set, and the optimizer of `optim` does not read them.

    Why: the recipe says how the run was made, and these keys say something that did not happen. Whoever tunes them
    compares equal runs. Adafactor, SGD, Adagrad and RMSprop get the learning rate and the weight decay alone; Lion has
    moments and no epsilon.

    Repair: remove the keys, or take an optimizer of the Adam family: `optim = "adamw_torch"`.

    Sources: voxcli.train.optimizer.build; transformers 5.23, Trainer.get_optimizer_cls_and_kwargs.
    """

    code: ClassVar[str] = "R102"
    name: ClassVar[str] = "optimizer-key-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        recipe = context.recipe
        if recipe.tables["backend"]["type"] not in _BACKENDS:
            return
        name = recipe.train.optim
        if name in _NO_MOMENTS:
            unread = asked(recipe.train, "adam_beta1", "adam_beta2", "adam_epsilon")
        elif "lion" in name:
            unread = asked(recipe.train, "adam_epsilon")
        else:
            return
        if unread:
            yield without_effect("train", unread, f"{name} does not read {'them' if len(unread) > 1 else 'it'}")
