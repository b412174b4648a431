"""The incidents of a job on Flink, from the order in which it took its inputs and from its decisions.

They open and close by the same rules as those of a store (`views.incidents`). Bursts of dead letters are not among them:
between which inputs a record was refused is recorded only where whoever answers refused it. Nobody says when an alert was
committed; of a decision it is when the broker took it. Reads committed messages only, also while the job goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_book import Book
from eddyline.engines.flink.told import Told, book_of, told_by
from eddyline.pipeline import Pipeline
from eddyline.records import Decision
from eddyline.views.incidents import Errors, Incident, Page, error_of, incidents_of
from eddyline.views.ledger_of_job import annals
from eddyline.views.seats_of_job import decided
from eddyline.views.watched_again import example_of, messages

PAGE = 250
"""So many inputs are a page, or fewer where something was decided."""
UNKNOWN = "Bursts of dead letters are not among the incidents: between which inputs a record was refused is not told."
"""What the topics of a job cannot tell of its incidents."""
_NO_INPUTS = (taken.Expiry, taken.Warned, taken.Remembered, taken.Turned)
"""What one process does not take from outside, but finds out by itself."""


def incidents_of_job(pipeline: Pipeline, connection: Connection) -> list[Incident]:
    """Every incident of a job, in the order of their opening. Costs reading its topics, and disk for a copy of them.

    Raises `SourceError` where a topic is missing or begins too late, `StoreMismatch` where the job runs another declaration.
    """
    told = told_by(pipeline, connection)
    committed = {decision.number: at for decision, at in annals(pipeline, connection).decisions}
    return incidents_told(pipeline, told, committed)


def incidents_told(pipeline: Pipeline, told: Told, committed: Mapping[int, float] | None = None) -> list[Incident]:
    """The same, for the messages of a run, wherever they come from. `committed` is when each decision was, by number."""
    with book_of(pipeline, told) as book:
        return incidents_in(book, list(decided(book)), committed or {})


def incidents_in(book: Book, made: list[Decision], committed: Mapping[int, float] | None = None) -> list[Incident]:
    """The same, of what was sorted in a book. `made` are the decisions in order."""
    pages = _Pages(book, made, committed or {})
    return [_without_blocks(one) for one in incidents_of(pages.pages, Errors(pages.errors_of, len(pages.pages)))]


class _Pages:
    """What happened, some inputs at a time, and how wrong the answers were whose truths came then."""

    def __init__(self, book: Book, made: list[Decision], committed: Mapping[int, float]) -> None:
        self.book, self.task, self.coming = book, book.pipeline.plan().decide.task, deque(made)
        self.committed = committed
        self.pages: list[Page] = []
        self.truths: list[list[taken.Truth]] = []
        self.records = self.seen = 0
        self._begin(0)
        for message in messages(book):
            for one in message.inputs:
                self._take(one)
        self._end()

    def _begin(self, inputs: int) -> None:
        self.page = Page(len(self.pages) + 1, inputs, 0.0, [], [], {})
        self.now: list[taken.Truth] = []
        self.began = self.seen

    def _end(self) -> None:
        self.pages.append(self.page)
        self.truths.append(self.now)
        self._begin(self.page.inputs)

    def _take(self, one: taken.One) -> None:
        """What was decided at an input stands on a page alone with it: what came before is before, for an incident."""
        self.records += not isinstance(one, taken.UNCOUNTED)
        decides = bool(self.coming) and self.coming[0].record <= self.records
        if decides and self.seen > self.began:
            self._end()
        page = self.page
        self.seen += 1
        page.inputs += not isinstance(one, _NO_INPUTS)
        if type(one) is taken.Warned:
            page.alerts.append(one.alert)
        elif type(one) is taken.Truth and not one.revision:
            self.now.append(one)
        while self.coming and self.coming[0].record <= self.records:
            page.decisions.append(decision := self.coming.popleft())
            page.received_at = max(page.received_at, self.committed.get(decision.number, 0.0))
        if decides or self.seen - self.began >= PAGE:
            self._end()

    def errors_of(self, number: int) -> list[float]:
        """How wrong the answers were whose truths came on a page."""
        examples = (example_of(self.book, one) for one in self.truths[number - 1])
        errors = (error_of(one.prediction.value, one.truth, self.task) for one in examples if one is not None)
        return [error for error in errors if error is not None]


def _without_blocks(one: Incident) -> Incident:
    timeline = [msgspec.structs.replace(each, block=0) for each in one.timeline]
    return msgspec.structs.replace(one, block=0, closed_block=None, timeline=timeline)
