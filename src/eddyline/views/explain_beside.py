"""What an answer of a job on Flink was made from: the answer and its event from the topics, its version from a copy of the log.

The same as on a store (`views.explain`). The copy (`engines.flink.copying`) knows what was learned and in which order, so any
version that answered can be made again beside the job. Reads committed messages only; asks the job for nothing.
"""

from __future__ import annotations

import msgspec

from eddyline.engines.flink.beside import Job
from eddyline.engines.flink.per_key import Shelf, learned_where_served
from eddyline.pipeline import Pipeline
from eddyline.ports import Model
from eddyline.records import Example, Known, Prediction
from eddyline.records.errors import NotFound
from eddyline.stages.lines import seen_by
from eddyline.store import blocks
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader
from eddyline.store.rebuild import StoredLines, forgotten, reached
from eddyline.views.explain import Explanation, Learned, answer_again, beside


def explain_beside(job: Job, pipeline: Pipeline, log: Store, event_id: str) -> Explanation:
    """The answer to an event, the version that gave it, what that version saw, the truth, and the answer once more.

    `log` is a copy of the job's log. Raises `NotFound` for an event that the job did not answer. Reads topics from their first
    message on until the event is found, so it takes as long as that.
    """
    refused, answered = job.refused(event_id), job.answer(event_id)
    if answered is None:
        why = f": {refused[0].reason}, {refused[0].detail}" if refused else ""
        raise NotFound(
            f"event {event_id!r} was not answered by the job of {pipeline.name}{why}\n"
            "ids are compared as text, exactly, and answers are there once their checkpoint is complete"
        )
    prediction, event = answered.prediction, job.event(event_id)
    again, detail = _again(log, pipeline, prediction)
    return Explanation(
        event=None if event is None else msgspec.json.decode(event),
        prediction=prediction,
        version=prediction.version,
        block=0,
        received_at=answered.at,
        truths=_truths(log, prediction),
        refused=refused,
        again=again,
        again_detail=detail,
        beside=beside(log, pipeline, prediction, event),
        forgotten=event_id in forgotten(log),
    )


def _again(log: Store, pipeline: Pipeline, prediction: Prediction) -> tuple[str, str]:
    line, kept = prediction.model, log.nearest_version(prediction.position, prediction.model)[0].position
    known = max(kept, (log.get("reached") or {}).get(line, 0))
    if known < prediction.position:
        return "not claimed", f"the copy of the log ends at {line}@{known}; ask again in a moment"
    served = line == pipeline.name and learned_where_served(pipeline)
    return answer_again(log, pipeline, prediction, _of_its_key(log, pipeline, prediction) if served else None)


def _of_its_key(log: Store, pipeline: Pipeline, prediction: Prediction) -> Model:
    """The model of a key at the position that an answer names, learned once more as serve did: without what it refused."""
    plan, told = pipeline.plan(), PredictionReader(log)
    shelf, makers = Shelf.made(plan), StoredLines(log, plan).makers
    for seq in range(1, log.seq + 1):
        for row in log.examples_of(seq):
            if 0 < row.position <= prediction.position and (served := told.read(row.slot)).key == prediction.key:
                features = seen_by(served, pipeline.name, makers)
                assert features is not None, "an example that was numbered has features"
                known: Known = "label" if row.known == "label" else "absence"
                shelf.learned(Example(served, row.truth, known, row.at, row.revision), row.position, features)
    return shelf.state.model


def _truths(log: Store, prediction: Prediction) -> list[Learned]:
    """The truths of an event in a copy, which keeps an answer with each of them."""
    found, needle = list[Learned](), prediction.event_id.encode()
    for seq, first, packed in log.db.execute("SELECT seq, first_slot, predictions FROM blocks ORDER BY seq"):
        slots = {
            first + offset + place
            for offset, group in blocks.groups_containing(packed, needle)
            for place, one in enumerate(group)
            if one.event_id == prediction.event_id
        }
        for row in log.examples_of(seq) if slots else ():
            if row.slot in slots:
                position = reached(row, prediction.model, log.pipeline)
                version = f"{prediction.model}@{position}" if position >= 0 else None
                found.append(Learned(row.truth, row.known, row.at, row.revision, version))
    return found
