"""The components voxcli brings, registered through the same hook as everybody else's. One line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from voxcli.plugins import builtin_checks

if TYPE_CHECKING:
    from voxcli.api import ComponentRegistry

hookimpl = pluggy.HookimplMarker("voxcli")  # that of voxcli.api, whose data classes `vox --help` need not make


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Register the built-in components."""
    add = registry.add
    add("dataset", "manifest", "voxcli.datasets.manifest:Manifest", summary="a CSV, TSV, JSONL or Parquet table")
    add("dataset", "common-voice", "voxcli.datasets.common_voice:CommonVoice", summary="an unpacked release")
    add("dataset", "audio-folder", "voxcli.datasets.audio_folder:AudioFolder", summary="audio with text or labels")
    add("dataset", "huggingface", "voxcli.datasets.huggingface:HuggingFace", summary="a hub id or a saved folder")
    add("dataset", "sample-speech", "voxcli.datasets.sample_speech:SampleSpeech", summary="the shipped English prompts")
    add("augmentation", "noise", "voxcli.augment.noise:Noise", summary="background noise at a drawn SNR")
    add("augmentation", "speed", "voxcli.augment.speed:Speed", summary="faster or slower, pitch follows")
    add("augmentation", "gain", "voxcli.augment.gain:Gain", summary="louder or quieter")
    add("augmentation", "reverb", "voxcli.augment.reverb:Reverb", summary="rooms, measured or computed")
    add(
        "augmentation",
        "time-stretch",
        "voxcli.augment.time_stretch:TimeStretch",
        summary="faster or slower, pitch kept",
    )
    add("augmentation", "pitch", "voxcli.augment.pitch:Pitch", summary="higher or lower, length kept")
    add("augmentation", "clipping", "voxcli.augment.clipping:Clipping", summary="peaks cut off")
    add("augmentation", "low-pass", "voxcli.augment.low_pass:LowPass", summary="nothing above a drawn frequency")
    add("augmentation", "telephone", "voxcli.augment.telephone:Telephone", summary="300 to 3400 Hz, G.711")
    add("augmentation", "codec", "voxcli.augment.codec:Codec", summary="MP3, Opus, Vorbis, GSM and back")
    add("augmentation", "time-mask", "voxcli.augment.time_mask:TimeMask", summary="stretches muted")
    add(
        "augmentation", "spec-augment", "voxcli.augment.spec_augment:SpecAugment", summary="masks in time and frequency"
    )
    add(
        "augmentation",
        "splice",
        "voxcli.augment.splice:Splice",
        summary="parts of several utterances in a row",
    )
    add("augmentation", "mix", "voxcli.augment.mix:Mix", summary="another utterance under it, or after it")
    add(
        "augmentation",
        "audiomentations",
        "voxcli.augment.audiomentations:Audiomentations",
        summary="any of its transforms",
    )
    add(
        "model",
        "encoder-decoder",
        "voxcli.models.encoder_decoder:EncoderDecoder",
        summary="an acoustic encoder and a text decoder that were trained apart",
    )
    add("model", "whisper", "voxcli.models.whisper:Whisper", summary="Whisper, at 30 s or at the clip's length")
    add("model", "ctc", "voxcli.models.ctc:CTC", summary="every AutoModelForCTC architecture")
    add("model", "pretraining", "voxcli.models.pretraining:Pretraining", summary="wav2vec 2.0, conformer: audio alone")
    add("model", "classifier", "voxcli.models.classifier:Classifier", summary="every AutoModelForAudioClassification")
    add("task", "classification", "voxcli.tasks.classification:ClassificationTask", summary="a recording to its class")
    add("task", "seq2seq", "voxcli.tasks.seq2seq:Seq2Seq", summary="speech to text with a decoder")
    add("task", "ctc", "voxcli.tasks.ctc:CTCTask", summary="speech to text without a decoder")
    add("task", "pretraining", "voxcli.tasks.pretraining:PretrainingTask", summary="an encoder from audio alone")
    add("decoder", "greedy", "voxcli.decoders.greedy:Greedy", summary="the most probable class of each frame")
    add("decoder", "beam", "voxcli.decoders.beam:Beam", summary="the most probable text: prefix beam search")
    add("backend", "accelerate", "voxcli.backends.accelerate:Accelerate", summary="our loop; the default")
    add("backend", "transformers", "voxcli.backends.transformers:Transformers", summary="the transformers Trainer")
    add(
        "engine", "transformers", "voxcli.engines.transformers:TransformersEngine", summary="the trained model as it is"
    )
    add("exporter", "merged", "voxcli.exporters.merged:Merged", summary="one ordinary transformers folder")
    builtin_checks.register(registry)
