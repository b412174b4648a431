"""A shop on disk with a past: a pipeline file, its data, and the store that a replay left; and reading that store."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

from eddyline.engines.embedded import Engine, replay
from eddyline.pipeline.loading import Loaded, load
from eddyline.records.time import show_instant
from eddyline.store.database import Store

VISITS = 2_000
PIPELINE = '''"""Which visits end in a sale."""

from river import forest, linear_model, preprocessing

from eddyline import Event, Id, Join, Key, Label, Pipeline, Sum, Time, Truth, Versions, Watch, hours, jsonl, minutes
from eddyline.pipeline.challengers import Challenger


class Visit(Event):
    id: Id
    who: Key
    at: Time
    pages: float
    country: str


class Sale(Label):
    id: Id
    at: Time
    bought: Truth[bool]


def features(visit, read):
    return {"pages": visit.pages, "read": read}


def only_pages(visit):
    return {"pages": visit.pages}


shop = Pipeline(
    name="shop",
    events=jsonl("visits.jsonl", Visit),
    labels=jsonl("sales.jsonl", Sale),
    aggregates={"read": Sum("pages", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=minutes(90), absent=False),
    watch=Watch(segment="country"),
    versions=Versions(every=200),
    challengers=(
        Challenger("narrow", features=only_pages),
        Challenger("trees", model=forest.ARFClassifier(n_models=3, seed=1)),
    ),
)
'''


def make(folder: Path) -> Loaded:
    """Writes the project and replays it."""
    dice = random.Random(5)
    visits, sales = [], []
    for n in range(VISITS):
        pages = round(dice.lognormvariate(1, 1), 3)
        at = 1_700_000_000_000_000 + 60_000_000 * n
        country = dice.choice(["DE", "DE", "DE", "US", "US", "LI"] if n % 50 == 0 else ["DE", "US"])
        visits.append({"id": f"v-{n}", "who": f"w-{n % 7}", "at": show_instant(at), "pages": pages, "country": country})
        if pages + dice.gauss(0, 1) > 3:
            told = show_instant(at + dice.randrange(1, 60) * 60_000_000)
            sales.append({"id": f"v-{n}", "at": told, "bought": True})
    sales.sort(key=lambda sale: str(sale["at"]))
    for name, records in (("visits", visits), ("sales", sales)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "shop.py").write_text(PIPELINE)
    loaded = load(str(folder / "shop.py"))
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, folder, batch=64)
    return loaded


def opened(loaded: Loaded) -> closing[Store]:
    """The store, to be read and closed."""
    return closing(Store.read(loaded.store))
