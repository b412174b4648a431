"""Unison: records of which everybody who was asked had an answer, taken column by column.

Most of a stream is like that, and it costs half of what one by one costs (`Decide.take`), which whatever else comes is
left to. Both come to the same to the bit, so that nothing depends on how the record was cut: keeps `split`. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eddyline.records import Example, Prediction, Said, Unlabelled
from eddyline.stages.bouts import Bout, Roll
from eddyline.stages.deciding import DecideState

FEW = 8
"""Fewer answers than this are taken one by one: columns cost more."""
Columns = list[list[Said]]
"""What each seat said, in the order of the rollout's places."""


def taken_together(state: DecideState, records: Sequence[Prediction | Example | Unlabelled], judged: Sequence[Bout]) -> bool:
    """Takes answers and truths at once; False, and nothing is taken, where only one by one is right.

    `judged` are the bouts that take pairs now.
    """
    roll = state.roll
    places = [place for place, record in enumerate(records) if type(record) is Prediction]
    if roll is None or len(places) < FEW or state.errors or len(state.expected) or state.quarantined:
        return False
    told = [place for place, record in enumerate(records) if type(record) is Example]
    answers: list[Any] = [records[place] for place in places]
    columns = _said(roll, answers, state.rollout.revision) if len(places) + len(told) == len(records) else None
    if columns is None:
        return False
    if state.began_at is None:
        state.began_at = answers[0].at
    for who in roll.parties if columns else (roll.champion,):
        state.pulses[who].answered(len(answers))
    fresh: dict[str, int] = {}
    for bout in judged if columns else ():
        said = columns[roll.places[bout.who] - 1]
        apart = bout.apart(answers, said)
        if apart is None:
            apart = range(len(answers))
            for answer in answers:
                bout.answered(roll, answer, [answer, *answer.others], state.still)
        else:
            bout.agreed(answers, said, apart)
        fresh |= {answers[number].event_id: places[number] for number in apart}
    _settle(state.bouts, [records[place] for place in told], told, fresh)
    return True


def _said(roll: Roll, answers: Sequence[Prediction], revision: int) -> Columns | None:
    """What each seat said to these answers; nothing where nobody was asked, and None where somebody was silent, or another."""
    heard = [answer.others or () for answer in answers]
    if not any(heard):
        return []
    beside = roll.beside
    if beside is None or set(map(len, heard)) != {len(beside)}:
        return None
    if [answer.model for answer in answers].count(roll.champion) < len(answers):
        return None
    if [answer.revision for answer in answers].count(revision) < len(answers):
        return None
    columns = [[others[seat] for others in heard] for seat in range(len(beside))]
    for who, column in zip(beside, columns, strict=True):
        if [said.model for said in column].count(who) < len(column) or [said.fault for said in column].count(None) < len(
            column
        ):
            return None
    return columns


def _settle(bouts: Sequence[Bout], examples: Sequence[Any], places: Sequence[int], fresh: Mapping[str, int]) -> None:
    """Tells bouts the truths of who waits; not of an answer of `fresh`, by its place, that came only after its truth."""
    if not bouts or not examples:
        return
    ids = [example.prediction.event_id for example in examples]
    for bout in bouts:
        for number in bout.order.waiting_among(ids):
            event_id, example = ids[number], examples[number]
            if example.revision == 0 and fresh.get(event_id, -1) < places[number]:
                bout.order.settle(event_id, [example.truth])
