"""Which answers a monitor of a feature is not shown: those of a line that makes no such feature.

A line makes a feature once it was in an answer of that line, be it as None. Who that is, is settled at ticks, so it does
not depend on batches: keeps `split`, I21 and I23. Refuses to know what monitors look for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from eddyline.records import Features, Measurement, Prediction

LINES = 100
"""Lines that are remembered for each feature, and shown as paused: the newest."""
Absent = dict[str, list[tuple[int, str]]]
"""By feature the records that came without it: their number since the last tick, and the line."""
Paused = dict[str, tuple[frozenset[int], frozenset[int]]]
"""By feature the answers and the labelled examples that its monitors are not shown, by number since the last tick."""


class Pausing(msgspec.Struct):
    """What is known of who makes which feature, and how many answers monitors were not shown.

    >>> pausing = Pausing()
    >>> def answer(i, line, **features): return Prediction(f"p-{i}", "k", i, features, None, 1.0, None, line, i, 0)
    >>> answers = [answer(0, "bikes", hires=3), answer(1, "bikes"), answer(2, "bikes.stations")]
    >>> pausing.answered(("hires",), answers, [one.features for one in answers], 0, ["hires"])
    >>> pausing.settle()
    {'hires': (frozenset({2}), frozenset())}
    >>> [(one.metric, one.value, one.version) for one in pausing.measurements()]
    [('feature hires paused', 1.0, None), ('feature hires paused', 1.0, 'bikes.stations')]
    """

    makers: dict[str, list[str]] = {}
    counts: dict[str, dict[str, int]] = {}
    answers: Absent = {}
    examples: Absent = {}

    def answered(
        self,
        names: Sequence[str],
        predictions: Sequence[Prediction],
        features: Sequence[Features],
        first: int,
        without: Sequence[str],
    ) -> None:
        """Notes answers, some of them `without` these features; `first` is the number of the first since the last tick."""
        lines = [prediction.model for prediction in predictions]
        everybody = list(dict.fromkeys(lines))
        for name in names:
            having = everybody
            if name in without:
                _without(self.answers, name, lines, features, first)
                having = list(dict.fromkeys([line for line, one in zip(lines, features, strict=True) if name in one]))
            makers = self.makers.setdefault(name, [])
            makers += [line for line in having if line not in makers]

    def labelled(
        self, without: Sequence[str], predictions: Sequence[Prediction], features: Sequence[Features], first: int
    ) -> None:
        """Notes the answers of labelled examples, of which some are `without` these features."""
        lines = [prediction.model for prediction in predictions] if without else []
        for name in without:
            _without(self.examples, name, lines, features, first)

    def settle(self) -> Paused:
        """Who is left out at this tick; what was noted since the last one is forgotten."""
        paused: Paused = {}
        for name in dict.fromkeys((*self.answers, *self.examples)):
            makers = frozenset(self.makers.get(name, ()))
            out = [(i, line) for i, line in self.answers.get(name, ()) if line not in makers]
            there = frozenset(i for i, line in self.examples.get(name, ()) if line not in makers)
            if out or there:
                paused[name] = frozenset(i for i, _ in out), there
            counts = self.counts.setdefault(name, {}) if out else {}
            for _, line in out:
                counts[line] = counts.get(line, 0) + 1
            for line in list(counts)[: max(0, len(counts) - LINES)]:
                del counts[line]
        self.makers = {name: lines[-LINES:] for name, lines in self.makers.items()}
        self.answers, self.examples = {}, {}
        return paused

    def measurements(self) -> Iterator[Measurement]:
        """For each feature how many answers its monitors were not shown: over all, and by the line that has no such feature."""
        for name, counts in self.counts.items():
            many = sum(counts.values())
            yield Measurement(f"feature {name} paused", float(many), many)
            for line, count in counts.items():
                yield Measurement(f"feature {name} paused", float(count), count, version=line)


def _without(into: Absent, name: str, lines: Sequence[str], features: Sequence[Features], first: int) -> None:
    """Notes the records without a feature."""
    into.setdefault(name, []).extend([(first + i, lines[i]) for i, one in enumerate(features) if name not in one])
