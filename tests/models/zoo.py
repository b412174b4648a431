"""River models of every family, each with a stream to learn. Run as a program, prints what each of them
became.

The program is what the tests start under another PYTHONHASHSEED: one JSON line for each model.
"""
# mypy: disable-error-code="no-untyped-call,operator"

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from typing import Any

from river import (
    anomaly,
    bandit,
    compose,
    datasets,
    drift,
    dummy,
    ensemble,
    facto,
    feature_selection,
    forest,
    imblearn,
    linear_model,
    metrics,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    optim,
    preprocessing,
    stats,
    tree,
)
from river import feature_extraction as fx

from eddyline.models.river import RiverModel
from eddyline.records import Features

Rows = list[tuple[Features, Any]]
Make = Callable[[], Any]


def in_order(x: dict[str, Any]) -> Features:
    """Features as the serve stage hands them on: sorted by name."""
    return dict(sorted(x.items()))


def doubled(x: dict[str, Any]) -> dict[str, Any]:
    """A step written as a function, and a rude one: it writes into what it was given."""
    for name, value in x.items():
        x[name] = value * 2
    return x


def stream(name: str) -> Rows:
    """One of the small streams: phishing (bool), trump (number), segments (7 words), shops (mixed), notes
    (text).
    """
    if name == "phishing":
        return [(in_order(x), y) for x, y in datasets.Phishing().take(600)]
    if name == "trump":
        return [(in_order(x), y) for x, y in datasets.TrumpApproval().take(600)]
    if name == "segments":
        return [(in_order(x), y) for x, y in list(datasets.ImageSegments())[::4]]
    if name in ("shops", "sizes"):
        return _shops(classes=name == "sizes")
    words = [f"hello w{i % 17} w{i % 5} {'spam' if i % 3 == 0 else 'ham'}" for i in range(600)]
    return [({"text": text}, "spam" in text) for text in words]


def _shops(*, classes: bool) -> Rows:
    draw = random.Random(3)
    rows: Rows = []
    for _ in range(600):
        x: Features = {
            "height": draw.random(),
            "place": draw.choice(["alpha", "beta", "gamma", "delta"]),
            "warm": draw.random() * 30,
            "weather": draw.choice(["rain", "sun", "fog"]),
        }
        y = draw.random() * 5 + 5 * float(x["height"] or 0)
        rows.append((x, ("low" if y < 4 else "mid" if y < 7 else "high") if classes else y))
    return rows


def scaled(model: Any) -> Any:
    return preprocessing.StandardScaler() | model


def numbers(model: Any) -> Any:
    return compose.SelectType(float) | model


LOGISTIC = linear_model.LogisticRegression
LINEAR = linear_model.LinearRegression

ZOO: dict[str, tuple[Make, str]] = {
    "logistic": (lambda: scaled(LOGISTIC()), "phishing"),
    "logistic alone": (lambda: LOGISTIC(), "phishing"),
    "logistic l1": (lambda: scaled(LOGISTIC(l1=0.1)), "phishing"),
    "logistic adam": (lambda: scaled(LOGISTIC(optimizer=optim.Adam())), "phishing"),
    "logistic ftrl": (lambda: scaled(LOGISTIC(optimizer=optim.FTRLProximal())), "phishing"),
    "linear": (lambda: scaled(LINEAR()), "trump"),
    "perceptron": (lambda: scaled(linear_model.Perceptron()), "phishing"),
    "passive aggressive": (lambda: scaled(linear_model.PAClassifier()), "phishing"),
    "alma": (lambda: linear_model.ALMAClassifier(), "phishing"),
    "ad predictor": (lambda: linear_model.AdPredictor(), "phishing"),
    "softmax": (lambda: scaled(linear_model.SoftmaxRegression()), "segments"),
    "bayesian": (lambda: scaled(linear_model.BayesianLinearRegression()), "trump"),
    "hoeffding tree": (lambda: tree.HoeffdingTreeClassifier(grace_period=50), "segments"),
    "hoeffding tree, words": (lambda: tree.HoeffdingTreeClassifier(grace_period=50), "sizes"),
    "histogram tree": (
        lambda: tree.HoeffdingTreeClassifier(grace_period=50, splitter=tree.splitter.HistogramSplitter()),
        "segments",
    ),
    "adaptive tree, words": (lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=50, seed=1), "sizes"),
    "fast tree, words": (lambda: tree.ExtremelyFastDecisionTreeClassifier(grace_period=50), "sizes"),
    "last tree, words": (lambda: tree.LASTClassifier(), "sizes"),
    "bagging, words": (
        lambda: ensemble.BaggingClassifier(tree.HoeffdingTreeClassifier(grace_period=50), n_models=3, seed=1),
        "sizes",
    ),
    "random patches, words": (lambda: ensemble.SRPClassifier(n_models=3, seed=1), "sizes"),
    "adaptive tree": (lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=50, seed=1), "segments"),
    "fast tree": (lambda: tree.ExtremelyFastDecisionTreeClassifier(grace_period=50), "segments"),
    "last tree": (lambda: tree.LASTClassifier(), "segments"),
    "gradient tree": (lambda: tree.SGTClassifier(), "phishing"),
    "regression tree": (lambda: tree.HoeffdingTreeRegressor(grace_period=50), "trump"),
    "adaptive regression tree": (
        lambda: tree.HoeffdingAdaptiveTreeRegressor(grace_period=50, seed=1),
        "trump",
    ),
    "arf": (lambda: forest.ARFClassifier(seed=1, n_models=3, grace_period=30), "segments"),
    "arf, words": (lambda: forest.ARFClassifier(seed=1, n_models=3, grace_period=30), "sizes"),
    "arf regressor": (lambda: scaled(forest.ARFRegressor(seed=1, n_models=3)), "trump"),
    "amf": (lambda: forest.AMFClassifier(seed=1, n_estimators=3), "segments"),
    "amf regressor": (lambda: forest.AMFRegressor(seed=1, n_estimators=3), "trump"),
    "oxt": (lambda: forest.OXTRegressor(seed=1, n_models=3), "trump"),
    "gaussian bayes": (lambda: naive_bayes.GaussianNB(), "segments"),
    "multinomial bayes": (
        lambda: fx.BagOfWords(on="text", ngram_range=(1, 2)) | naive_bayes.MultinomialNB(),
        "notes",
    ),
    "bernoulli bayes": (lambda: fx.BagOfWords(on="text") | naive_bayes.BernoulliNB(), "notes"),
    "complement bayes": (lambda: fx.BagOfWords(on="text") | naive_bayes.ComplementNB(), "notes"),
    "tfidf": (lambda: fx.TFIDF(on="text") | LOGISTIC(), "notes"),
    "neighbours": (
        lambda: scaled(neighbors.KNNClassifier(engine=neighbors.LazySearch(window_size=100))),
        "segments",
    ),
    "nearest numbers": (
        lambda: scaled(neighbors.KNNRegressor(engine=neighbors.LazySearch(window_size=100))),
        "trump",
    ),
    "factorization": (lambda: compose.Discard("warm") | facto.FMRegressor(seed=1), "shops"),
    "field factorization": (lambda: compose.Discard("warm") | facto.FFMRegressor(seed=1), "shops"),
    "bagging": (lambda: ensemble.BaggingClassifier(LOGISTIC(), n_models=3, seed=1), "phishing"),
    "bagging of scaled": (
        lambda: ensemble.BaggingClassifier(scaled(LOGISTIC()), n_models=3, seed=1),
        "phishing",
    ),
    "leveraging": (
        lambda: ensemble.LeveragingBaggingClassifier(naive_bayes.GaussianNB(), n_models=3, seed=1),
        "segments",
    ),
    "boosting": (
        lambda: ensemble.AdaBoostClassifier(tree.HoeffdingTreeClassifier(), n_models=3, seed=1),
        "segments",
    ),
    "adwin boosting": (lambda: ensemble.ADWINBoostingClassifier(LOGISTIC(), n_models=3, seed=1), "phishing"),
    "bole": (
        lambda: ensemble.BOLEClassifier(tree.HoeffdingTreeClassifier(), n_models=3, seed=1),
        "phishing",
    ),
    "random patches": (lambda: ensemble.SRPClassifier(n_models=3, seed=1), "segments"),
    "random patches regressor": (lambda: ensemble.SRPRegressor(LINEAR(), n_models=3, seed=1), "trump"),
    "experts": (lambda: ensemble.EWARegressor([LINEAR(), scaled(LINEAR(l2=0.1))]), "trump"),
    "retraining": (lambda: drift.DriftRetrainingClassifier(naive_bayes.GaussianNB()), "segments"),
    "one against rest": (lambda: scaled(multiclass.OneVsRestClassifier(LOGISTIC())), "segments"),
    "one against one": (lambda: scaled(multiclass.OneVsOneClassifier(LOGISTIC())), "segments"),
    "output code": (
        lambda: scaled(multiclass.OutputCodeClassifier(LOGISTIC(), code_size=9, seed=1)),
        "segments",
    ),
    "undersampled": (
        lambda: scaled(imblearn.RandomUnderSampler(LOGISTIC(), {False: 0.5, True: 0.5}, seed=1)),
        "phishing",
    ),
    "half space trees": (
        lambda: preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1, n_trees=5, height=4, window_size=50),
        "phishing",
    ),
    "one class svm": (lambda: scaled(anomaly.OneClassSVM()), "phishing"),
    "loda": (lambda: scaled(anomaly.LODA(n_random_cuts=20, seed=1)), "phishing"),
    "filtered": (
        lambda: (
            preprocessing.MinMaxScaler()
            | anomaly.QuantileFilter(anomaly.HalfSpaceTrees(seed=1, n_trees=5, window_size=50), q=0.9)
            | LOGISTIC()
        ),
        "phishing",
    ),
    "one hot": (
        lambda: (compose.SelectType(str) | preprocessing.OneHotEncoder()) + numbers(preprocessing.StandardScaler()) | LINEAR(),
        "shops",
    ),
    "selected": (
        lambda: (
            compose.Select("height", "warm") + (compose.Select("weather") | preprocessing.OneHotEncoder())
            | preprocessing.StandardScaler()
            | LINEAR()
        ),
        "shops",
    ),
    "ordinal": (lambda: preprocessing.OrdinalEncoder() | scaled(LINEAR()), "shops"),
    "aggregated": (
        lambda: (
            fx.TargetAgg(by="place", how=stats.Mean())
            + fx.Agg("warm", by=["place", "weather"], how=stats.Mean())
            + compose.SelectType(float)
            | scaled(LINEAR())
        ),
        "shops",
    ),
    "hashed": (lambda: preprocessing.FeatureHasher(n_features=8, seed=1) | LINEAR(), "shops"),
    "polynomial": (lambda: numbers(fx.PolynomialExtender(3)) | scaled(LINEAR()), "shops"),
    "grouped": (
        lambda: compose.Discard("place") | compose.Grouper(numbers(preprocessing.StandardScaler()), by="weather") | LINEAR(),
        "shops",
    ),
    "random features": (lambda: numbers(fx.RBFSampler(seed=1, n_components=10)) | LINEAR(), "shops"),
    "projected": (lambda: numbers(preprocessing.GaussianRandomProjector(3, seed=1)) | LINEAR(), "shops"),
    "sparsely projected": (
        lambda: numbers(preprocessing.SparseRandomProjector(3, density=0.5, seed=1)) | LINEAR(),
        "shops",
    ),
    "varying features": (lambda: feature_selection.VarianceThreshold() | LOGISTIC(), "phishing"),
    "poisson inclusion": (
        lambda: numbers(feature_selection.PoissonInclusion(0.1, seed=1)) | LINEAR(),
        "shops",
    ),
    "topics": (
        lambda: fx.BagOfWords(on="text") | preprocessing.LDA(n_components=3, seed=1) | LOGISTIC(),
        "notes",
    ),
    "adaptive scaler": (lambda: preprocessing.AdaptiveStandardScaler() | LOGISTIC(), "phishing"),
    "robust scaler": (lambda: preprocessing.RobustScaler() | LOGISTIC(), "phishing"),
    "largest scaler": (lambda: preprocessing.MaxAbsScaler() | LOGISTIC(), "phishing"),
    "rolling scaler": (lambda: numbers(preprocessing.StandardScaler(window_size=20)) | LINEAR(), "shops"),
    "function": (lambda: compose.FuncTransformer(doubled) | scaled(LOGISTIC()), "phishing"),
    "renamed": (lambda: compose.Renamer({"https": "secure"}) | scaled(LOGISTIC()), "phishing"),
    "scaled target": (lambda: scaled(preprocessing.TargetStandardScaler(LINEAR())), "trump"),
    "factorization of classes": (lambda: facto.FMClassifier(seed=1), "phishing"),
    "field factorization of classes": (lambda: facto.FFMClassifier(seed=1), "phishing"),
    "weighted factorization": (lambda: compose.Discard("warm") | facto.FwFMRegressor(seed=1), "shops"),
    "weighted factorization of classes": (lambda: facto.FwFMClassifier(seed=1), "phishing"),
    "higher factorization": (lambda: compose.Discard("warm") | facto.HOFMRegressor(seed=1), "shops"),
    "higher factorization of classes": (lambda: facto.HOFMClassifier(seed=1), "phishing"),
    "oversampled": (
        lambda: scaled(imblearn.RandomOverSampler(LOGISTIC(), {False: 0.5, True: 0.5}, seed=1)),
        "phishing",
    ),
    "sampled": (
        lambda: scaled(imblearn.RandomSampler(LOGISTIC(), {False: 0.5, True: 0.5}, seed=1)),
        "phishing",
    ),
    "hard samples": (
        lambda: scaled(imblearn.HardSamplingClassifier(LOGISTIC(), p=0.3, size=20, seed=1)),
        "phishing",
    ),
    "rare targets": (lambda: scaled(imblearn.ChebyshevOverSampler(LINEAR())), "trump"),
    "fewer targets": (lambda: scaled(imblearn.ChebyshevUnderSampler(LINEAR(), seed=1)), "trump"),
    "passive aggressive numbers": (lambda: scaled(linear_model.PARegressor()), "trump"),
    "greedy choice": (
        lambda: scaled(model_selection.GreedyRegressor([LINEAR(), LINEAR(l2=0.1)], metrics.MAE())),
        "trump",
    ),
    "bandit choice": (
        lambda: scaled(
            model_selection.BanditClassifier(
                [LOGISTIC(), LOGISTIC(l2=0.1)], metrics.Accuracy(), bandit.EpsilonGreedy(0.2, seed=1)
            )
        ),
        "phishing",
    ),
    "bandit choice of numbers": (
        lambda: scaled(
            model_selection.BanditRegressor([LINEAR(), LINEAR(l2=0.1)], metrics.MAE(), bandit.EpsilonGreedy(0.2, seed=1))
        ),
        "trump",
    ),
    "halving": (
        lambda: scaled(
            model_selection.SuccessiveHalvingClassifier([LOGISTIC(), LOGISTIC(l2=0.1)], metrics.Accuracy(), budget=100)
        ),
        "phishing",
    ),
    "halving of numbers": (
        lambda: scaled(model_selection.SuccessiveHalvingRegressor([LINEAR(), LINEAR(l2=0.1)], metrics.MAE(), budget=100)),
        "trump",
    ),
    "binarized": (lambda: preprocessing.Binarizer(0.5) | LOGISTIC(), "phishing"),
    "normalized": (lambda: preprocessing.Normalizer() | LOGISTIC(), "phishing"),
    "gap encoded": (lambda: preprocessing.GapEncoder(on="text", seed=1) | LOGISTIC(), "notes"),
    "clipped": (lambda: scaled(preprocessing.PredClipper(LINEAR(), 0, 100)), "trump"),
    "imputed": (lambda: preprocessing.StatImputer(("https", stats.Mean())) | LOGISTIC(), "phishing"),
    "imputed by the last": (lambda: preprocessing.PreviousImputer() | LOGISTIC(), "phishing"),
    "range of the target": (lambda: scaled(preprocessing.TargetMinMaxScaler(LINEAR())), "trump"),
    "gradient tree of numbers": (lambda: scaled(tree.SGTRegressor()), "trump"),
    "prior": (lambda: dummy.PriorClassifier(), "segments"),
    "no change": (lambda: dummy.NoChangeClassifier(), "segments"),
    "nested": (lambda: compose.Pipeline(preprocessing.MinMaxScaler(), scaled(LOGISTIC())), "phishing"),
}


def life(name: str, *, examples: int = 240) -> dict[str, str]:
    """Learns a stream twice: straight through, and saved, restored and continued half way; answers before
    each.
    """
    make, rows = ZOO[name]
    model = restored = RiverModel(make())
    answers: list[Any] = []
    for count, (x, y) in enumerate(stream(rows)[:examples]):
        if count == examples // 2:
            restored = model.restored(model.save())
        if count >= examples // 2:
            assert restored.predict(x) == model.predict(x)
            restored.learn(x, y)
        output = model.predict(x)
        answers.append([output.value, sorted(map(str, (output.scores or {}).items()))])
        model.learn(x, y)
    told = hashlib.sha256(json.dumps(answers).encode()).hexdigest()
    return {"name": name, "digest": model.digest(), "restored": restored.digest(), "answers": told}


if __name__ == "__main__":
    for each in sys.argv[1:] or ZOO:
        print(json.dumps(life(each)), flush=True)
