"""Learn: folds examples into the model, one at a time, all or nothing.

A model version is a position in the stream of examples: after example number n the model is `name@n`. What raises or
would leave the model unable to give a finite answer is undone exactly and goes to the dead letters. Undoing is replay: the
state as it was saved, and the examples learned since. That costs nothing while all goes well.

Keeps `first-test` (an example carries the answer that was given before it is learned), `one-writer`, `finite`, `rebuild`.
Knows nothing of who answers, or of joins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from eddyline.ports import Model
from eddyline.records import LIMIT, DeadLetter, Example, Features, Reason, Task
from eddyline.records.errors import DeclarationError
from eddyline.records.time import show_duration, to_us
from eddyline.stages.features import Maker
from eddyline.stages.lines import seen_by
from eddyline.stages.refuse import refuse_example


@dataclass(frozen=True, slots=True, repr=False)
class Publish:
    """Serve published versions instead of the learner itself: a new one every so many examples, or microseconds."""

    examples: int | None
    span_us: int | None = None

    def __repr__(self) -> str:
        parts = {"examples": self.examples, "span_us": self.span_us}
        return f"Publish({', '.join(f'{name}={part}' for name, part in parts.items() if part is not None)})"

    def sentence(self) -> str:
        """When a version is published, for people."""
        said = [] if self.examples is None else [f"{self.examples} examples"]
        said += [] if self.span_us is None else [f"{show_duration(self.span_us)} of event time"]
        return f"every {' or '.join(said)}"

    def due(self, position: int, passed_us: int) -> bool:
        """Whether a version is due at a position, when so much event time has passed since the last one."""
        counted = self.examples is not None and position % self.examples == 0
        return counted or (self.span_us is not None and passed_us >= self.span_us)


def every(first: int | timedelta, second: timedelta | None = None) -> Publish:
    """Publish a version every so many examples, or every so much event time; answers come from the last published one.

    Choose it when scorers and the learner must be apart, or when an answer must not change between two labels. The
    default, live serving, lets a label change the very next answer.

    Examples are counted from the first: `every(1000)` publishes `fraud@1000`, `fraud@2000`, ... Time is event time, so that a
    replay publishes the same: an example counts as of when its truth became known (`Example.at`), examples are taken in the
    order in which they are learned, and a version falls due with the first that is so much later than the last version, or
    than the first example. While nothing is learned nothing is published, however much time passes. Of both, each publishes;
    time begins anew with every version.

    >>> every(1000).sentence(), every(timedelta(seconds=30)).sentence()
    ('every 1000 examples', 'every 30 seconds of event time')
    >>> every(1000, timedelta(seconds=30)).sentence()
    'every 1000 examples or 30 seconds of event time'
    """
    examples: int | None = None
    span: timedelta | None
    if isinstance(first, timedelta):
        span, fits = first, second is None
    else:
        examples, span, fits = first, second, type(first) is int and first >= 1
    if not fits or not (span is None or (isinstance(span, timedelta) and to_us(span) >= 1)):
        given = ", ".join(repr(one) for one in (first, second) if one is not None)
        raise DeclarationError(
            f"publish=every({given}): write a whole number of examples, a duration, or both, "
            "such as every(1000), every(minutes(5)) or every(1000, minutes(5))"
        )
    return Publish(examples, None if span is None else to_us(span))


@dataclass(slots=True)
class LearnState:
    """The learner: its model, its position, and what it takes to undo the last step."""

    model: Model
    position: int
    saved: bytes
    name: str = ""
    """the line whose versions it makes; empty for the pipeline's own"""
    since: list[tuple[Features, Any]] = field(default_factory=list)
    published: Model | None = None
    published_position: int = 0
    published_at: int | None = None
    """event time as it counts for publishing: of the last version, or of the first example"""

    @property
    def speaks(self) -> tuple[Model, int]:
        """The model that answers for this line now, and its position: what was published, or the learner itself."""
        if self.published is None:
            return self.model, self.position
        return self.published, self.published_position


ENTERED = "entered"
"""How `created_by` begins where a line took its place while the stream ran."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a model at a position, as bytes; the seed of a version."""

    position: int
    state: bytes
    digest: str
    name: str = ""
    created_by: str = "cadence"


@dataclass(frozen=True, slots=True)
class Learn:
    """The configuration of learning: when to snapshot, when to publish, how many steps to remember for undoing."""

    snapshot_every: int
    publish: Publish | None
    learn_revisions: bool
    remember: int = 5000

    def new_state(self, model: Model, position: int = 0, name: str = "") -> LearnState:
        """A learner that starts from this model, which it owns from here on; `name` is its line."""
        state = LearnState(model=model, position=position, saved=model.save(), name=name)
        if self.publish is not None:
            state.published, state.published_position = model.restored(state.saved), position
        return state

    def one(
        self,
        state: LearnState,
        example: Example,
        extras: list[Snapshot | DeadLetter],
        features: Features | None = None,
    ) -> int:
        """Learns one example; gives the position that the model reached by it, or -1 when it was not learned.

        `extras` takes the dead letter of what was refused, and the snapshot that fell due. `features` are those that this
        line saw, where they are not those of the answer.
        """
        if example.revision and not self.learn_revisions:
            return -1
        model, truth = state.model, example.truth
        if features is None:
            features = example.prediction.features
        reason = None if type(truth) is bool else _unfit(truth, model.task)
        if reason is None:
            try:
                model.learn(features, truth)
                if not model.sound(features):
                    reason = Reason.NOT_FINITE, "after learning it the model's answer would not be finite"
            except Exception as error:
                reason = Reason.MODEL_FAILED, f"while learning: {type(error).__name__}: {error}"
            if reason is not None:
                state.model = undone(state)
        if reason is not None:
            extras.append(refuse_example(*reason, example))
            return -1
        told = example.prediction
        assert told.model != state.name or told.position <= state.position, "measured before it is learned: first-test"
        state.position = position = state.position + 1
        since = state.since
        since.append((features, truth))
        if len(since) >= self.remember or position % self.snapshot_every == 0:
            self._save(state, extras)
        if self.publish is not None:
            self._publish(self.publish, state, example.at)
        return position

    def as_seen(
        self,
        state: LearnState,
        example: Example,
        extras: list[Snapshot | DeadLetter],
        makers: Mapping[str, Maker | None] | None,
    ) -> int:
        """Learns one example as `one` does, from the features as this line saw them; -1 where it could not see any.

        `makers` tells for each line how its features are made; None where all lines see the same.
        """
        features = None
        if makers is not None and example.prediction.model != state.name:
            features = seen_by(example.prediction, state.name, makers)
            if features is None:
                return -1
        return self.one(state, example, extras, features)

    def beside(
        self,
        states: Iterable[LearnState],
        example: Example,
        makers: Mapping[str, Maker | None] | None,
        snapshots: list[Snapshot],
        failed: list[tuple[str, str]],
    ) -> dict[str, int] | None:
        """Lets lines beside the pipeline's own learn an example; where each stands after it, None where none learned it.

        A line's failure is its own, because the own line has the example: it goes to `failed`, with the reason.
        """
        reached: dict[str, int] = {}
        extras: list[Snapshot | DeadLetter] = []
        for state in states:
            position = self.as_seen(state, example, extras, makers)
            if position >= 0:
                reached[state.name] = position
            for extra in extras:
                if isinstance(extra, Snapshot):
                    snapshots.append(extra)
                else:
                    failed.append((state.name, extra.reason))
            extras.clear()
        return reached or None

    def _publish(self, publish: Publish, state: LearnState, at: int) -> None:
        """Publishes the version that was just learned, where it is due; `at` is event time as the example tells it."""
        last = at if state.published_at is None else state.published_at
        state.published_at = last
        if publish.due(state.position, at - last):
            state.published = state.model.restored(state.model.save())
            state.published_position, state.published_at = state.position, max(last, at)

    def _save(self, state: LearnState, extras: list[Snapshot | DeadLetter]) -> None:
        state.saved = state.model.save()
        state.since.clear()
        if state.position % self.snapshot_every == 0:
            extras.append(Snapshot(state.position, state.saved, state.model.digest(), state.name))


def undone(state: LearnState) -> Model:
    """The model as it was before its last step: the saved state with the examples since, learned again.

    The saved state moves up to here, so that a stream of bad examples does not replay the same good ones each time.
    """
    model = state.model.restored(state.saved)
    for features, truth in state.since:
        model.learn(features, truth)
    state.saved = model.save()
    state.since.clear()
    return model


def _unfit(truth: Any, task: Task) -> tuple[Reason, str] | None:
    """Why this truth cannot be learned by a model of this task, or None."""
    if type(truth) is bool or type(truth) is str:
        if task is Task.REGRESSION and type(truth) is str:
            return Reason.TRUTH_CONFLICT, f"the truth {truth!r} is text; a regression learns numbers"
        return None
    if isinstance(truth, int | float):
        if not abs(truth) <= LIMIT:
            return Reason.OUT_OF_RANGE, f"the truth is {truth!r}, expected at most ±1e100"
        return None
    return (
        Reason.TRUTH_CONFLICT,
        f"the truth {truth!r} is a {type(truth).__name__}, expected a class or a number",
    )
