"""A watched feature that the first event does not have is noted."""

from __future__ import annotations

from tests.views import contested

from eddyline import SCORE, Missing, Psi, Watch
from eddyline.records import Prediction, Said
from eddyline.views.unmade import notes

FIRST = Prediction("p-0", "k", 0, {"a": 1.0, "b": 2.0}, None, True, None, "fraud", 0, 0)


def test_a_misspelled_feature_is_noted_with_the_one_that_was_meant() -> None:
    declared = contested.pipeline(watch=Watch(drift=("tmp",), monitors=(Psi(("a", SCORE)), Missing("bb"))))
    drift, missing = notes(declared, FIRST)
    assert drift.startswith("Watch(drift=...): the first event has no feature 'tmp' (it has: a, b)")
    assert missing.endswith("did you mean 'b'?")


def test_a_feature_that_only_a_challenger_makes_is_watched() -> None:
    declared = contested.pipeline(watch=Watch(monitors=(Psi("ab"),)))
    others = [Said("fraud.deep", 0, True, None, {"ab": 2.0})]
    said = Prediction("p-0", "k", 0, {"a": 1.0}, None, True, None, "fraud", 0, 0, None, others)
    assert notes(declared, said) == []
    assert len(notes(declared, FIRST)) == 1
    assert notes(declared, None) == []
