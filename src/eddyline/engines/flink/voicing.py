"""Who answers on Flink: the voices of the newest rollout, from the versions that were told so far.

Versions and rollouts come through two topics, so a rollout may name a version that is not here yet. Until it is, the rollout
before stays in force, with the newest versions of its lines. Models are made from their bytes in the background and taken
between batches, all voices together.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from eddyline.connectors.kafka import wire
from eddyline.pipeline import Pipeline, Plan
from eddyline.ports import Model
from eddyline.records import Rollout
from eddyline.stages.bouts import Party, party
from eddyline.stages.features import Maker
from eddyline.stages.rollouts import champion_of
from eddyline.stages.voices import Seat, Voice

KEPT_VERSIONS = 4
"""How many versions that no rollout names yet are kept: those sent again, and those of lines that come in."""


class Made(NamedTuple):
    """The voices of a rollout as they can answer: by name in the rollout, which version, and its model."""

    rollout: Rollout
    parties: dict[str, Party]
    models: dict[Party, Model]


class Voices:
    """The versions and rollouts that were told, and the voice that follows from them."""

    def __init__(self, pipeline: Pipeline, plan: Plan) -> None:
        self.own = pipeline.name
        self.blanks: dict[str, Model] = {name: line.model for name, line in plan.lines.items()}
        self.makers: dict[str, Maker | None] = {name: line.maker for name, line in plan.lines.items()}
        self.declared = frozenset(plan.lines)
        self.newest: dict[str, int] = dict.fromkeys(plan.lines, 0)
        self.versions: dict[Party, bytes] = {}
        self.recent: list[Party] = []
        self.newest_rollout = self.chosen = plan.decide.new_state().rollout
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="eddyline-version")
        self.coming: Future[Made] | None = None
        self.models: dict[Party, Model] = {}
        self.voice = Voice(plan.model, pipeline.name, 0, 0)
        self._choose()
        self.settle()

    # What is told ----------------------------------------------------------------------------------------------------

    def again(self, bodies: Sequence[bytes], rollouts: Sequence[Rollout]) -> None:
        """After a restart: what `bodies` and `rollouts` gave."""
        for body in bodies:
            self._keep(body)
        if rollouts:
            self.chosen, self.newest_rollout = rollouts[0], rollouts[-1]
        self._choose()
        self.settle()

    def version(self, body: bytes) -> None:
        """A version that was published, or sent again because a command names it."""
        self._keep(body)
        self._choose()
        self._forget()

    def _keep(self, body: bytes) -> None:
        told = wire.peek_version(body)
        one = told.model, told.position
        if told.like is not None and told.model not in self.blanks:
            self.blanks[told.model], self.makers[told.model] = self.blanks[told.like], self.makers[told.like]
        if told.model not in self.declared or told.position < self.newest[told.model]:
            self.recent = [*(known for known in self.recent if known != one), one]
        self.versions[one] = body
        self.newest[told.model] = max(self.newest.get(told.model, 0), told.position)

    def rollout(self, rollout: Rollout) -> None:
        """Who answers from here on."""
        if rollout.revision >= self.newest_rollout.revision:
            self.newest_rollout = rollout
        self._choose()
        self._forget()

    def _forget(self) -> None:
        """Lets go of versions that nobody will ask for."""
        self.recent = self.recent[-KEPT_VERSIONS:]
        kept = {(line, self.newest[line]) for line in self.declared} | {*self.recent}
        for rollout in self.rollouts():
            kept |= {self._party(who) for who in self._names(rollout)}
        self.versions = {one: body for one, body in self.versions.items() if one in kept}

    # What follows ----------------------------------------------------------------------------------------------------

    def now(self) -> Voice:
        """The voice that answers the next batch."""
        if self.coming is not None and self.coming.done():
            self._take(self.coming.result())
        return self.voice

    def settle(self) -> None:
        """Waits until the versions that are being made can answer."""
        if self.coming is not None:
            self._take(self.coming.result())

    def rollouts(self) -> list[Rollout]:
        """The rollout that was chosen, and the newest where it waits for a version."""
        return [self.chosen] if self.chosen is self.newest_rollout else [self.chosen, self.newest_rollout]

    def bodies(self) -> list[bytes]:
        """The versions that have to be told again, the newest first."""
        return [self.versions[one] for one in sorted(self.versions, key=lambda one: one[1], reverse=True)]

    def _names(self, rollout: Rollout) -> list[str]:
        return [champion_of(rollout, self.own), *(place.who for place in rollout.places)]

    def _party(self, who: str) -> Party:
        line, position = party(who)
        return line, self.newest.get(line, 0) if position < 0 else position

    def _here(self, one: Party) -> bool:
        return (one in self.versions and one[0] in self.blanks) or (one[1] == 0 and one[0] in self.declared)

    def _choose(self) -> None:
        """Starts to make the voices of the newest rollout whose versions are all here."""
        for rollout in reversed(self.rollouts()):
            parties = {who: self._party(who) for who in self._names(rollout)}
            if all(map(self._here, parties.values())):
                self.chosen = rollout
                bodies = {one: self.versions.get(one, b"") for one in parties.values()}
                self.coming = self.pool.submit(self._made, rollout, parties, self.models, bodies)
                return

    def _made(self, rollout: Rollout, parties: dict[str, Party], known: dict[Party, Model], bodies: dict[Party, bytes]) -> Made:
        """The models of these versions, and of no others; those that were made before stay what they are."""
        for one, body in bodies.items():
            if one not in known:
                blank = self.blanks[one[0]]
                known[one] = blank.restored(wire.decode_version(body)[1]) if body else blank
        for one in known.keys() - bodies.keys():
            del known[one]
        return Made(rollout, parties, {one: known[one] for one in bodies})

    def _take(self, made: Made) -> None:
        """Lets these voices answer."""
        rollout, voice, self.models = made.rollout, self.voice, made.models
        champion = made.parties[champion_of(rollout, self.own)]
        voice.revision, voice.salt, voice.model = rollout.revision, rollout.salt, made.models[champion]
        voice.name, voice.position = champion
        voice.maker = self.makers[voice.name]
        seats = []
        for place in rollout.places:
            name, position = one = made.parties[place.who]
            maker = self.makers[name]
            seats.append(Seat(made.models[one], name, position, place.mode, place.share, place.who, maker))
        voice.seats = tuple(seats)
        self.coming = None
