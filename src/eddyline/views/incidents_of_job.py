"""The incidents of a job on Flink, from the order in which it took its inputs and from its decisions.

They open and close by the same rules as those of a store (`views.incidents`). Bursts of dead letters are not among them:
between which inputs a record was refused is recorded only where whoever answers refused it.
"""

from __future__ import annotations

from collections import deque

import msgspec

from eddyline.engines.flink import taken
from eddyline.engines.flink.audit_book import Book
from eddyline.records import Decision
from eddyline.views.incidents import Errors, Incident, Page, error_of, incidents_of
from eddyline.views.watched_again import example_of, messages

PAGE = 250
"""So many inputs are a page, or fewer where something was decided."""
_NO_INPUTS = (taken.Expiry, taken.Warned, taken.Remembered, taken.Turned)
"""What one process does not take from outside, but finds out by itself."""


def incidents_of_job(book: Book, decided: list[Decision]) -> list[Incident]:
    """Every incident, in the order of their opening. `decided` are the decisions in order."""
    pages = _Pages(book, decided)
    return [_without_blocks(one) for one in incidents_of(pages.pages, Errors(pages.errors_of, len(pages.pages)))]


class _Pages:
    """What happened, some inputs at a time, and how wrong the answers were whose truths came then."""

    def __init__(self, book: Book, decided: list[Decision]) -> None:
        self.book, self.task, self.coming = book, book.pipeline.plan().decide.task, deque(decided)
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
            page.decisions.append(self.coming.popleft())
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
