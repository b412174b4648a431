"""beside: a challenger never costs the caller an answer, is asked as its rollout says, and is recorded.

Also: who answers which key is a function of the rollout and the key, and every word that was said can be said again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from tests.laws.drawn import LAW, PLACES, batches, messy, pipeline

from eddyline.records import NOT_ASKED, Prediction, Rollout
from eddyline.stages.bouts import Roll
from eddyline.stages.voices import assigned
from eddyline.testing import Voyage
from eddyline.testing.given import Given

NAME = "contested"
ALONE = pipeline(NAME).replace(challengers=(), decide=())


@LAW
@given(messy(), PLACES)
def test_whatever_challengers_do_the_same_events_are_answered(records: list[Given], places: list[int]) -> None:
    answered = []
    for declared in (pipeline(NAME), ALONE):
        with tempfile.TemporaryDirectory() as folder, Voyage(declared, Path(folder)) as voyage:
            ids = set()
            for batch in batches(records, places):
                # A champion that sees other features may refuse other events: that is the champion's right, not a challenger's.
                ids |= {p.event_id for p in voyage.take(*batch).predictions}
                if voyage.engine.loop.states.rollout.champion is not None:
                    return
            answered.append(ids)
    assert answered[0] == answered[1]


@LAW
@given(messy(), PLACES)
def test_everybody_with_a_seat_is_recorded_and_answers_the_keys_of_its_share(records: list[Given], places: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, Voyage(pipeline(NAME), Path(folder)) as voyage:
        rollouts = {0: voyage.engine.loop.states.rollout}
        for batch in batches(records, places):
            outcome = voyage.take(*batch)
            rollouts |= {rollout.revision: rollout for rollout in outcome.rollouts}
            for prediction in outcome.predictions:
                assert_as_the_rollout_says(rollouts[prediction.revision], prediction)


def assert_as_the_rollout_says(rollout: Rollout, prediction: Prediction) -> None:
    roll = Roll(rollout, NAME)
    assert len(prediction.others or ()) == len(rollout.places)
    answering = None
    for place in rollout.places:
        said = roll.said(prediction, place.who)
        assert said is not None
        mine = place.mode != "shadow" and answering is None and assigned(rollout.salt, place.who, place.share, prediction.key)
        failed = said is not prediction and said.fault not in (None, NOT_ASKED)  # type: ignore[union-attr]
        if mine and not failed:
            answering = place.who
        if place.mode == "split" and not mine:
            assert said is prediction or said.fault is not None  # type: ignore[union-attr]
    expected = roll.parties[answering or roll.champion]
    assert prediction.model == expected[0]
