"""The checks of `vox doctor` that voxcli brings: code -> where it lives. One line each, by code.

M machine   P plugins   R recipe   D data   A audio   S memory and speed   T runs   C checkpoints
"""

from __future__ import annotations

from voxcli.api import ComponentRegistry

_CHECKS = "voxcli.doctor.checks"

CHECKS = {
    # machine
    # plugins
    "P006": "plugins.crashed:CheckCrashed",
    # recipe
    "R100": "recipe.recipe_warnings:RecipeDoesNotResolve",
    "R101": "recipe.learning_rate:LearningRateOutOfRange",
    "R102": "recipe.optimizer_keys:OptimizerKeyWithoutEffect",
    "R103": "recipe.warmup:WarmupLongerThanRun",
    "R104": "recipe.scheduler_keys:SchedulerKeyWithoutEffect",
    "R105": "recipe.backend_refuses:BackendRefuses",
    "R106": "recipe.metric_direction:MetricDirection",
    "R107": "recipe.backend_arguments:BackendArgumentWithoutEffect",
    "R108": "recipe.device_precision:PrecisionOfTheDevice",
    "R109": "recipe.quantization_keys:QuantizationKeyWithoutEffect",
    "R110": "recipe.adapter_targets:AdapterFitsNoLayer",
    "R111": "recipe.output_layer:OutputLayerUntrained",
    "R112": "recipe.frozen_type:FrozenTypeOfNothing",
    "R113": "recipe.mask_keys:MaskKeyWithoutEffect",
    "R114": "recipe.decoding_keys:DecodingKeyWithoutEffect",
    "R115": "recipe.checkpoint_language:LanguageNotOfCheckpoint",
    "R116": "recipe.processor_files:ProcessorOfAnotherCheckpoint",
    "R117": "recipe.filter_window:FilterBeyondModel",
    "R118": "recipe.no_validation:NothingToEvaluateOn",
    "R119": "recipe.evaluation_cost:EvaluationCostsMoreThanTraining",
    "R120": "recipe.model_config:ModelConfigUnreadable",
    "R121": "recipe.model_build:ModelCannotBeBuilt",
    "R122": "recipe.batch_filling:BatchNeverFull",
    "R123": "recipe.stream:StreamWithoutEnd",
    "R124": "recipe.spaceless_metric:WordsWithoutSpaces",
    "R125": "recipe.text_rules:TextRuleWithoutEffect",
    "R126": "recipe.vowel_marks:VowelMarksRemoved",
    "R127": "recipe.augmentation_effect:AugmentationWithoutEffect",
    "R128": "recipe.augmentation_window:AugmentationBeyondWindow",
    "R129": "recipe.worker_processes:MoreWorkersThanProcessors",
    "R130": "recipe.length_keys:LengthSetTwice",
    "R131": "recipe.data_keys:DataKeyWithoutEffect",
    "R132": "recipe.adapter_patterns:AdapterKeyWithoutEffect",
    "R133": "recipe.frozen_checkpointing:ReentrantCheckpointing",
    "R134": "recipe.patience:PatienceOutlastsRun",
    "R135": "recipe.nothing_trained:FrozenOrAdaptedWrongly",
    # data
    "D001": "data.label_length:LabelOverLimit",
    "D002": "data.ctc_feasible:CTCInfeasible",
    "D003": "data.ctc_feasible_augmented:CTCInfeasibleAugmented",
    "D004": "data.clip_length:ClipShorterThanModel",
    "D005": "data.vocabulary:CharactersOutsideVocabulary",
    "D006": "data.rare_characters:RareCharacters",
    "D007": "data.unseen_characters:CharactersNotInTraining",
    "D008": "data.empty_text:NoTranscript",
    "D009": "data.emptied_text:EmptiedTranscript",
    "D010": "data.removed_letters:SpokenCharactersRemoved",
    "D011": "data.digits:DigitsInTranscripts",
    "D012": "data.turkish:TurkicCasing",
    "D013": "data.speech_rate:SpeechRateOutlier",
    "D014": "data.scripts:OtherScript",
    "D015": "data.homoglyphs:MixedScriptWord",
    "D016": "data.languages:LanguagesDisagree",
    "D017": "data.language_missing:LanguageUnknown",
    "D020": "data.duplicates:RepeatedAudio",
    "D021": "data.repeated_ids:RepeatedId",
    "D022": "data.frequent_texts:FrequentText",
    "D030": "data.overlap_text:TextsOverlap",
    "D031": "data.overlap_audio:AudioOverlaps",
    "D032": "data.overlap_speaker:SpeakersOverlap",
    "D040": "data.class_balance:ClassImbalance",
    "D041": "data.class_unlearned:ClassNotInTraining",
    "D042": "data.class_small:SmallClass",
    "D043": "data.class_spelling:LabelSpelledTwice",
    "D050": "data.concentration:FewRecordingsHoldMost",
    "D051": "data.speakers:OneSpeakerHoldsMost",
    "D060": "data.padding:PaddingWaste",
    "D061": "data.window:WindowPadding",
    "D070": "data.lost:MuchLeftOut",
    "D071": "data.excluded_ids:ExcludedIdUnknown",
    "D072": "data.little_data:LittleTrainingData",
    "D073": "data.no_validation:NoValidation",
    "D074": "data.durations:ImpossibleDuration",
    "D100": "data.unreadable:DataUnreadable",
    # audio
    # memory
    "S100": "memory.unpredicted:MemoryNotPredicted",
    "S101": "memory.too_large:BatchTooLarge",
    "S102": "memory.narrow:FitsNarrowly",
    "S103": "memory.evaluation:EvaluationTooLarge",
    "S104": "memory.workers:Workers",
    "S105": "memory.disk:DiskTooSmall",
    "S106": "memory.precision:PrecisionImitated",
    # run
    "T100": "run.unreadable:LogCannotBeRead",
    "T101": "run.memory_exhausted:OutOfMemory",
    "T102": "run.crashed:RunCrashed",
    "T103": "run.not_finite:LossOrGradientNotFinite",
    "T104": "run.diverged:LossDiverged",
    "T105": "run.spikes:GradientSpikes",
    "T106": "run.plateau:PlateauAtChance",
    "T107": "run.only_blanks:OnlyBlanks",
    "T108": "run.endless_texts:EndlessTexts",
    "T109": "run.multiplied_loss:LossMultiplied",
    "T110": "run.overfitting:Overfitting",
    "T111": "run.scores_differ:ScoresDiffer",
    "T112": "run.collapsed:PretrainingCollapsed",
    "T113": "run.slower:RunBecameSlower",
    "T114": "run.starving:DeviceWaitsForData",
    "T115": "run.other_order:DataOrderChanged",
    "T116": "run.rate:LearningRateOff",
    "T117": "run.stopped_at_once:StoppedAtOnce",
    "T118": "run.never_evaluated:NeverEvaluated",
    "T119": "run.memory_off:MemoryOff",
    "T120": "run.set_aside:UtterancesSetAside",
    "T121": "run.validation_not_finite:ValidationNotFinite",
    "T122": "run.damaged_checkpoint:CheckpointDamaged",
    "T123": "run.failed:RunEndedWithError",
    "T124": "run.best_is_worst:BestIsWorst",
    "T125": "run.long_evaluations:EvaluationsTookLonger",
    # checkpoint
}


def register(registry: ComponentRegistry) -> None:
    """Register the built-in checks under their codes."""
    for code, target in CHECKS.items():
        registry.add("check", code, f"{_CHECKS}.{target}")
