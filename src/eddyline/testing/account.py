"""Everything a run says, however it was cut into commits: two runs that keep the laws have equal accounts.

Reads a running engine and its store; leaves out the wall clock and what only says where commits began and ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from eddyline.engines.embedded import Engine
from eddyline.records import Alert, DeadLetter, Decision, Prediction, Rollout
from eddyline.store.blocks import ExampleRow, Input

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Account:
    """What was taken, answered, found out, refused and learned, in order; and where the memories stand.

    `differences` compares two of them to the byte.
    """

    inputs: list[Input]
    predictions: list[Prediction]
    examples: list[ExampleRow]
    dead: list[DeadLetter]
    alerts: list[Alert]
    rollouts: list[Rollout]
    decisions: list[Decision]
    versions: list[tuple[str, str]]
    voice: str
    digests: dict[str, str]
    decide: bytes
    watch: bytes
    windows: dict[int, bytes]
    waiting: tuple[list[bytes], list[bytes], int, int]
    """labels that wait for their event and labels held back, and the counts of repeated events and labels"""
    times: tuple[int, int]
    """how far event time has come, by events and by labels"""

    def differences(self, other: Account, *, ignoring: tuple[str, ...] = ()) -> list[str]:
        """What differs, a line each; nothing where all is equal to the byte."""
        found = []
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name not in ignoring and _encode(mine) != _encode(theirs):
                found.append(f"{name}: {_first_difference(mine, theirs)}")
        return found


def account_of(engine: Engine) -> Account:
    """The account of an engine as it stands, with everything its store took in earlier runs."""
    states, plan, blocks = engine.loop.states, engine.plan, list(engine.store.blocks())
    encode = engine.pipeline.label_schema.encode
    early = [encode(label.value) for labels in states.join.early.values() for label in labels]
    held = [encode(entry[-1].value) for entry in states.join.held]
    windows = plan.serve.aggregates.save(states.serve.windows) if plan.serve.aggregates else {}
    voice = engine.loop.voice
    return Account(
        inputs=[one for block in blocks for one in block.inputs],
        predictions=[one for block in blocks for one in block.predictions],
        examples=[one for block in blocks for one in block.examples],
        dead=[one for block in blocks for one in block.dead],
        alerts=[one for block in blocks for one in block.notes.alerts],
        rollouts=[one for block in blocks for one in block.notes.rollouts],
        decisions=[one for block in blocks for one in block.notes.decisions],
        versions=[(one.name, one.digest) for line in engine.store.lines() for one in engine.store.versions(line)],
        voice=f"{voice.name}@{voice.position} r{voice.revision} {voice.model.digest()}",
        digests={one.name: f"{one.position} {one.model.digest()}" for one in (states.learn, *states.rivals.values())},
        decide=plan.decide.save(states.decide),
        watch=plan.watch.save(states.watch),
        windows=windows,
        waiting=(sorted(early), sorted(held), states.serve.repeated, states.join.repeated),
        times=(states.serve.frontier, states.join.frontier),
    )


def _first_difference(mine: object, theirs: object) -> str:
    if isinstance(mine, list) and isinstance(theirs, list):
        for index, (one, other) in enumerate(zip(mine, theirs, strict=False)):
            if _encode(one) != _encode(other):
                return f"number {index} is {one!r}, there {other!r}"
        return f"{len(mine)} of them, there {len(theirs)}"
    return f"{mine!r:.2000}, there {theirs!r:.2000}"
