"""voxcli: fine-tune, score and run speech models from one recipe.

The package in reading order:

    api         what a plugin imports: `hookimpl`, `config`, the data classes, the protocol of each kind of component
    errors      the errors that people cause, and their exit codes
    findings    what checks say: level, place, utterances, repair
    predictions what a model says of a recording: text with times, or classes
    alphabet    the characters of a model's classes, for what reads its frames
    folders     where caches and choices are kept
    others      other utterances of the training split, for augmentations that mix
    plugins     who offers which component: hooks, registry, manager, the built-ins
    recipe      TOML -> tables -> components, with every problem at once
    audio       a file or bytes -> float32 mono at the model's rate
    text        transcripts -> the text a model learns and the text that is scored
    datasets    where utterances come from, one source a file
    data        utterances -> an index on disk -> filtered splits -> batches by duration
    survey      what a data set holds, and a manifest without what is wrong with it
    augment     what happens to training audio, one idea a file
    preview     what augmentations make of one utterance, to hear and to see
    models      checkpoint or sizes -> model and processor, one family a file
    tasks       features, collate, loss, predictions and scores
    pretraining audio alone: hidden frames, their loss, and what a model needs for it
    decoders    CTC frames -> text: greedy, beam, or a plugin's
    train       the run: loading, folder, checkpoints, stages, averages, guard
    backends    the training loop
    align       checkpoint + split -> where in its recording each letter of a text is spoken
    evaluate    checkpoint + split -> scores and a file with every utterance
    engines     audio -> transcript
    transcribe  files, folders, stdin -> txt, srt, vtt, tsv, json
    classify    files, folders, stdin -> classes
    features    files, folders, a split -> log-mel, MFCC, embeddings in one file
    export      a run -> another format, compared, with a card, uploaded
    memory      a setup and a batch -> the bytes of its step, without the device
    suggest     a task, a language, hours, a GPU -> checkpoints to begin with
    doctor      a machine, a recipe, data, a run, a model -> what is wrong and what to change
    contract    a plugin -> its components tried for real, and what breaks their contracts
    cli         the `vox` command: one file a sub-command
"""

__version__ = "0.1.0"
