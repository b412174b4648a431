"""Whether the topics that a job reads are those that the positions in its state belong to.

A broker gives a topic an id when it is made. A job's document keeps the ids as they were when it was submitted, so they lie
beside every checkpoint and savepoint of it. Whoever goes on from there compares them with the broker's; while a job runs, its
sources do (`java/SameTopic.java`). Refuses to know what is in a topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eddyline.connectors.kafka.connection import Connection
from eddyline.connectors.kafka.topics import identities
from eddyline.engines.flink import job
from eddyline.engines.flink.positions import streams
from eddyline.records.errors import StoreMismatch


def identified(document: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    """The document of a job, with the ids of the topics that it reads as they are now; they have to exist."""
    read = [topic for stream, topic in document["topics"].items() if stream in streams(document["parts"])]
    return job.reading(document, identities(connection, read), document.get("anew", {}))


def going_on(document: Mapping[str, Any], was: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The document of a job that goes on from the state of another, `was`; both know their topics. `what` holds the state.

    Raises `StoreMismatch` where a topic was made again in between. A document that says `skip_deleted` reads such a topic
    from its beginning, by a source of its own; what was answered or learned before is known by its id. A job of an Eddyline
    that did not ask for ids is believed.
    """
    before, now, anew = was.get("topic_ids", {}), document["topic_ids"], dict(was.get("anew", {}))
    for stream, topic in document["topics"].items():
        if topic in before and topic in now and before[topic] != now[topic]:
            if not document["skip_deleted"]:
                raise StoreMismatch(_made_again(topic, before[topic], now[topic], what))
            anew[stream] = now[topic]
    return job.reading(document, now, anew)


def _made_again(topic: str, was: str, now: str, what: str) -> str:
    return (
        f"topic {topic} is not the one that the positions in {what} belong to (its id was {was}, now it is {now})\n"
        "it was deleted and made again: going on would begin somewhere in the middle of it\n"
        "go on with what it holds, from its beginning, once no job runs (eddyline flink stop NAME --no-savepoint): "
        "eddyline flink submit FILE --savepoint latest --skip-deleted\n"
        "or begin anew under another name: Pipeline(name=...)"
    )
