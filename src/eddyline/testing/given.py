"""Records that a test writes as Python objects, as the inputs that an engine journals.

They go through the pipeline's own codec, so that a test sees what bytes from outside would do. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from eddyline.engines.embedded.codec import InputCodec, command_input, watermark_input
from eddyline.engines.loop import Record
from eddyline.pipeline import Pipeline
from eddyline.records import Event, Label, Watermark
from eddyline.stages.commands import Command
from eddyline.store.blocks import Input, Kind

Given = Event | Label | Command | Watermark | Input
"""What a test may hand in; an `Input` says the bytes, for records that cannot be read."""


def inputs_of(pipeline: Pipeline, given: Iterable[Given]) -> list[Input]:
    """The inputs that these records would be in a journal."""
    return [_input(pipeline, one) for one in given]


def records_of(pipeline: Pipeline, inputs: Iterable[Input]) -> list[Record]:
    """The records that these inputs stand for; dead letters where they cannot be read."""
    decode = InputCodec(pipeline).decode
    return [decode(one) for one in inputs]


def _input(pipeline: Pipeline, one: Given) -> Input:
    if isinstance(one, Event):
        return Input(Kind.EVENT, pipeline.event_schema.encode(one))
    if isinstance(one, Label):
        return Input(Kind.LABEL, pipeline.label_schema.encode(one))
    if isinstance(one, Command):
        return command_input(one)
    if isinstance(one, Watermark):
        return watermark_input(one)
    return one
