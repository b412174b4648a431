"""Which numbered examples the broker gave up, and how shards of models per key get past them.

A shard learns its examples in the order of their numbers, and waits for one that it was told of. Where the broker ended the
transaction that held it (`Settings.transaction_timeout_ms`), it never comes. The topic says which those are once nothing in it
is undecided. Decides nothing: somebody has to ask for it, because those examples are then never learned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.topics import Topics
from eddyline.engines.flink.audit_topics import place_of
from eddyline.engines.flink.looking import FIRST, spans, stored, undecided
from eddyline.engines.flink.per_key import Bridges
from eddyline.engines.flink.per_key_version import number_of


def past_lost(pipeline: str, connection: Connection) -> Bridges | None:
    """The way past what the examples topic of a pipeline lacks; empty where it lacks nothing. No job may run.

    Reads the whole topic. None while it holds transactions that are neither committed nor given up: nobody can say then.
    """
    topic = Topics.of(pipeline).examples
    if topic not in connection.known_topics():
        return {}
    if undecided(connection, topic):
        return None
    messages = stored(connection, dict.fromkeys(spans(connection, [topic]), FIRST))
    placed = ((place_of(one), one.value() or b"") for one in messages)
    return gaps((number_of(body), place) for place, body in placed if place)


def gaps(examples: Iterable[tuple[int, str]]) -> Bridges:
    """From examples by number and place ("shard.before.saw"), in any order: by shard, which lost number stands for which known.

    Example 4 says that it comes after 3, and 3 is not there; the last one before it that is, is 1:

    >>> gaps([(1, "7.0.0"), (4, "7.3.0"), (5, "7.4.0"), (2, "9.0.0")])
    {7: {1: 3}}
    """
    ends, lost = defaultdict[int, set[int]](lambda: {0}), defaultdict[int, set[int]](set)
    for number, place in examples:
        shard, before = map(int, place.split(".")[:2])
        _cancel(number, lost[shard], ends[shard])
        _cancel(before, ends[shard], lost[shard])
    # Each lost number lies between the end of one chain and the beginning of the next.
    return {shard: dict(zip(sorted(ends[shard]), sorted(gone), strict=False)) for shard, gone in sorted(lost.items()) if gone}


def _cancel(number: int, here: set[int], else_there: set[int]) -> None:
    if number in here:
        here.remove(number)
    else:
        else_there.add(number)
