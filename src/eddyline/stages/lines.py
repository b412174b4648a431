"""Lines: named sequences of versions, each with a learner of its own.

The pipeline's own learner is a line by the pipeline's name; a challenger `deep` of the pipeline `fraud` is the line
`fraud.deep`. A model that was retrained, cleaned of events or branched off enters as a line of its own, too. Knows nothing
of who answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from eddyline.ports import Model
from eddyline.records import UNSEEN, Features, Mode, Prediction, Reason
from eddyline.stages.features import Maker


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is declared: the model it starts from, the features it sees (None: the pipeline's), whether it learns.

    `mode` and `share` say how it is asked from the start; None for the pipeline's own, which answers.
    """

    name: str
    model: Model
    maker: Maker | None = None
    learns: bool = True
    mode: Mode | None = None
    share: float = 0.0


class Entry(msgspec.Struct, frozen=True):
    """A line that enters while the stream runs: made as the declared line `like`, from the bytes of the version `start`.

    `after` is the version of another line up to whose examples those bytes know: what that line learned since is learned
    before the newcomer is asked anything. None: nothing is caught up. The events in `skip` it never learns.
    """

    name: str
    like: str
    start: str
    after: str | None = None
    learns: bool = True
    skip: tuple[str, ...] = ()
    digest: str = ""
    """of the bytes it starts from, where they came with it: so that the journal says which they were"""


NO_FEATURES = (Reason.FEATURES_FAILED.value, Reason.OUT_OF_RANGE.value, UNSEEN)
"""The faults of those whose features could not be made."""


class Step(NamedTuple):
    """One example as a line learned it: the position it reached, whose event it was, what it saw, and the truth."""

    position: int
    event_id: str
    features: Features
    truth: Any


def seen_by(prediction: Prediction, line: str, makers: Mapping[str, Maker | None]) -> Features | None:
    """The features that a line saw, or would have seen, as they were served; None where nobody who sees alike was asked.

    `makers` tells for each line how its features are made; two lines with one maker see the same.
    """
    mine = makers[line]
    for said in prediction.others or ():
        if said.fault in NO_FEATURES and makers.get(said.model) is mine:
            return None  # its features function failed on this event
    if prediction.model == line or makers.get(prediction.model, mine) is mine:
        return prediction.features
    for said in prediction.others or ():
        if makers.get(said.model) is mine:
            return prediction.features if said.features is None else said.features
    return None
