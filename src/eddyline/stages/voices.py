"""Voices: who answers, and who is asked beside.

Which challenger answers which key is a pure function of the rollout and the key, so it is sticky, and everybody can
compute it again. A challenger that raises, or gives something that is not finite, leaves a fault in the record and never
costs the caller an answer. Keeps `named` and `finite`. Knows nothing of windows, labels and policies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import force_setattr

from eddyline.ports import Model
from eddyline.records import LIMIT, NOT_ASKED, UNSEEN, Features, Mode, Prediction, Reason, Said, Scores, Value
from eddyline.records.errors import Rejected
from eddyline.stages.features import INT_LIMIT, Maker, canonical
from eddyline.stages.lines import NO_FEATURES


@dataclass(slots=True)
class Voice:
    """Who answers now: a model, the version it is, and the rollout that says so. The engine keeps it current.

    `maker` is set where it sees other features than the pipeline's. `seats` are asked beside it, event by event; those in
    `aside` by the engine, a stretch of the stream at a time.
    """

    model: Model
    name: str
    position: int
    revision: int
    maker: Maker | None = None
    seats: tuple[Seat, ...] = ()
    salt: int = 0
    aside: tuple[Seat, ...] = ()


@dataclass(slots=True)
class Seat:
    """A version that is asked beside the champion: how, and for which share of keys its answer is the one returned."""

    model: Model
    name: str
    position: int
    mode: Mode
    share: float
    who: str = ""
    """the line, or the version, by which the rollout calls it"""
    maker: Maker | None = None


def assigned(salt: int, who: str, share: float, key: str) -> bool:
    """Whether a key is among the share that `who` answers: the same keys always, and more of them when the share grows.

    >>> keys = [f"card-{i}" for i in range(10_000)]
    >>> few = {key for key in keys if assigned(7, "fraud.deep", 0.05, key)}
    >>> more = {key for key in keys if assigned(7, "fraud.deep", 0.2, key)}
    >>> 450 < len(few) < 550, few < more, few == {key for key in keys if assigned(8, "fraud.deep", 0.05, key)}
    (True, True, False)
    """
    digest = hashlib.blake2b(f"{salt}/{who}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def finite(value: Value, scores: Scores | None) -> bool:
    """Whether an answer may leave: finite, at most 1e100 large, and an integer of at most 64 bits."""
    if type(value) is float:
        if not abs(value) <= LIMIT:
            return False
    elif type(value) is int and not -INT_LIMIT <= value < INT_LIMIT:
        return False
    return not scores or abs(sum(scores.values())) <= LIMIT


def beside(shared: Maker, orders: Any, voice: Voice, given: Prediction, event: Any) -> Prediction:
    """The champion's answer with what the seats beside it said; or a challenger's, for the keys that it answers.

    `given` is the champion's. Everybody else's words travel in `others`, the champion's too where it was not returned.
    """
    made: dict[int, Features] | None = None
    heard: list[Said] = []
    answering: int | None = None
    for seat in voice.seats:
        if seat.mode == "shadow" and seat.maker is voice.maker:
            heard.append(_alike(seat, given.features))
            continue
        if made is None:
            made = {id(voice.maker or shared): given.features}
        key = given.key or given.event_id
        mine = seat.mode != "shadow" and answering is None and assigned(voice.salt, seat.who, seat.share, key)
        said = _asked(seat, seat.maker or shared, made, orders, given, event, silent=seat.mode == "split" and not mine)
        if mine and said.fault is None:
            answering = len(heard)
        heard.append(said)
    if answering is None:
        force_setattr(given, "others", heard)  # serve made it a moment ago, and nobody else has seen it
        return given
    chosen = heard[answering]
    features = given.features if chosen.features is None else chosen.features
    heard[answering] = Said(given.model, given.position, given.value, given.scores, given.features)
    others = [_seen_from(features, given.features, one) for one in heard]
    return _with(given, features, chosen.value, chosen.scores, chosen.model, chosen.position, others)


def say(seats: Sequence[Seat], number: int, given: Prediction) -> None:
    """Sets what one of some shadows says beside the champion's answer, before anybody else sees that.

    All of them have to say something, in any order, and see what the champion saw.
    """
    said = _alike(seats[number], given.features)
    if given.others is None:
        force_setattr(given, "others", [said] * len(seats))
    else:
        given.others[number] = said


def _alike(seat: Seat, features: Features) -> Said:
    """What a shadow says that sees what the champion saw: most of them, and asked of every event."""
    name, position = seat.name, seat.position
    try:
        output = seat.model.predict(features)
    except Rejected as rejected:
        return Said(name, position, None, None, None, rejected.reason)
    except Exception:
        return Said(name, position, None, None, None, Reason.MODEL_FAILED.value)
    value, scores = output.value, output.scores
    if finite(value, scores):
        return Said(name, position, value, scores)
    return Said(name, position, None, None, None, Reason.NOT_FINITE.value)


def _asked(
    seat: Seat, maker: Maker, made: dict[int, Features], orders: Any, given: Prediction, event: Any, *, silent: bool
) -> Said:
    """What one seat says. Features are made once for all that share a maker."""
    name, position = seat.name, seat.position
    own: Features | None = None
    try:
        features = made.get(id(maker))
        if features is None:
            seen = given.aggregates or {}
            raw = maker.features(event, **{wanted: seen[wanted] for wanted in maker.wanted})
            features = made[id(maker)] = dict(raw) if maker.trusted else canonical(raw, orders)
        own = None if features is given.features else features
        if silent:
            return Said(name, position, None, None, own, NOT_ASKED)
        output = seat.model.predict(features)
    except Rejected as rejected:
        return Said(name, position, None, None, own, UNSEEN if silent else rejected.reason)
    except Exception:
        reason = Reason.MODEL_FAILED if id(maker) in made else Reason.FEATURES_FAILED
        return Said(name, position, None, None, own, UNSEEN if silent else reason.value)
    if not finite(output.value, output.scores):
        return Said(name, position, None, None, own, Reason.NOT_FINITE.value)
    return Said(name, position, output.value, output.scores, own)


def _seen_from(now: Any, before: Any, said: Said) -> Said:
    """The same words, with features left out where they are those of the answer that is returned."""
    if said.features is None and said.fault in NO_FEATURES:
        return said
    features = before if said.features is None else said.features
    return Said(said.model, said.position, said.value, said.scores, None if features is now else features, said.fault)


def _with(
    given: Prediction, features: Any, value: Value, scores: Scores | None, model: str, position: int, others: list[Said]
) -> Prediction:
    return Prediction(
        given.event_id,
        given.key,
        given.at,
        features,
        given.aggregates,
        value,
        scores,
        model,
        position,
        given.revision,
        given.segment,
        others,
    )
