"""Whether a River model still has only finite numbers where it has just learned: the law *finite*, nearly for
free.

Right after learning, `z` (the features as the last step saw them) touches every number that has just changed.
A linear model is asked for its raw sum there: a weight or an intercept that is NaN or infinite makes the sum
so. A model that only keeps counts, sums and squares cannot leave the finite numbers as long as its inputs are
bounded; see `BOUNDED`. Everything else predicts once more. It knows no pipeline and decides nothing: the
stage puts an unsound model back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from river import anomaly, compose, dummy, forest, linear_model, naive_bayes, neighbors, preprocessing, tree
from river import feature_extraction as fx

from eddyline.models import compiled
from eddyline.models.plain import finite

Check = Callable[[Any], bool]
"""From the features as the last step saw them to whether it is sound there."""

LINEAR = frozenset({linear_model.LinearRegression, linear_model.LogisticRegression, linear_model.Perceptron})

BOUNDED = frozenset(
    {
        tree.HoeffdingTreeClassifier,
        tree.HoeffdingAdaptiveTreeClassifier,
        tree.ExtremelyFastDecisionTreeClassifier,
        forest.ARFClassifier,
        forest.AMFClassifier,
        naive_bayes.GaussianNB,
        naive_bayes.BernoulliNB,
        naive_bayes.MultinomialNB,
        naive_bayes.ComplementNB,
        neighbors.KNNClassifier,
        anomaly.HalfSpaceTrees,
        dummy.NoChangeClassifier,
        dummy.PriorClassifier,
    }
)
"""Models that keep counts of classes and, of each feature, at most counts, extremes, means and sums of
squares.

With every |x| <= 1e100 (`eddyline.records.LIMIT`), a mean stays within 1e100 and one example adds at most
(2e100)^2 = 4e200 to a sum of squares: it takes more than 1e107 examples to leave the finite numbers, which
end at 1.8e308. Targets of regression enter products of two and leaf models, so regressors are not here."""

BOUNDED_STEPS = frozenset(
    {
        preprocessing.StandardScaler,
        preprocessing.MinMaxScaler,
        preprocessing.MaxAbsScaler,
        preprocessing.Binarizer,
        preprocessing.OneHotEncoder,
        preprocessing.OrdinalEncoder,
        preprocessing.StatImputer,
        preprocessing.PreviousImputer,
        compose.Select,
        compose.SelectType,
        compose.Discard,
        compose.Prefixer,
        compose.Suffixer,
        compose.Renamer,
        fx.BagOfWords,
        fx.TFIDF,
    }
)
"""Steps that hand on nothing larger than what they were given, when they have learned it. (A `RobustScaler`
is not: it divides by a range of quantiles that may be 1e-300 while the value is 1e100.)"""


def check_of(last: Any, steps: list[Any], answer: Callable[[Any], Any]) -> Check:
    """The cheapest check that is right for this last step behind these steps."""
    if type(last) in LINEAR:
        check: Check = compiled.direct.linear_sound(last)
        return check
    if type(last) in BOUNDED and all(type(step) in BOUNDED_STEPS for step in steps):
        return lambda z: True
    return lambda z: finite(answer(z))
