"""Every figure that a check compares with, and where it comes from. Nothing else: no code.

Units stand in the names or right behind the value: s, Hz, bytes, shares between 0 and 1.
"""

from __future__ import annotations

# ------------------------------------------------------------------------------------------------------------- machine

OLDEST_DRIVER = {13: 580, 12: 525, 11: 450}
"""Major version of CUDA -> oldest major version of the NVIDIA driver that runs it (docs.nvidia.com, CUDA Compatibility,
"Minor Version Compatibility", table 1)."""
BUILDS = ((580, "cu130"), (570, "cu128"), (525, "cu126"))
"""(Driver, build of torch that it runs), the newest first: pytorch.org, "Previous versions", 2.9; the driver 570 came
with CUDA 12.8, the first that knows Blackwell."""
OLD_CAPABILITY = (7, 5)
"""GPUs below it are left out by CUDA 13 (CUDA 13.0 release notes: Maxwell, Pascal and Volta are removed)."""
BUILD_FOR_OLD = "cu126"
"""The build of torch that still has kernels for them (pytorch/pytorch#157517)."""
TAKEN = 0.25
"""Share of a GPU's memory that others hold. A desktop with a browser takes 1 to 2 GiB, a quarter of a small card."""
LITTLE_DISK = 3 * 10**9
"""Bytes: one checkpoint of whisper-small trained whole, 242 M parameters of 12 bytes (weights and AdamW's two states,
float32; arXiv 2212.04356, table 1, for the parameters)."""
NO_DISK = 470 * 10**6
"""Bytes: the same for whisper-tiny, 39 M parameters."""
AMPLE_DISK = 19 * 10**9
"""Bytes: the same for whisper-large-v3, 1,543 M parameters."""
LITTLE_CACHE = 500 * 10**6
"""Bytes: one small model as it is downloaded; wav2vec2-base is 380 MB (its model.safetensors on the hub)."""
SHARED_MEMORY = 10**9
"""Bytes of /dev/shm: what NCCL's documentation advises for containers, whose default is 64 MiB (docs.nvidia.com, NCCL,
"Troubleshooting", shared memory: --shm-size=1g)."""
NO_SHARED_MEMORY = 2**20
"""Bytes of /dev/shm: the semaphores of a few worker processes, a page each, and room to spare."""
OVERSUBSCRIBED = 1.5
"""Threads for each processor. Measured here, a training step of one small encoder layer on one processor: 2 threads
take 1.1 times as long as 1, 4 threads 1.5 times, 8 threads 2.8 times."""
LITTLE_MEMORY = 2 * 2**30
"""Bytes: twice what whisper-tiny trained whole takes before its first batch. Measured here: 0.4 GiB for torch,
transformers, peft and datasets; 39 M parameters of 16 bytes (weights, gradients, AdamW's two states) are 0.6 GiB."""

# ------------------------------------------------------------------------------------------------------------- plugins

SLOW_START = 1.0
"""Seconds from which a plugin's import is felt by everybody who uses it, whatever it does meanwhile: six times
`vox --help`."""

# -------------------------------------------------------------------------------------------------------------- recipe

LONGEST_WARMUP = 0.5
"""Share of a run. Schedules in print warm up for 1 to 30 % of it (wav2vec 2.0: 8 to 10 %, arXiv 2006.11477, A.2)."""
TRIAL = 50
"""Steps below which a run is there to see whether it runs, not to learn: what its schedule does is worth a warning."""
USUAL_WARMUP = 0.1
"""Share of a run: the default of `[train] warmup_steps`."""
ASSUMED_STEPS = 1000
"""Steps of a run whose length is set in epochs, where only the form of its schedule is asked for."""

WHISPER_RATES = (5e-7, 1e-4, 1e-5, 1e-3)
"""learning_rate of Adam: lowest, highest, usual, diverges. Usual: a fortieth of the rate of pre-training (arXiv
2212.04356, table 17: 1.75e-4 large to 1.5e-3 tiny), 1e-5 in the guides of Hugging Face. Measured with Whisper base:
at 1e-3 the loss rose from 2.2 to 41 in five steps and every text was lost; at 1e-5 it fell to 0.6 in twenty."""
ENCODER_RATES = (3e-6, 1e-3, 3e-4, 1e-2)
"""A pre-trained encoder with an output layer for text: 3e-5 to 1e-4 in wav2vec 2.0 (arXiv 2006.11477, B), 3e-4 in the
examples of transformers; 5e-4 and 1e-3 in this package's recipes of 5 million parameters."""
CLASSIFIER_RATES = (1e-6, 1e-3, 3e-5, 1e-2)
"""A pre-trained encoder with an output layer for classes: 3e-5 in the examples of transformers."""
HEAD_RATES = (1e-5, 1e-2, 1e-3, 1e0)
"""An output layer alone over a frozen encoder: 1e-3 to 1e-2 (SUPERB, arXiv 2105.01051: 1e-4 to 1e-2)."""
ADAPTER_RATES = (5e-5, 3e-3, 1e-3, 3e-2)
"""LoRA: 2e-4 (arXiv 2106.09685, D; 2305.14314, B) to 1e-3 (PEFT's guide for Whisper in 8 bits; the presets)."""
PRETRAINING_RATES = (3e-5, 5e-3, 5e-4, 5e-2)
"""wav2vec 2.0: 5e-4 base, 3e-4 large (arXiv 2006.11477, 4.2); 1e-3 and 5e-3 in the examples of transformers."""
RANDOM_RATES = (3e-5, 5e-3, 1e-3, 5e-2)
"""Weights from nothing: 1e-3 in this package's recipe; peaks of 1e-3 to 2e-3 for Conformers (arXiv 2005.08100, 3.2)."""
WIDTH_OF_RATES = 384
"""Width of the narrowest model that the rates above come from, Whisper tiny. A narrower one takes more before it
diverges, in inverse proportion to its width (arXiv 2203.03466, table 3: Adam)."""

EVALUATION_COST = {"ctc": 1 / 3, "seq2seq": 2 / 3, "classification": 1 / 3}
"""Time to decode a padded second greedily, of the time to train on one. CTC: a forward pass, of the three that a step
with its backward pass costs. Whisper, measured here with Whisper base on two cores: decoding and loss of 16 clips took
0.16 s a padded second, training 0.15 s; one third of that is the loss."""
LOSS_COST = 1 / 3
"""The same for the loss of the validation sample: one forward pass."""
FEWEST_EVALUATIONS = 3
"""A run with fewer evaluations than this has no frequent ones."""
MOST_EVALUATION = 1.0
"""Share of the time of training beyond which evaluation costs too much: as long as training itself."""
USUAL_EVALUATION = 0.25
"""Share that the repair aims at."""
ENGLISH_VOCABULARY = 51864
"""Tokens of Whisper's checkpoints for English alone; the multilingual ones have one more (openai/whisper, model.py)."""
TURBO_LAYERS = (32, 4)
"""Layers of encoder and decoder of Whisper large-v3-turbo (its model card)."""
SPEECH_RATE = 16_000
"""Hz: Whisper (arXiv 2212.04356, 2.2) and the models on samples (arXiv 2006.11477, 4)."""
HELD_OUT = 0.05
"""Share of the training utterances that the repair makes the validation split: what `vox recipe new` proposes."""
HELD_OUT_UTTERANCES = 15
"""Of a small training split: fewer different texts measure those sentences, not the model."""
MOST_HELD_OUT = 0.2
"""Share of a small training split that it gives away at most."""
MANY_EPOCHS = 2
"""Epochs that a step with its accumulated batches would hold before that is more than a rest: every step is an epoch
from 1 on, and the gradient is that of the whole split."""
BATCHES_OF_A_SMALL_SPLIT = 4
"""Batches an epoch that the repair aims at where a batch is larger than the whole split."""
FAR_LONGER, FEW_LONGER = 2.0, 0.05
"""Times `batch_duration`, and share of the clips: so few, so much longer, are no reason to make batches larger."""
WITHOUT_SPACES = {
    "zh": "Chinese", "yue": "Cantonese", "ja": "Japanese", "th": "Thai", "lo": "Lao", "km": "Khmer", "my": "Burmese",
}  # fmt: skip
"""Languages written without spaces between words (Unicode Standard Annex 14)."""
VOWELS_AS_MARKS = {
    "hi": "Hindi", "mr": "Marathi", "ne": "Nepali", "sa": "Sanskrit", "bn": "Bengali", "as": "Assamese",
    "pa": "Punjabi", "gu": "Gujarati", "or": "Odia", "ta": "Tamil", "te": "Telugu", "kn": "Kannada", "ml": "Malayalam",
    "si": "Sinhala", "th": "Thai", "lo": "Lao", "km": "Khmer", "my": "Burmese", "bo": "Tibetan", "vi": "Vietnamese",
}  # fmt: skip
"""Languages whose marks are vowels, missing vowels or tones (The Unicode Standard, chapters 12, 13 and 16)."""

COUNTED_UTTERANCES = 100_000
"""Up to so many the batches of an epoch are cut as a run would cut them, in less than a second; beyond, divided."""

# ---------------------------------------------------------------------------------------------------------------- data

STRANGE_LETTERS = 2
"""Letters of another script from which a text without any of its own counts as foreign; one is a symbol (µ, Ω, π)."""
STRANGE_LATIN_LETTERS = 10
"""The same for Latin letters, in which names and abbreviations stand in every language. Measured here: none
of 1,164 Russian and Bulgarian prompts without a Cyrillic letter has more than 2."""
FOREIGN_WORDS = 0.15
"""Share of the words that are a language's commonest ones, from which a text looks like it. Measured here: 0.16 to 0.36
of real prompts in six languages are their own language's."""
FOREIGN_WORDS_RATIO = 0.5
"""The most that the declared language may have of that share. Measured here: related languages have up to 0.73 of it
(Russian of Bulgarian), others less than 0.4."""
FOREIGN_WORDS_FROM = 200
"""Words that have to be read."""
FOREIGN_WORDS_READ = 5000
"""Utterances that are read."""
STRIPPED = 0.05
"""Share of the transcripts from which marks are taken for letters of the language and not for a foreign word's.
Measured here: no English prompt has one; 6 of 100 Spanish, 9 Bulgarian, 15 Italian, 29 Russian and 50 French ones
do."""
UNKNOWN_ERROR = 0.5
"""Share of the characters outside the vocabulary from which nothing that can be read is learned."""
UNKNOWN_ELSEWHERE = 0.02
"""Share of a split's characters that training lacks from which the split is written in another way."""
UNKNOWN_UTTERANCES = 0.2
"""Share of its utterances that hold one of them. Measured here: at most 0.08 of the seven real data sets' splits."""
UNKNOWN_KINDS = 3
"""Different ones: a rare letter that a small training split lacks says nothing."""
RARE_CHARACTER = 5
"""Times that a character has to stand in the training transcripts before its class counts as learned. Measured here:
between 0 and 28 characters of seven real data sets in lower case are rarer, most of them marks, digits and letters of
foreign names."""
RARE_FROM = 2000
"""Characters of a corpus from which a rare one is told: below, every letter is rare."""
OVER_LIMIT = 30.0
"""Letters a second that nobody speaks: `[filter] max_characters_per_second` names 30. Fast English is 6 words of 5
letters; the quickest of 6,000 real prompts measured here has 25, but for four whose transcripts describe what is
heard."""
SYLLABLES = 2
"""Letters that one letter of Chinese, Japanese or Korean counts for: it is a syllable. 5 to 8 are spoken in a second
(Pellegrino et al., Language 87:3, 2011)."""
UNDER_LIMIT = 1.0
"""Letters a second below which a recording of more than LONG_PAUSE is nearly all something else."""
LONG_PAUSE = 10.0
"""s."""
RATE_FROM = 30
"""Utterances of a language from which their own relation of text and duration is known."""
RATE_RATIO = 2.5
"""Times longer or shorter than the text lets expect. Measured here: of 5,500 prompts of seven real data sets, 3 are
outside, whose transcripts describe sounds; of 79 pairs of them that differ four times in both and whose texts were
exchanged, all were found."""
RATE_DEVIATIONS = 5.0
"""Robust standard deviations (1.4826 times the median absolute deviation, of the logarithm) beside RATE_RATIO."""
RATE_SECONDS = 3.0
"""s that a recording has to be longer than expected: silence around a short word is no fault."""
RATE_LETTERS = 12
"""Letters from which a text too long for its recording is told; "WWW" is spoken as nine syllables."""
USUAL_WINDOW = 30.0
"""s: Whisper's (arXiv 2212.04356), at which tools cut."""
CUT_RATIO = 1.5
"""Times the window that a text lets expect before its recording counts as cut there. Measured here: of 69
texts of more than 10 s in seven real data sets one is that much too long, and it is wrong."""
FREQUENT_TEXT = 0.1
"""Share of the utterances that say the same, where most others differ."""
CLOSED_TEXTS = 0.1
"""Different texts for each utterance, below which a data set is a list of commands or digits, said again and again."""
FEW_OF_A_CLASS = 10
"""Utterances of a class below which it can hardly be learned or measured. spaCy's `debug data` says "low number of
examples" below 50 for a new label and 20 for dependency labels (spacy/cli/debug_data.py)."""
IMBALANCE = 10.0
"""Times the smallest class that the largest has; Google's course on imbalanced data calls a minority of 1 to 20 %
moderate (developers.google.com/machine-learning, "Imbalanced datasets")."""
MOST_SECONDS = 0.5
"""Share of the seconds that one speaker may hold."""
FEW_RECORDINGS = ((0.5, 0.05), (0.75, 0.15))
"""(share of the seconds, share of the recordings that counts as a few; one at least). Measured here: half of the
seconds of seven real data sets stand in 12 to 38 % of their recordings; of 200 random choices of 60 recordings each, 8
at most have half in a twentieth, where one recording is 50 times as long as most, and none three quarters in 15 %."""
RECORDINGS_FROM = 10
"""Recordings from which shares say something."""
SPEAKERS_FROM = 4
"""Speakers from which one that holds most of the seconds is told: fewer are meant to be few."""
PADDING = 0.2
"""Padding share of batches; batches by duration keep 0.05 (`voxcli.data.batches.MAX_PADDING`)."""
PADDING_SAVED = 0.5
"""Share of the padding that another setting has to save."""
WINDOW_PADDING = 0.5
"""Share of Whisper's windows that is silence. Measured here: at 0.93 the clip's own
length was 7.9 times as fast."""
LOST = 0.1
"""Share of a split's seconds that what the model takes, or a default, may leave out without a warning."""
LOST_BY_KEY = 0.5
"""The same for a key that the recipe sets itself."""
FEW_UTTERANCES = 100
"""Training utterances; spaCy's `debug data` has BLANK_MODEL_MIN_THRESHOLD = 100."""
LITTLE_AUDIO = 600.0
"""s of training audio: wav2vec 2.0's smallest labelled set is 10 minutes (arXiv 2006.11477, section 4.1)."""
READ_AGAIN = 50_000
"""Rows of a source that are read a second time: a quarter of a second."""

# --------------------------------------------------------------------------------------------------------------- audio

SILENT = -70.0
"""dB (RMS, full scale), of the loudest 20 ms but three: the absolute gate of loudness meters (EBU R 128, ITU-R
BS.1770-5: -70 LUFS). Measured here: -51 is the least of 6,990 recorded words and prompts of eight data sets."""
NO_SPEECH = -50.0
"""dB below which steady sound (SPREAD) is what a microphone hears of an empty room."""
SPREAD = 3.0
"""dB between loud and quiet frames. Measured here: the quiet ones of the same recordings have 5 or more."""
CLIPPED = 0.01
"""Share of the samples on a flat top. Measured here: none of 7,062 recordings has any; of the sample speech, played
louder by 3, 6, 10 and 20 dB and cut at full scale, 0, 0.004, 0.05 and 0.35 in the median."""
NEAR_FULL = 0.05
"""The same for lossy formats, whose tops are no longer flat: within 5 % of full scale. Measured here: 0.01 at most."""
MOST_AMPLITUDE = 4.0
"""12 dB above full scale. Decoders of lossy formats overshoot; the most measured here is 1.14."""
CANCELLED = -20.0
"""dB of the mix over its channels from which they are one signal and its inverse; independent channels lose 3."""
OFFSET = 0.02
"""Mean of the samples, of full scale. Measured here: at most 0.012 in 7,062 recordings."""
NARROW = -45.0
"""dB of what lies between 4.4 and 7 kHz over what lies between 2 and 3.6 kHz. Measured here: -12 to 5 in the median of
wide-band data sets and -45 at least, -62 in the median of digits recorded at 8 kHz (fsdd)."""
LENGTH_SLACK, LENGTH_SHARE = 0.25, 0.02
"""s and share by which a recording may be longer than the manifest says; shorter, `voxcli.audio` decides (0.1 s)."""
USUAL_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
"""Hz that recordings have."""
RATE_MATCH = 0.003
"""Share by which a duration may miss one that another usual rate explains: durations are rounded."""
SLOWED = 0.3
"""Share by which the pitch and the rate of speech of several clips may miss what a wrong rate explains. Rates that are
taken for one another differ by 1.4 times or more."""
SLOWED_ONE = 0.15, 0.8
"""The same of one clip among many with one voice. Measured here: played at half and at twice their rate, 30 prompts had
0.50 to 0.53 and 1.87 to 2 times their pitch; letters a second vary by a factor of two from prompt to prompt."""
VOICES = 75.0, 330.0
"""Hz that the median voice of a data set lies between: men speak at 85 to 155 Hz, women at 165 to 255 (Titze,
Principles of Voice Production, 1994), children up to 330. Measured here: 117 to 222 in eight data sets."""
PACES = 8.0, 18.0
"""Letters a second between which the median lies. Measured here: 8.7 to 14.7 in eight data sets."""
CUT_FROM = 3
"""Utterances of exactly the longest duration that make a pile."""
CUT_MOST = 0.8
"""Share of all utterances from which they are all of one length, and none is known to be cut."""
CUT_RATE = 1.15
"""Times the median letters a second of all others: a text that stayed whole is too long for audio that did not."""
CUT_LOUD = -20.0
"""dB of the last 50 ms over the mean of the recording. Measured here: -57 to -20 in the median of seven data sets whose
ends were not cut; of nine prompts that were cut at 2 s eight have -10 or more, and one, cut in a pause, has -55."""

# -------------------------------------------------------------------------------------------------------------- memory

SMALL_MODEL = 100_000
"""Parameters. With SMALL_BATCH and ROOMY_DEVICE: a step that is not traced, because it fits."""
SMALL_BATCH = 60.0
"""s of padded audio. Measured here with a wav2vec 2.0 of 83,000 parameters and a Whisper of 163,000: batches of 60 s
need at most 3.4 GiB (one clip of 60 s), evaluation batches of 120 s 1.5 GiB, Python's own 0.4 GiB included."""
ROOMY_DEVICE = 4 * 2**30
"""Bytes: more than a small model needs with a small batch."""
EVALUATION_OVER_TRAINING = 1.1
"""Ratio. Above it an evaluation is worth a note: by as much as a GPU's estimate may be off (docs/memory.md)."""
MOST_WORKERS = 1
"""Data loader workers for each processor; torch.utils.data warns above it ("suggested max number of worker")."""
LONGEST_WAIT_SHARE = 0.5
"""Share of a run that a GPU may wait for features. The device's pace is a roofline's, right to a factor of two or
so."""
LONGEST_WAIT = 600.0
"""s of a whole run: what it is worth to say something for."""
ROOM_ON_DISK = 0.1
"""Share of what is free that the proposed number of checkpoints leaves alone: logs grow, and others write too."""

# ----------------------------------------------------------------------------------------------------------------- run

SPIKE = 10.0
"""Times the running median of the gradient's norm that counts as a spike. Measured here: of 11,256 steps of 11 healthy
runs (fine-tuning, LoRA, CTC from nothing) 6 were above it, and 21 times the median was the most. icefall's ScaledAdam,
which clips, takes 2 times the median of 100 batches (optim.py, clipping_scale)."""
SPIKE_WINDOW = 100
"""Steps that the running median is taken of: icefall's clipping_update_period."""
SPIKE_FIRST = 20
"""Steps before a median says anything: the norms of the first ones fall quickly."""
REPEATING = 2.4
"""Compression ratio (zlib) of a text that repeats itself (openai/whisper, transcribe.py,
compression_ratio_threshold)."""
NEAR_LIMIT = 0.9
"""Share of the longest output in tokens from which a text counts as one that did not end: a text decoded and
tokenized again has a few tokens less than were generated, and 30 s of speech have about a quarter of Whisper's 448."""
LARGEST_WEIGHT = 1e4
"""The largest weight of a model that is sound is far below it. Measured here: Whisper base 37, a LayerNorm's."""
LITTLE_LEFT = 0.9
"""Share of the memory that a process may take: the system and its page cache need some themselves. Linux ends the
largest process when nothing is left (kernel documentation, admin-guide/mm/concepts, OOM killer)."""
OUTLYING_CLIP = 2.0
"""Times the median duration of its batch from which a clip alone decides what the batch needs: every other clip is then
padded to at least twice its length."""
NORM_RISE = 5.0
"""Times its earlier median to which the gradient's norm rose before a loss was no number any more: a learning rate that
is too high shows so. Half of SPIKE, as a median and not as a single step."""
DIVERGED_RISE, DIVERGED_FACTOR, DIVERGED_NOISE, DIVERGED_WINDOWS = 0.5, 1.3, 4.0, 4
"""A loss has diverged when it lost half of what it had gained, stands 1.3 times above its lowest median, by 4 times
what neighbouring medians differ by, and stays there for 4 of 40 windows. Measured here: none of 1,000 simulated healthy
logs (noise of up to 60 % of the loss, outliers, plateaus, restarts of the rate), 58 of 60 simulated divergences."""
DIVERGED_STEPS = 60
"""Logged steps before that is asked."""
MANY_SPIKES = 0.01
"""Share of the steps that may be spikes. Measured here: at most 0.4 % of a healthy run's (CTC from random weights)."""
UNLIKELY = 0.05
"""How many utterances of a whole data set may be in so many spikes by chance (binomial, times the utterances)."""
SPIKES_AT_LEAST = 5
"""Spikes before their share is asked for."""
PLATEAU_STEPS, PLATEAU_STEPS_CTC, PLATEAU_STEPS_RUNNING = 200, 300, 600
"""Optimizer steps after which a model should have left the level of chance; with a CTC loss, which first learns to be
silent, where the run is over; and where it may go on. Measured here: a model of 5 M parameters from random weights left
that plateau after 150 steps, with masked features after 600 (docs/results.md)."""
PLATEAU_ENTRIES = 15
"""Logged losses that a plateau is judged by."""
PLATEAU_GAIN = 0.1
"""Share of its beginning that the loss has to come down by to have learned anything; a new CTC head comes down by much
more before its plateau, and its plateau is known by its level."""
CTC_CHANCE = 2.3, 3.6
"""Nats a label token on the blank plateau. Measured here: 2.8 to 3.0 on four languages, the entropy of single letters
(English: 4.1 bits = 2.9 nats, Shannon 1951); letters of other scripts and word pieces lie higher, see ln(tokens)."""
MOST_LETTERS = 100
"""Tokens of a vocabulary of letters, alphabets with marks included; word pieces are 200 and more."""
CHANCE_WER = 0.95
"""Word error rate from which nothing has been learned."""
CHANCE_ACCURACY = 1.5
"""Times 1/classes below which a classifier guesses."""
FLAT = 0.05
"""Share by which the medians of a loss may differ on a plateau."""
NEAR_CHANCE = 0.1
"""Share by which a loss may differ from ln(classes) or ln(tokens) to be chance."""
ALL_EMPTY, ALL_BLANK = 0.95, 0.985
"""Share of empty texts, and of blank frames, of a model that says nothing. Speech at 50 frames a second has about 15
letters a second: 70 % of the frames of a model that works are blank."""
EMPTY_EVALUATIONS = 2
"""Evaluations in a row with a WER and CER of exactly 1, which only empty texts have."""
REPEATING_TEXTS = 0.1
"""Share of the texts that may repeat themselves or run into the limit."""
LONG_TEXTS = 2.0
"""Characters of what was written over those of the references."""
RUNAWAY_WER = 1.5
"""Word error rate that only texts of twice the length reach. CTC models begin at 1.0 to 1.1 (measured here)."""
RUNAWAY_STEPS = 100
"""Steps of training after which it is no beginning any more."""
MULTIPLIED_LEAST = 1.7
"""Times the validation loss at which a training loss stands. Dropout, masks and augmentation raise it by a share that
changes while the model learns; accumulation multiplies it by a whole number at every step (transformers 47688)."""
MULTIPLIED_TOLERANCE = 0.15
"""How far from a whole number the ratio may be, and by how much it may vary over the evaluations. A third of it for 2
where nothing says how many there were: a published Whisper tiny, trained on subtitles, has 1.71 at 50 evaluations."""
MULTIPLIED_USUAL = (2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""Accumulation steps and numbers of devices that people choose, and their products."""
MULTIPLIED_EVALUATIONS = 3
"""Evaluations that the ratio is taken from."""
OVERFIT_EVALUATIONS = 3
"""Evaluations since the best one, each of them worse."""
OVERFIT_SCORE, OVERFIT_LOSS = 0.08, 0.15
"""Share by which the metric is worse at the end, or the validation loss where there is no other (twice that where the
other gained nothing any more). Measured here: evaluations of healthy runs go up and down by 2 % (CER of 195
clips) and 4 % (loss of 40 clips)."""
OVERFIT_STEPS = 100
"""Steps before evaluations of a few clips differ by more than chance."""
OVERFIT_TRAINING = 0.1
"""Share by which the training loss fell meanwhile."""
SCORE_DIFFERENCE = 0.02
"""By which two error rates of the same clips and the same weights may differ: bf16 against float32, other batches."""
COLLAPSED_PERPLEXITY = 2.1
"""Codevectors in use: a pre-training that collapsed stands at 2, one for each of two code books, and rounding may leave
it a little above (transformers issues 14387, 12934; fairseq 3661)."""
COLLAPSED_LOSS = 0.05
"""Contrastive loss in nats: it begins at ln(1 + 100 distractors) = 4.6 and ends at about 2 in good runs."""
COLLAPSE_ENTRIES = 20
"""Logged steps that this is judged by."""
PRETRAINING_NORM = 0.5, 2.0
"""Gradient norm of a healthy pre-training (transformers examples, speech-pretraining README)."""
SLOWER, SLOWER_NOTE = 0.5, 0.7
"""Throughput of the last quarter of a run over that of the first. Measured here, on a machine shared by eight: 0.87 to
1.1 in healthy runs of 300 to 5,000 steps."""
SLOWER_PROCESSOR = 0.4
"""The same of a run on a processor, which others use as well. Measured here, with eight processes on two cores: parts
of one run differ by a factor of 2."""
SPEED_STEPS = 100
"""Steps that the throughput is compared over."""
SPEED_SECONDS = 60.0
"""s of training below which nobody has lost anything."""
STARVING, STARVING_NOTE = 0.4, 0.25
"""Share of the time that a step waited for its data. Measured here: 0 to 12 % where one thread reads ahead."""
STARVING_STEP = 0.02
"""s a step: shorter ones are no training."""
LONG_RUN = 500
"""Steps: a run that should have been evaluated."""
RATE_STEPS = 10
"""Logged learning rates that are looked at; the first one of a warm-up is 0."""
RATE_OVER = 0.1
"""Share of the run at its end that a schedule may spend at a rate of 0."""
STOPPED_AT_ONCE = 0.3
"""Share of the planned steps before which patience should not end a run that still learns."""
MEMORY_OFF = 1.5
"""Times that measured and predicted memory may differ: whole runs on a processor keep up to 1.4 times what their steps
need (docs/memory.md)."""
MEMORY_OFF_LEAST = 2 * 2**30
"""Bytes of a process: below, Python and its libraries (0.6 GiB measured here) are more than the model."""
SET_ASIDE = 0.01
"""Share of the training utterances that a run may leave out without a word."""
SET_ASIDE_AUGMENTED = 0.05
"""The same of labels that only a faster copy of the clip has no frames for. Measured here: one of 1,657 at speed
1.1."""
BATCHES_CHANGED = 0.05
"""Share by which the steps of an epoch may change; later epochs are cut into batches anew and differ by one or two."""
EVALUATION_SECONDS = 600.0
"""s spent in evaluations, more than in training, that are worth a warning."""
ISOLATED = 0.05
"""Share of the logged steps whose float16 gradient may overflow: the scale of the loss grows until it does, every 2,000
steps (torch.amp.GradScaler, growth_interval)."""
ZEROS, ZERO_FROM = 3, 0.05
"""Logged steps at a loss of exactly 0, and the loss before them, that no learning explains: the Trainer rounded losses
to four digits, and one that is learned by heart passes 0.01 and 0.001 (measured on two published Whisper runs)."""
SETTLING = 20
"""Logged steps in which that scale comes down from 65,536 by halves (torch.amp.GradScaler, init_scale)."""

# ---------------------------------------------------------------------------------------------------------- checkpoint

MOST_WEIGHTS = 8e9
"""Bytes of weights that are read without `--full`. Measured here on 0.29 GB: 0.2 s for each GB that the system has
cached, 1.6 s for each GB from the disk."""
NAMED_TENSORS = 3
"""Tensors that a message names."""
PROBED_UNASKED = 1e8
"""Bytes of weights up to which the probe is decoded without `--full`: Whisper tiny in float16. Measured here: 10 s of
computing on one processor for tiny, 20 s for base, and the same again for its base."""
ABLE = 0.75
"""Share of the probe that the base has to manage before anything can be lost: three of four sentences. Measured here:
Whisper base and tiny.en manage all, with 3 % and 0 % of the words wrong."""
LOST = 0.5
"""Share of the probe, two of four sentences: what cannot be chance between two models on the same clips."""
FORGOTTEN = 0.3
"""Word error rate beyond the base's, 11 of the probe's 37 words."""
SHORTEST_OUTPUT = 0.25
"""Share of the decoder's positions. A 30 s window of quick speech takes 112 of Whisper's 448 and more."""
