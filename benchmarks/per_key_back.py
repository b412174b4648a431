"""What going back costs where there is one model per key on Flink: making a version again from the examples.

Prints the table of docs/per-key.md. The examples come in any order, as from several partitions.

    python -m benchmarks.per_key_back
    python -m benchmarks.per_key_back --quick     a tenth of both
"""

from __future__ import annotations

import sys
from random import Random
from time import process_time

from river import linear_model, preprocessing

from eddyline import Event, Id, Key, Label, Pipeline, Time, Truth, memory
from eddyline.connectors.kafka import wire
from eddyline.engines.flink.learn import recipe_of
from eddyline.engines.flink.per_key import FRESH, Numbers
from eddyline.engines.flink.per_key_version import Numbered, made_again
from eddyline.models.fingerprint import fingerprint
from eddyline.ports import Model
from eddyline.records import KEY_FEATURE, Example, Features, ModelVersion, Prediction

SIZES = ((50_000, 1_000), (100_000, 20_000))
"""Examples, and of how many keys."""


class Batch(Event):
    id: Id
    oven: Key
    at: Time


class Burnt(Label):
    id: Id
    at: Time
    burnt: Truth[bool]


OVENS = Pipeline(
    name="ovens",
    events=memory([], Batch),
    labels=memory([], Burnt),
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    per="key",
)


def main(arguments: list[str]) -> None:
    """Measures each size."""
    tenth = 10 if "--quick" in arguments else 1
    model: Model | None = OVENS.plan().model
    assert model is not None
    start = ModelVersion(
        "ovens", 0, model.digest(), recipe_of(OVENS.digest, model), None, fingerprint(OVENS.plan().models), FRESH
    )
    print("| | processor time | the version as a message |")
    print("|---|---:|---:|")
    for many, keys in ((many // tenth, keys // tenth) for many, keys in SIZES):
        given, began = numbered(many, keys), process_time()
        body = made_again(OVENS, many, given, wire.encode_version(start, model.save()))
        took = process_time() - began
        print(f"| {many:,} examples of {keys:,} ovens | {took:.1f} s | {len(body) / 1e6:.1f} MB |", flush=True)


def numbered(many: int, keys: int) -> list[Numbered]:
    """So many examples of eight features, as learn numbers them, out of order."""
    random, numbers, found = Random(1), Numbers(OVENS, everybody=False, last={}), list[Numbered]()
    for position in range(1, many + 1):
        oven = f"o-{random.randrange(keys)}"
        features: Features = {KEY_FEATURE: oven, **{f"f{i}": random.random() for i in range(8)}}
        told = Prediction(f"b-{position}", oven, position, features, None, None, None, "ovens", 0, 0)
        example = Example(told, random.random() < 0.5, "label", position)
        found.append((wire.encode_example(example, position), numbers.place(example, position, {"ovens": None})))
    random.shuffle(found)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
