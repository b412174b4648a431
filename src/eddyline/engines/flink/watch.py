"""Watch on Flink: one instance that measures every answer against its truth, and publishes what changed.

Alerts go out at once, to decide, too; numbers before a checkpoint, at most every few seconds, and only those that are not
what they were.
"""

from __future__ import annotations

import time

import msgspec

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.batch import (
    ALERT,
    EXAMPLE,
    MEASUREMENT,
    NEVER,
    PREDICTION,
    Given,
    Out,
    Saved,
    pack,
    read_batch,
    saved,
)
from eddyline.engines.flink.declared import Words, watch_state, words_of
from eddyline.engines.flink.join import JoinedWire
from eddyline.pipeline import Pipeline
from eddyline.records import Example, Prediction, Unlabelled

PUBLISH_SECONDS = 5.0
WORDS = 1
"""The shard that holds the words of the declaration; the memory is in the one before."""
_joined = msgspec.msgpack.Decoder(JoinedWire).decode


class WatchHost:
    """Watch's side of the operator."""

    def __init__(self, pipeline: Pipeline, kept: Saved) -> None:
        self.stage = pipeline.plan().watch
        self.name = pipeline.name
        raw, words = kept.shards.get(0), kept.shards.get(WORDS)
        was = None if words is None else msgspec.msgpack.decode(words, type=Words)
        self.state = self.stage.new_state() if raw is None else watch_state(self.stage, pipeline, raw, was)
        self.words = words_of(pipeline)
        self.shown: dict[str, bytes] = {}
        self.published = -PUBLISH_SECONDS
        self.position = -1

    def step(self, batch: bytes, watermark: int) -> bytes:
        """Measures answers, truths, and truths that never came."""
        out = Out()
        records: list[Prediction | Example | Unlabelled] = []
        for kind, _, _, _, at, body, _, _ in read_batch(batch):
            if kind == PREDICTION:
                if at == NEVER:
                    continue  # the topic holds something else there; join refuses it in words
                records.append(wire.decode_prediction(body))
            elif kind == EXAMPLE:
                joined = _joined(body)
                prediction = wire.decode_prediction(joined.prediction)
                records.append(Example(prediction, joined.truth, joined.known, joined.at, joined.revision))
            else:
                records.append(Unlabelled(wire.decode_prediction(body), at))
        for alert in self.stage.step(self.state, records):
            out.given.append((ALERT, "", alert.subject, alert.at, wire.encode_alert(alert), ""))
        return out.packed()

    def told(self, kind: int, body: bytes) -> None:
        """Watch is told nothing."""
        raise AssertionError("watch has no broadcast input")

    def before_checkpoint(self) -> bytes:
        """The numbers that changed since they were last told."""
        given: list[Given] = []
        now = time.monotonic()
        if now - self.published >= PUBLISH_SECONDS:
            self.published = now
            for measured in self.stage.measurements(self.state):
                name = f"{measured.metric}|{measured.version or ''}|{measured.day or ''}|{measured.segment or ''}"
                body = wire.encode_measurement(measured, self.position)
                if self.shown.get(name) != body:
                    self.shown[name] = body
                    given.append((MEASUREMENT, "", name, NEVER, body, ""))
        return pack(given)

    def save(self) -> bytes:
        """Watch's memory, whole, and the words of the declaration that it follows."""
        return saved({0: self.stage.save(self.state), WORDS: pack(self.words)}, [])
