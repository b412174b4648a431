"""Challengers as they are declared: another recipe, and how it is asked beside the champion. Checked when built."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eddyline.pipeline.per import Per, require_per
from eddyline.records import Mode
from eddyline.records.errors import DeclarationError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """Answers every event and is never returned: costs its own model's time, risks nothing.

    Choose it first: every event gives a pair of answers, so it needs the fewest labels to tell who is better.

    >>> Challenger("deep", mode=Shadow()).sentence()
    'deep answers in the shadow, and learns'
    """

    mode: Mode = "shadow"
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Canary:
    """Answers a share of the keys, and is asked for all of them, so that the evidence is still in pairs.

    A key that is answered by it stays with it, also when the share grows.

    >>> Canary(0.05)
    Canary(share=0.05, mode='canary')
    """

    share: float
    mode: Mode = "canary"

    def __post_init__(self) -> None:
        _check_share("Canary", self.share)


@dataclass(frozen=True, slots=True)
class Split:
    """Answers a share of the keys and is asked for no other: an A/B test, for answers that change what happens next.

    There are no pairs: ten times as many labels are needed as with `Shadow`, and of each key only its first event is a case,
    for keys are what chance assigned. So it takes thousands of keys: the number of events does not help where keys are few.

    >>> Challenger("deep", mode=Split(0.5)).sentence()
    'deep answers 50 % of keys (split), and learns'
    """

    share: float = 0.5
    mode: Mode = "split"

    def __post_init__(self) -> None:
        _check_share("Split", self.share)


@dataclass(frozen=True, slots=True, eq=False)
class Challenger:
    """Another recipe that may earn the traffic: its line is called `<pipeline>.<name>`.

    `model` is whatever a pipeline takes; leave it out to try other features with the pipeline's own. `features` as in a
    pipeline, and may ask for any of its aggregates. `mode` is `Shadow()`, `Canary(0.05)` or `Split(0.5)`. `learns=False`
    keeps it as it is: for models from files, and for a frozen copy to compare with. `per="key"` holds one model for each key;
    a challenger without a model of its own has the pipeline's, and is per key where that is.

    >>> Challenger("deep", mode=Canary(0.05)).sentence()
    'deep answers 5 % of keys (canary), and learns'
    >>> Challenger("own", per="key").sentence()
    'own answers in the shadow with one model per key, and learns'
    """

    name: str
    model: Any = None
    features: Callable[..., Mapping[str, Any]] | None = None
    mode: Shadow | Canary | Split = Shadow()
    learns: bool = True
    per: Per | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"challengers: name={self.name!r}: lower-case letters, digits, - and _, starting with a letter\n"
                'write Challenger("deep", model=...)'
            )
        if not isinstance(self.mode, Shadow | Canary | Split):
            raise DeclarationError(
                f"challenger {self.name}: mode={self.mode!r}\nwrite mode=Shadow(), mode=Canary(0.05) or mode=Split(0.5)"
            )
        require_per(f"challenger {self.name}", self.per)

    def sentence(self) -> str:
        """What it does, for people."""
        asked = "answers in the shadow" if self.mode.mode == "shadow" else f"answers {100 * self.mode.share:g} % of keys"
        how = "" if self.mode.mode == "shadow" else f" ({self.mode.mode})"
        own = "" if self.per is None else " with one model per key"
        return f"{self.name} {asked}{how}{own}, and {'learns' if self.learns else 'stays as it is'}"


def _check_share(word: str, share: Any) -> None:
    if not isinstance(share, float | int) or isinstance(share, bool) or not 0 < share < 1:
        raise DeclarationError(f"{word}({share!r}): the share of keys is between 0 and 1\nwrite {word}(0.05)")
