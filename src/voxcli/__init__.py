"""voxcli: fine-tune, score and run speech models from one recipe.

The package in reading order:

    api        what a plugin imports: `hookimpl`, `config`, the data classes and the protocols of each kind of component
    errors     the errors that people cause, and their exit codes
    findings   what checks say: level, place, utterances, repair
    predictions  what a model says of a recording: text with times, or classes
    plugins    who offers which component: hooks, registry, manager, the built-ins
    recipe     TOML -> tables -> components, with every problem at once
    audio      a file or bytes -> float32 mono at the model's rate
    text       transcripts -> the text a model learns and the text that is scored
    datasets   where utterances come from, one source a file
    data       utterances -> an index on disk -> filtered splits -> batches by duration
    augment    what happens to training audio, one idea a file
    models     checkpoint or sizes -> model and processor, one family a file
    tasks      features, collate, loss, predictions and scores
    pretraining  audio alone: hidden frames, their loss, and what a model needs for it
    train      the run: loading, folder, checkpoints, guard
    backends   the training loop
    evaluate   checkpoint + split -> scores and a file with every utterance
    engines    audio -> transcript
    transcribe files, folders, stdin -> txt, srt, vtt, tsv, json
    memory     a setup and a batch -> the bytes of its step, without the device
    doctor     a machine, a recipe, data, a run, a model -> what is wrong and what to change
    cli        the `vox` command: one file a sub-command
"""

__version__ = "0.1.0"
