"""Who answers on Flink: the voices of the newest rollout, from the versions that were told so far.

Versions and rollouts come through two topics, so a rollout may name a version that is not here yet. Until it is, the rollout
before stays in force, with the newest versions of its lines. A version that is told as what changed since another is here when
all are here that it takes. Models are made from their bytes in the background and taken between batches, all voices together.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from eddyline.connectors.kafka.deltas import Heard, Reader
from eddyline.engines.flink.per_key import learned_where_served
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
        self.keyed = pipeline.name if learned_where_served(pipeline) else None
        """the line whose models live beside this, one per key: a version of it answers only where a rollout names it"""
        self.declared = frozenset(plan.lines)
        self.newest: dict[str, int] = dict.fromkeys(plan.lines, 0)
        self.versions: dict[Party, Heard] = {}
        self.last: dict[str, int] = {}
        self.recent: list[Party] = []
        self.reader = Reader()
        self.newest_rollout = self.chosen = plan.decide.new_state().rollout
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="eddyline-version")
        self.coming: Future[Made] | None = None
        self.models: dict[Party, Model] = {}
        self.live = True
        """whether the pipeline's own line answers, as it stands, and no version by name"""
        self.champion = pipeline.name
        """whom the voice speaks for, as its rollout calls it"""
        self.voice = Voice(plan.model, pipeline.name, 0, 0)
        self._choose()
        self.settle()

    # What is told ----------------------------------------------------------------------------------------------------

    def again(self, bodies: Sequence[bytes], bases: Sequence[bytes], rollouts: Sequence[Rollout]) -> None:
        """After a restart: what `bodies`, `bases` and `rollouts` gave."""
        for body in bases:
            self._keep(body)
        self.recent.clear()
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
        heard = Heard.of(body)
        told, one = heard.told, (heard.told.model, heard.told.position)
        if told.like is not None and told.model not in self.blanks:
            self.blanks[told.model], self.makers[told.model] = self.blanks[told.like], self.makers[told.like]
        keyed = told.model == self.keyed
        if keyed or told.model not in self.declared or told.position < self.newest[told.model]:
            self.recent = [*(known for known in self.recent if known != one), one]
        known = self.versions.get(one)
        if known is None or not self._complete(one) or (told.whole and told.sum == known.told.sum):
            self.versions[one] = heard
        if keyed:
            return
        self.last[told.model] = max(self.last.get(told.model, 0), told.position)
        newest = self.newest.get(told.model, 0)
        later = [one for one in self.versions if one[0] == told.model and one[1] > newest and self._complete(one)]
        self.newest[told.model] = max((position for _, position in later), default=newest)

    def _chain(self, one: Party) -> list[Party]:
        """A version and those that reading it takes, as far as they are here: the last is whole, or its base is not here."""
        found = [one]
        while (heard := self.versions.get(found[-1])) is not None and heard.told.base is not None:
            base = self.versions.get((one[0], heard.told.base))
            if base is None or base.told.sum != heard.told.base_sum:
                break
            found.append((one[0], heard.told.base))
        return found

    def _complete(self, one: Party) -> bool:
        """Whether a version can be read from what is here."""
        heard = self.versions.get(self._chain(one)[-1])
        return heard is not None and heard.told.whole

    def rollout(self, rollout: Rollout) -> None:
        """Who answers from here on."""
        if rollout.revision >= self.newest_rollout.revision:
            self.newest_rollout = rollout
        self._choose()
        self._forget()

    def _forget(self) -> None:
        """Lets go of versions that nobody will ask for, and that no other is made from."""
        self.recent = self.recent[-KEPT_VERSIONS:]
        kept = {link for one in self._wanted() for link in self._chain(one)}
        self.versions = {one: heard for one, heard in self.versions.items() if one in kept}

    def _wanted(self) -> set[Party]:
        """The versions that somebody may ask for."""
        wanted = {(line, at[line]) for at in (self.newest, self.last) for line in self.declared if line in at} | {*self.recent}
        for rollout in self.rollouts():
            wanted |= {self._party(who) for who in self._names(rollout)}
        return wanted

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
        wanted = self._wanted() & self.versions.keys()
        return [self.versions[one].body for one in sorted(wanted, key=lambda one: one[1], reverse=True)]

    def bases(self) -> list[bytes]:
        """Those that nobody asks for, and from which others are made."""
        wanted = self._wanted()
        return [heard.body for one, heard in self.versions.items() if one not in wanted]

    def _names(self, rollout: Rollout) -> list[str]:
        return [champion_of(rollout, self.own), *(place.who for place in rollout.places)]

    def _party(self, who: str) -> Party:
        line, position = party(who)
        return line, self.newest.get(line, 0) if position < 0 else position

    def _here(self, one: Party) -> bool:
        return (self._complete(one) and one[0] in self.blanks) or (one[1] == 0 and one[0] in self.declared)

    def _choose(self) -> None:
        """Starts to make the voices of the newest rollout whose versions are all here."""
        for rollout in reversed(self.rollouts()):
            parties = {who: self._party(who) for who in self._names(rollout)}
            if all(map(self._here, parties.values())):
                self.chosen = rollout
                told = {one: self._told(one) for one in parties.values()}
                self.coming = self.pool.submit(self._made, rollout, parties, self.models, told)
                return

    def _told(self, one: Party) -> list[Heard]:
        """The messages from which a version is made; none for a line that has learned nothing."""
        return [self.versions[link] for link in reversed(self._chain(one)) if link in self.versions]

    def _made(
        self, rollout: Rollout, parties: dict[str, Party], known: dict[Party, Model], told: dict[Party, list[Heard]]
    ) -> Made:
        """The models of these versions, and of no others; those that were made before stay what they are."""
        for one, messages in told.items():
            if one not in known:
                blank = self.blanks[one[0]]
                known[one] = blank.restored(self.reader.made(messages)[1]) if messages else blank
        for one in known.keys() - told.keys():
            del known[one]
        return Made(rollout, parties, {one: known[one] for one in told})

    def _take(self, made: Made) -> None:
        """Lets these voices answer."""
        rollout, voice, self.models = made.rollout, self.voice, made.models
        champion = made.parties[champion_of(rollout, self.own)]
        voice.revision, voice.salt, voice.model = rollout.revision, rollout.salt, made.models[champion]
        voice.name, voice.position = champion
        self.champion = champion_of(rollout, self.own)
        self.live = self.champion == self.own
        voice.maker = self.makers[voice.name]
        seats = []
        for place in rollout.places:
            name, position = one = made.parties[place.who]
            maker = self.makers[name]
            seats.append(Seat(made.models[one], name, position, place.mode, place.share, place.who, maker))
        voice.seats = tuple(seats)
        self.coming = None
