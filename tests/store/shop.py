"""A shop with a past: 400 visits and their sales in blocks of 50 inputs, kept versions, a rollback and the way back."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from river import linear_model, preprocessing

from eddyline import Engine, EpochSeconds, Event, Id, Join, Key, Label, Pipeline, Sum, Truth, Versions, hours, memory, minutes
from eddyline.engines.embedded import replay
from eddyline.records.errors import StoreError
from eddyline.store.database import GENESIS, Store, link
from eddyline.views.verify import verify

VISITS = 400


class Visit(Event):
    """What happens."""

    id: Id
    who: Key
    at: EpochSeconds
    pages: float


class Sale(Label):
    """What is found out."""

    id: Id
    at: EpochSeconds
    bought: Truth[bool]


def features(visit: Visit, read: float) -> dict[str, float]:
    """The visit and the hour before it."""
    return {"pages": visit.pages, "read": read}


def visits(count: int = VISITS) -> list[Visit]:
    """Visits, a minute apart."""
    dice = random.Random(3)
    return [
        Visit(id=f"v-{n}", who=f"w-{dice.randrange(5)}", at=60 * n, pages=round(dice.lognormvariate(1, 1), 3))
        for n in range(count)
    ]


def sales(count: int = VISITS) -> list[Sale]:
    """Sales, ten minutes later."""
    return [Sale(id=visit.id, at=int(visit.at) + 600, bought=visit.pages > 3) for visit in visits(count)[::2]]


SHOP = Pipeline(
    name="shop",
    events=memory(visits(), Visit),
    labels=memory([*sales(), Sale(id="nobody", at=0, bought=True)], Sale),
    aggregates={"read": Sum("pages", over=hours(1))},
    features=features,
    model=preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    join=Join(wait=minutes(30), absent=False),
    versions=Versions(every=50),
)


def fill(path: Path) -> None:
    """Makes the store."""
    with Engine(SHOP, path) as engine:
        replay(engine, Path(), batch=50, limit=300)
        engine.rollback("shop@60", author="ops", reason="worse")
        replay(engine, Path(), batch=50, limit=100)
        engine.rollback("live", author="ops", reason="mended")
        replay(engine, Path(), batch=50)


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    """The file of a store, opened by somebody who knows SQLite and nothing of Eddyline."""
    with closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()


def chain_anew(db: sqlite3.Connection) -> None:
    """What somebody does who knows how the chain is made."""
    head = GENESIS
    rows = db.execute(
        "SELECT seq, first_slot, first_example, deads, inputs, predictions, examples, dead, notes FROM blocks ORDER BY seq"
    ).fetchall()
    for *numbers, inputs, predictions, examples, dead, notes in rows:
        head = link(head, tuple(numbers), (inputs, predictions, examples, dead, notes))
        db.execute("UPDATE blocks SET hash=? WHERE seq=?", (head, numbers[0]))


def head_of(path: Path) -> str:
    """Where the chain ends, as somebody would note it down."""
    with closing(Store.read(path)) as store:
        return store.head.hex()


def found(path: Path, head: str | None = None) -> list[str]:
    """What verifying finds; a store that cannot even be opened says so itself."""
    try:
        with closing(Store.read(path)) as store:
            verdict = verify(store, SHOP, head=head)
            assert verdict.sound == (not verdict.faults and verdict.comparable)
            return verdict.faults
    except StoreError as error:
        return [str(error)]
