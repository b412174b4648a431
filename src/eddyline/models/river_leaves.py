"""How Hoeffding trees answer about words without writing: the law *still* inside their leaves.

A leaf that votes by naive Bayes makes an empty entry for each class that its count of a word, or its
histogram, has not met. Entries come at the end of a dict, so they are taken off again; in an ensemble whose
leaves cannot be found, a copy is asked. None of it happens before a word is learned: until then trees answer
at their own speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from river import forest, tree
from river.tree.splitter.histogram_splitter import HistogramSplitter
from river.tree.splitter.nominal_splitter_classif import NominalSplitterClassif

from eddyline.models import river_bytes
from eddyline.models.river_refusals import parts

Call = Callable[[Any], Any]

_FOUND = frozenset(
    {
        tree.HoeffdingTreeClassifier,
        tree.HoeffdingAdaptiveTreeClassifier,
        tree.ExtremelyFastDecisionTreeClassifier,
        forest.ARFClassifier,
    }
)
"""Models whose leaves for some features can be found."""
_NUMBERS = frozenset({float, int, bool})


class Words:
    """Whether a model may hold counts of words by now: it starts so, or it has learned one."""

    __slots__ = ("met",)

    def __init__(self, last: Any) -> None:
        self.met = any(isinstance(part, (NominalSplitterClassif, HistogramSplitter)) for part in parts(last)) or any(
            getattr(part, "nominal_attributes", None) for part in parts(last)
        )

    def watched(self, learn: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """Learning that notices words."""

        def learn_and_notice(x: Any, y: Any) -> None:
            if not self.met and not _NUMBERS.issuperset(map(type, x.values())):
                self.met = True
            learn(x, y)

        return learn_and_notice

    def still(self, last: Any, call: Call, method: str) -> Call:
        """Predicting that writes nothing once words were met."""
        found = type(last) in _FOUND

        def ask(x: Any) -> Any:
            if not self.met:
                return call(x)
            return _taken_back(last, call, x) if found else getattr(river_bytes.copied(last), method)(x)

        return ask


def grows_leaves(last: Any) -> bool:
    """Whether trees of this kind are in a model, or may come to be.

    >>> grows_leaves(forest.ARFClassifier(seed=42)), grows_leaves(forest.AMFClassifier(seed=42))
    (True, False)
    """
    return any(issubclass(type(part), (tree.HoeffdingTreeClassifier, forest.ARFClassifier)) for part in parts(last))


def _taken_back(last: Any, call: Call, x: Any) -> Any:
    tables = [(table, len(table)) for table in _tables(last, x)]
    try:
        return call(x)
    finally:
        for table, size in tables:
            while len(table) > size:
                table.popitem()


def _tables(last: Any, x: Any) -> Iterator[dict[Any, Any]]:
    for each in last if isinstance(last, forest.ARFClassifier) else [last]:
        for leaf in _leaves(each._root, x):
            for splitter in (getattr(leaf, "splitters", None) or {}).values():
                if isinstance(splitter, NominalSplitterClassif):
                    yield splitter._att_dist_per_class
                elif isinstance(splitter, HistogramSplitter):
                    yield splitter.hists


def _leaves(node: Any, x: Any) -> Iterator[Any]:
    """Where features end in a tree; an adaptive tree may name several, in lists."""
    if isinstance(node, list):
        for each in node:
            yield from _leaves(each, x)
    elif isinstance(node, tree.base.Branch):
        reached = node.traverse(x, until_leaf=True)
        yield from _leaves(reached, x) if isinstance(reached, list) else (reached,)
    elif node is not None:
        yield node
