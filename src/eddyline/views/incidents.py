"""Incidents: what went wrong, what was done about it, and when it was over; derived from the journal alone.

An incident opens by itself where the ledger tells of trouble: a roll back, learning frozen, a segment in quarantine, a
challenger that tripped a guardrail, an alert that somebody was told of, a burst of dead letters. It closes when learning
goes on, the segment is released, or nothing more happened for `STABLE` inputs. It has no state of its own: the same
journal gives the same incidents. Refuses to know who is called at night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from eddyline.pipeline import Pipeline
from eddyline.records import Alert, Decision, Task
from eddyline.records.errors import NotFound
from eddyline.store.database import Store
from eddyline.store.reader import PredictionReader
from eddyline.views.ledger import noted

STABLE = 1_000
"""Inputs without anything new, after which an incident is over."""
BURST_OF = 1_000
BURST_SHARE = 0.05
BURST_AT_LEAST = 20
"""A burst: of about `BURST_OF` inputs more than this share, and at least so many, were refused."""
SPAN = 500
"""Labelled examples before and after, over which the error is taken."""
AROUND = 1_000
"""Inputs before an incident whose alerts and decisions are in its timeline."""

Kind = Literal["roll_back", "freeze", "quarantine", "guardrail", "alert", "dead_letters"]
_MITIGATION = ("roll_back", "freeze", "quarantine", "retire", "roll_out", "retrain", "leave", "enter", "promote")
_ENDS = {"freeze": "resume", "quarantine": "release"}


class Moment(msgspec.Struct, frozen=True):
    """One line of a timeline: event time (µs, None where there is none), wall clock (s), the block, what it was, in words.

    Of a job on Flink the block is 0, and so is the wall clock where it is not known.
    """

    at: int | None
    received_at: float
    block: int
    what: str
    said: str


class Incident(msgspec.Struct, frozen=True):
    """One incident. `number` counts those of a store from 1; `decision` opened it, None for a burst of dead letters.

    `closed_by` is why it is over, None while it is open. `error_before` and `error_after` are the mean error of the
    labelled answers around its opening: the share that was wrong, or the absolute error of numbers.
    """

    number: int
    kind: Kind
    subject: str
    opened_at: int | None
    opened_received_at: float
    block: int
    reason: str
    evidence: dict[str, Any]
    decision: int | None
    mitigation: list[str]
    timeline: list[Moment]
    error_before: float | None
    error_after: float | None
    closed_by: str | None
    closed_at: int | None
    closed_block: int | None

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.closed_by is None

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        return f"{_TITLES[self.kind]}{': ' if self.subject else ''}{self.subject}"


_TITLES: dict[str, str] = {
    "roll_back": "the champion was rolled back",
    "freeze": "learning was frozen",
    "quarantine": "a segment was set apart",
    "guardrail": "a challenger tripped a guardrail",
    "alert": "an alert",
    "dead_letters": "a burst of dead letters",
}


@dataclass(slots=True)
class Page:
    """What one block says, and how many inputs had come until then."""

    block: int
    inputs: int
    received_at: float
    decisions: list[Decision]
    alerts: list[Alert]
    dead: dict[str, int]


@dataclass(slots=True)
class Case:
    """An incident while it is being put together. `stirred` is when it was last heard of, in inputs."""

    kind: Kind
    subject: str
    page: Page
    at: int | None
    reason: str
    evidence: dict[str, Any]
    decision: int | None
    stirred: int
    mitigation: list[str] = field(default_factory=list)
    closed_by: str | None = None
    closed_at: int | None = None
    closed: Page | None = None


def incidents(store: Store, pipeline: Pipeline) -> list[Incident]:
    """Every incident of a store, in the order of their opening."""
    return incidents_of(list(_pages(store)), _errors(store, pipeline))


def incidents_of(pages: list[Page], errors: Errors) -> list[Incident]:
    """The same, by what happened page by page, wherever that is from."""
    cases: list[Case] = []
    for page in pages:
        _close_stable(cases, page)
        for decision in page.decisions:
            _decided(cases, page, decision)
    _bursts(cases, pages)
    cases.sort(key=lambda case: (case.page.block, case.decision or 0))
    return [_told(number, case, pages, errors) for number, case in enumerate(cases, 1)]


def incident(store: Store, pipeline: Pipeline, number: int) -> Incident:
    """One incident by its number. Raises `NotFound` with those that there are."""
    return numbered(incidents(store, pipeline), number, f"in {store.path.name}", "FILE")


def numbered(found: list[Incident], number: int, where: str, file: str) -> Incident:
    """The same among those of `where`; `file` is how commands call what they are asked about."""
    for one in found:
        if one.number == number:
            return one
    known = f"1 to {len(found)}" if found else "none yet"
    raise NotFound(f"no incident {number} {where}\nthere are: {known}; list them: eddyline incidents {file}")


def _pages(store: Store) -> Iterator[Page]:
    inputs = 0
    notes = dict(noted(store))
    for block in store.blocks():
        inputs += len(block.inputs)
        dead: dict[str, int] = {}
        for letter in block.dead:
            if letter.stream != "commands":
                dead[letter.stream] = dead.get(letter.stream, 0) + 1
        note = notes[block.seq]
        yield Page(block.seq, inputs, note.received_at, note.decisions, note.alerts, dead)


# Opening and closing -------------------------------------------------------------------------------------------------


def _decided(cases: list[Case], page: Page, decision: Decision) -> None:
    """What a decision means for incidents: it closes some, opens one, or mitigates those that are open."""
    if not decision.carried_out:
        return
    for case in cases:
        if case.closed is None and decision.action == _ENDS.get(case.kind) and _about(case, decision):
            _close(case, page, f"{decision.action} by {decision.made_by} (decision {decision.number})", decision.at)
    kind = _kind(decision)
    if decision.action in _MITIGATION:
        for case in cases:
            if case.closed is None:
                case.mitigation.append(_words(decision))
    if kind is None:
        return
    going_on = next((c for c in cases if c.closed is None and (c.kind, c.subject) == (kind, decision.subject)), None)
    if going_on is not None:
        going_on.stirred = page.inputs
        return
    case = Case(
        kind, decision.subject, page, decision.at, decision.reason, decision.evidence, decision.number, stirred=page.inputs
    )
    if decision.action in _MITIGATION:
        case.mitigation.append(_words(decision))
    cases.append(case)


def _kind(decision: Decision) -> Kind | None:
    if decision.action == "retire":
        return "guardrail" if "guardrail" in decision.evidence else None
    kinds: dict[str, Kind] = {"roll_back": "roll_back", "freeze": "freeze", "quarantine": "quarantine", "alert": "alert"}
    return kinds.get(decision.action)


def _about(case: Case, decision: Decision) -> bool:
    """Whether a decision that ends trouble is about this case; learning goes on for everybody at once."""
    return case.kind == "freeze" or case.subject == decision.subject


def _close_stable(cases: list[Case], page: Page) -> None:
    for case in cases:
        if case.closed is None and case.kind not in _ENDS and page.inputs - case.stirred >= STABLE:
            _close(case, page, f"nothing more in {STABLE:,} inputs", None)


def _close(case: Case, page: Page, why: str, at: int | None) -> None:
    case.closed, case.closed_by, case.closed_at = page, why, at


def _bursts(cases: list[Case], pages: list[Page]) -> None:
    """Looks at the journal in parts of about `BURST_OF` inputs."""
    going_on: dict[str, Case] = {}
    part: list[Page] = []
    began = 0
    for page in pages:
        part.append(page)
        if page.inputs - began < BURST_OF and page is not pages[-1]:
            continue
        inputs, began = page.inputs - began, page.inputs
        for stream in ("events", "labels", "examples"):
            dead = sum(one.dead.get(stream, 0) for one in part)
            if dead >= BURST_AT_LEAST and dead > BURST_SHARE * inputs:
                if stream not in going_on:
                    first = next(one for one in part if one.dead.get(stream))
                    reason = f"{dead:,} of about {inputs:,} inputs were refused; see eddyline dead-letters FILE"
                    evidence = {"dead": dead, "inputs": inputs, "share": dead / max(1, inputs), "limit": BURST_SHARE}
                    going_on[stream] = Case("dead_letters", stream, first, None, reason, evidence, None, stirred=page.inputs)
                    cases.append(going_on[stream])
            elif stream in going_on:
                _close(going_on.pop(stream), page, f"few were refused in the next {inputs:,} inputs", None)
        part = []


# Telling -------------------------------------------------------------------------------------------------------------


def _told(number: int, case: Case, pages: list[Page], errors: Errors) -> Incident:
    before, after = errors.around(case.page.block)
    return Incident(
        number=number,
        kind=case.kind,
        subject=case.subject,
        opened_at=case.at,
        opened_received_at=case.page.received_at,
        block=case.page.block,
        reason=case.reason,
        evidence=case.evidence,
        decision=case.decision,
        mitigation=list(dict.fromkeys(case.mitigation)),
        timeline=_timeline(case, pages),
        error_before=before,
        error_after=after,
        closed_by=case.closed_by,
        closed_at=case.closed_at,
        closed_block=None if case.closed is None else case.closed.block,
    )


def _timeline(case: Case, pages: list[Page]) -> list[Moment]:
    """What happened from some inputs before the opening until the end, in the order of event time.

    Every decision, and of the alerts those about the same subject. What has no event time stands where it was committed.
    """
    last = pages[-1] if case.closed is None else case.closed
    found: list[Moment] = []
    for page in pages:
        if case.page.inputs - page.inputs > AROUND or page.block > last.block:
            continue
        for alert in page.alerts:
            if _concerns(case, alert):
                where = f" in {alert.segment}" if alert.segment is not None else ""
                said = f"{alert.monitor}{where}: {alert.reason}"
                found.append(Moment(alert.at, page.received_at, page.block, "alert", said))
        for decision in page.decisions:
            found.append(Moment(decision.at, page.received_at, page.block, "decision", _words(decision)))
        if case.kind == "dead_letters" and page.dead.get(case.subject):
            said = f"{page.dead[case.subject]:,} of {case.subject}"
            found.append(Moment(None, page.received_at, page.block, "dead letters", said))
    if case.closed is not None and case.closed_by is not None:
        found.append(Moment(case.closed_at, case.closed.received_at, case.closed.block, "closed", case.closed_by))
    return _in_order(found)


def _in_order(moments: list[Moment]) -> list[Moment]:
    """By event time; what has none comes after what was told before it."""
    keyed, reached = [], -1
    for moment in moments:
        reached = reached if moment.at is None else moment.at
        keyed.append((reached, moment))
    return [moment for _, moment in sorted(keyed, key=lambda one: one[0])]


def _concerns(case: Case, alert: Alert) -> bool:
    """Whether an alert is about what an incident is about.

    Where an alert opened it, that is the same subject in the same segment; a segment in quarantine is told of by its own;
    beside a champion or a challenger stands the error over all.
    """
    if case.kind == "quarantine" and alert.segment == (case.subject or None):
        return True
    if "subject" in case.evidence:
        return (alert.subject, alert.segment) == (case.evidence["subject"], case.evidence.get("segment"))
    if case.kind in ("roll_back", "guardrail", "freeze"):
        return alert.subject == "error" and alert.segment is None
    return alert.subject == case.subject


def _words(decision: Decision) -> str:
    status = "" if decision.status == "done" else f", {decision.status}"
    reason = f": {decision.reason}" if decision.reason else ""
    what = f"{decision.action} {decision.subject}".strip()
    return f"{what} by {decision.made_by} (decision {decision.number}{status}){reason}"


class Errors:
    """The mean error of labelled answers before and after a block. `of` gives those of one block; `last` is the last one."""

    def __init__(self, of: Callable[[int], list[float]], last: int) -> None:
        self.of, self.last = of, last

    def around(self, block: int) -> tuple[float | None, float | None]:
        """Over at most `SPAN` examples each."""
        before: list[float] = []
        seq = block - 1
        while seq > 0 and len(before) < SPAN:
            before = self.of(seq) + before
            seq -= 1
        after: list[float] = []
        seq = block + 1
        while seq <= self.last and len(after) < SPAN:
            after += self.of(seq)
            seq += 1
        return _mean(before[-SPAN:]), _mean(after[:SPAN])


def _errors(store: Store, pipeline: Pipeline) -> Errors:
    reader, task = PredictionReader(store), pipeline.plan().decide.task

    def of(seq: int) -> list[float]:
        firsts = [row for row in store.examples_of(seq) if not row.revision]
        errors = (error_of(reader.read(row.slot).value, row.truth, task) for row in firsts)
        return [error for error in errors if error is not None]

    return Errors(of, store.seq)


def error_of(value: Any, truth: Any, task: Task) -> float | None:
    """How wrong an answer was: 0 or 1, or by how much where it is a number; None where it was none."""
    if value is None:
        return None
    if task is not Task.REGRESSION:
        return float(value != truth)
    return abs(value - truth) if isinstance(value, int | float) and isinstance(truth, int | float) else None


def _mean(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None
