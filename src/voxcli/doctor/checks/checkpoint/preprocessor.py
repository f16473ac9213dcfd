"""C121: the file that converters read the feature extractor from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class NoPreprocessorFile:
    """The feature extractor stands in processor_config.json only.

    Why: transformers 5 writes processor_config.json and reads it; converters and runtimes (CTranslate2, sherpa-onnx,
    older transformers) read preprocessor_config.json. A note: nothing is wrong with the model.

    Repair: `AutoFeatureExtractor.from_pretrained(FOLDER).save_pretrained(FOLDER)`; `vox export` writes both.

    Sources: measured here with transformers 5.23 (processor.save_pretrained writes one file); CTranslate2's
    documentation, Whisper (copy_files).
    """

    code: ClassVar[str] = "C121"
    name: ClassVar[str] = "no-preprocessor-file"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where one file has the extractor and the other is not there."""
        folder = context.checkpoint
        if folder.extractor is None or "preprocessor_config.json" in folder.files or folder.adapter is not None:
            return
        yield Finding(
            "note",
            "the feature extractor stands in processor_config.json only; converters want preprocessor_config.json",
            f'python -c "from transformers import AutoFeatureExtractor as A; '
            f"A.from_pretrained('{folder.path}').save_pretrained('{folder.path}')\"",
            where=str(folder.path),
        )
