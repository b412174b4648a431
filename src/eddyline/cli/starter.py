"""What `eddyline init` writes: a small pipeline, and made-up data that says so and is the same every time.

Two hundred parcels of four couriers. Far, heavy and in a busy hour makes late more likely; the truth comes
hours after, for ten parcels never, and one line is broken, so that a first replay shows what becomes of each.
"""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta

PARCELS = 200
NEVER_TOLD = 10
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
_PIPELINE = '''"""Will this parcel be late? Answers when it is sent, learns when it arrives."""

from river import linear_model, preprocessing

from eddyline import Count, Event, Id, Join, Key, Label, Pipeline, Time, Truth, Versions, days, hours, jsonl


class Parcel(Event):
    id: Id
    courier: Key
    at: Time
    km: float
    kg: float


class Delivery(Label):
    id: Id
    at: Time
    late: Truth[bool]


def features(parcel: Parcel, sent_1h: int) -> dict[str, float]:
    return {"km": parcel.km, "kg": parcel.kg, "sent_1h": sent_1h}


pipeline = Pipeline(
    name="NAME",
    events=jsonl("parcels.jsonl", Parcel),
    labels=jsonl("deliveries.jsonl", Delivery),
    aggregates={"sent_1h": Count(over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=days(2)),
    versions=Versions(every=50),
)
'''
_README = """# NAME

Will this parcel be late? `pipeline.py` answers when a parcel is sent and learns when it is delivered.

    eddyline check pipeline.py             what the pipeline is, and its first records
    eddyline replay pipeline.py            answer and learn everything in the files
    eddyline explain pipeline.py parcel-7  why parcel-7 got its answer
    eddyline versions pipeline.py          which versions there are, and who answers
    eddyline dead-letters pipeline.py      what was refused, and why
    eddyline verify pipeline.py            every answer once more, bit for bit
    eddyline run pipeline.py               the same, and whatever is added to the files

The data is made up: `parcels.jsonl` holds 200 parcels and one broken line, `deliveries.jsonl` says when
190 of them arrived. Ten were never heard of. To go on with your own: put your files in their place, change
the two classes, and delete `NAME.eddyline`, the store.
"""


def starter(name: str) -> dict[str, str]:
    """The files by name. Equal on every machine.

    >>> files = starter("parcels")
    >>> list(files)
    ['pipeline.py', 'parcels.jsonl', 'deliveries.jsonl', 'README.md']
    >>> print(files["parcels.jsonl"].splitlines()[0])
    {"id": "parcel-1", "courier": "bilal", "at": "2026-03-02T08:01:53Z", "km": 2.5, "kg": 2.27}
    """
    parcels, deliveries = _data()
    return {
        "pipeline.py": _PIPELINE.replace("NAME", name),
        "parcels.jsonl": parcels,
        "deliveries.jsonl": deliveries,
        "README.md": _README.replace("NAME", name),
    }


def _data() -> tuple[str, str]:
    """Events and labels as JSON lines, each in the order of its time."""
    dice = random.Random(7)
    parcels: list[str] = []
    deliveries: list[tuple[datetime, str]] = []
    never = set(dice.sample(range(PARCELS), NEVER_TOLD))
    at = START
    for number in range(PARCELS):
        at += timedelta(seconds=60 + int(dice.expovariate(1 / 900)))
        courier = dice.choice(("anna", "bilal", "chen", "dora"))
        km, kg = round(dice.uniform(1, 40), 1), round(dice.expovariate(1 / 4), 2)
        name = f"parcel-{number + 1}"
        parcels.append(json.dumps({"id": name, "courier": courier, "at": _iso(at), "km": km, "kg": kg}))
        late = dice.random() < 1 / (1 + math.exp(4 - 0.15 * km - 0.12 * kg))
        arrived = at + timedelta(minutes=int(40 + 6 * km + (dice.uniform(120, 600) if late else 0)))
        if number not in never:
            deliveries.append((arrived, json.dumps({"id": name, "at": _iso(arrived), "late": late})))
    parcels.insert(120, '{"id": "parcel-?", "courier": "anna", "at": "2026-03-0')
    return _lines(parcels), _lines([line for _, line in sorted(deliveries)])


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
