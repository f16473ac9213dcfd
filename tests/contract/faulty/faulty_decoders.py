"""Decoders with one fault each."""

import itertools

from voxcli.api import Emission, config, hookimpl

CALLS = itertools.count()


def best(log_probabilities, alphabet):
    """Greedy."""
    found, at = [], 0
    for token, run in itertools.groupby(log_probabilities.argmax(-1).tolist()):
        end = at + len(list(run))
        if token != alphabet.blank:
            found.append(Emission(token, at, end, 0.9))
        at = end
    return found


@config
class Late:
    """Its frames lie beyond the recording."""

    def decode(self, log_probabilities, alphabet):
        found = best(log_probabilities, alphabet)
        return [Emission(one.token, one.start + 500, one.end + 500, one.probability) for one in found]


@config
class Deaf:
    """Reads the first letter alone."""

    def decode(self, log_probabilities, alphabet):
        return best(log_probabilities, alphabet)[:1]


@config
class Talkative:
    """Says something where there is nothing."""

    def decode(self, log_probabilities, alphabet):
        found = best(log_probabilities, alphabet)
        return found or [Emission(2, 0, 1, 0.5)][: len(log_probabilities)]


@config
class Moody:
    """Another text at every call."""

    def decode(self, log_probabilities, alphabet):
        found = best(log_probabilities, alphabet)
        return found[: len(found) - (next(CALLS) % 3 if len(log_probabilities) == 60 else 0)]


@config
class Writing:
    """Writes into the frames."""

    def decode(self, log_probabilities, alphabet):
        found = best(log_probabilities, alphabet)
        log_probabilities[:] = 0
        return found


@hookimpl
def vox_register(registry):
    for name, found in list(globals().items()):
        if isinstance(found, type) and hasattr(found, "decode"):
            registry.add("decoder", name.lower(), f"{__name__}:{name}", summary="a fault")
