"""Event time: how long things take and when things happened, as whole microseconds.

Durations are `datetime.timedelta`, made by `seconds`, `minutes`, `hours` and `days`. Instants travel as `int`
microseconds since 1970-01-01T00:00Z, because integers compare and subtract without rounding. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000
BEGINNING = -(2**62)
"""Before every event: the watermark of a stream that has shown nothing yet."""
END = 2**62
"""After every event: the watermark of a stream that is complete."""


def seconds(count: float) -> timedelta:
    """A duration of so many seconds.

    >>> seconds(90)
    datetime.timedelta(seconds=90)
    """
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    """A duration of so many minutes.

    >>> minutes(2) == seconds(120)
    True
    """
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """A duration of so many hours.

    >>> hours(1) == minutes(60)
    True
    """
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    """A duration of so many days of 24 hours.

    >>> days(7) == hours(168)
    True
    """
    return timedelta(days=count)


def to_us(duration: timedelta) -> int:
    """A duration in whole microseconds.

    >>> to_us(seconds(1.5))
    1500000
    """
    return duration // MICROSECOND


def instant(moment: datetime) -> int:
    """Microseconds since the epoch of a moment that knows its zone.

    >>> instant(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    assert moment.tzinfo is not None, "a naive time has no place in the stream: the type's codec gives it a zone"
    return (moment - EPOCH) // MICROSECOND


def show_instant(at: int) -> str:
    """An instant as a person reads it, in UTC.

    >>> show_instant(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    >>> show_instant(BEGINNING), show_instant(END)
    ('the beginning', 'the end')
    """
    if at <= BEGINNING:
        return "the beginning"
    if at >= END:
        return "the end"
    try:
        return (EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{at} µs"


def show_duration(us: int) -> str:
    """A duration in the largest unit that says it in one short number.

    >>> show_duration(to_us(days(7))), show_duration(to_us(minutes(90))), show_duration(1500)
    ('7 days', '90 minutes', '0.0015 seconds')
    >>> show_duration(1_234_567_500_001)
    '1234567.500001 seconds'
    """
    for name, size in (
        ("day", DAY_US),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
    ):
        if us and us % size == 0:
            count = us // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    whole, rest = divmod(abs(us), 1_000_000)
    return f"{'-' if us < 0 else ''}{whole}{f'.{rest:06}'.rstrip('0').rstrip('.')} seconds"


def durations_in_words(text: str) -> str:
    """A text in which each duration reads as `show_duration` says it, and not as Python's `repr` does.

    The meaning of a declaration is kept by `repr`, in digests and in stores; this is for showing it.

    >>> durations_in_words(f"Silence(longer_than={hours(1)!r}), Silence(longer_than={days(7.5)!r})")
    'Silence(longer_than=1 hour), Silence(longer_than=180 hours)'
    >>> durations_in_words(repr((timedelta(0), timedelta(microseconds=1500))))
    '(0 seconds, 0.0015 seconds)'
    """
    return _REPR.sub(lambda found: show_duration(to_us(_duration(found[1]))), text)


_REPR = re.compile(r"datetime\.timedelta\(((?:(?:days|seconds|microseconds)=-?\d+(?:, )?)+|0)\)")


def _duration(inside: str) -> timedelta:
    """What stands between the brackets of the `repr` of a duration."""
    named = (part.split("=") for part in inside.split(", ") if "=" in part)
    return timedelta(**{name: int(count) for name, count in named})
