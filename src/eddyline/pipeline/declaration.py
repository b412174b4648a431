"""The declaration: one frozen value that says what a pipeline is, checked when it is built.

Every error names the user's own words and says what to type. It opens no file and starts nothing; engines do.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from eddyline.models import adapt
from eddyline.monitors.error_above import ErrorAbove
from eddyline.pipeline.challengers import Challenger
from eddyline.pipeline.code import code_digest
from eddyline.pipeline.naming import check_alerts, check_challengers
from eddyline.pipeline.per import Per, key_of, require_per
from eddyline.pipeline.plain import plain_features
from eddyline.pipeline.truths import require_absent, require_fit
from eddyline.policies.policy import Policy
from eddyline.policies.promote import Promote
from eddyline.policies.retrain import Retrain
from eddyline.policies.roll_back import RollBack
from eddyline.ports import Model, SourceConfig
from eddyline.records import Event, Label, Place, Task
from eddyline.records.errors import DeclarationError
from eddyline.records.schema import Schema
from eddyline.records.time import days, durations_in_words, show_duration, to_us
from eddyline.stages.aggregates import Aggregates
from eddyline.stages.decide import LOOK_EVERY, Decide
from eddyline.stages.features import Maker, keyed
from eddyline.stages.join import UNSET, Join, JoinStage
from eddyline.stages.learn import Learn, Publish
from eddyline.stages.lines import Line
from eddyline.stages.serve import Serve
from eddyline.stages.watch import Watch, WatchStage

AHEAD = days(3650)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Versions:
    """When a version is kept as bytes: every so many examples. Any version between is rebuilt from the nearest.

    A snapshot costs its bytes once; rebuilding costs learning at most `every` examples again.

    On Flink a version travels to the scorers as what changed since the one before, where that is at most half of it, and whole
    every `whole_every` versions. Take `deltas=False` where other readers than Eddyline's read the topic of versions, or where
    the learner is the limit: making a patch costs it about five times what compressing the whole costs. How versions travel is
    no part of what the pipeline means: `digest` stays the same, and a running job is upgraded to it.

    >>> Versions(every=5_000)
    Versions(every=5000)
    """

    every: int = 10_000
    deltas: bool = field(default=True, repr=False)
    whole_every: int = field(default=20, repr=False)

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise DeclarationError(f"versions: every={self.every!r} is not a number of examples\nwrite Versions(every=10_000)")
        if type(self.deltas) is not bool:
            raise DeclarationError(
                f"versions: deltas={self.deltas!r}\nwrite deltas=True, or deltas=False to tell every version whole"
            )
        if type(self.whole_every) is not int or self.whole_every < 1:
            raise DeclarationError(
                f"versions: whole_every={self.whole_every!r} is not a number of versions\nwrite Versions(whole_every=20)"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipeline:
    """A model that answers a stream of events and learns from the truth when it arrives.

    `events` and `labels` are sources of your `Event` and `Label` types. `features` takes the event, and by parameter name
    any of the `aggregates`, and gives a dict for the `model`: a River estimator or pipeline, `Sklearn(...)`, or your own.
    `per="key"` makes one such model for each key, for many small things that are alike in kind and not in numbers.
    `join` says how long a prediction waits for its truth, `lateness` how far out of order events may come, `ahead` how far
    after the newest event before it one may be dated (a later one is refused, so that a wrong year cannot move time),
    `publish` that answers come from published versions (default: live), `versions` when one is kept, `watch` what is measured.
    `challengers` answer beside the model until they have earned its place, and `decide` says who may be moved, and when;
    policies look every `look_every` inputs.

    Two pipelines are equal when they mean the same; `digest` is that meaning in 16 hex digits. `replace` makes another:

    >>> from river import linear_model
    >>> from eddyline import Id, Time, Truth, memory
    >>> class Visit(Event):
    ...     id: Id
    ...     at: Time
    ...     pages: float
    >>> class Sale(Label):
    ...     id: Id
    ...     at: Time
    ...     bought: Truth[bool]
    >>> shop = Pipeline(name="shop", events=memory([], Visit), labels=memory([], Sale),
    ...                 model=linear_model.LogisticRegression())
    >>> shop.replace(name="store").name, shop == shop.replace()
    ('store', True)
    """

    name: str
    events: SourceConfig
    labels: SourceConfig
    model: Any
    features: Callable[..., Mapping[str, Any]] | None = None
    aggregates: Mapping[str, Any] = field(default_factory=dict)
    join: Join = field(default_factory=Join)
    lateness: timedelta = timedelta(0)
    ahead: timedelta = AHEAD
    publish: Publish | None = None
    versions: Versions = field(default_factory=Versions)
    watch: Watch = field(default_factory=Watch)
    challengers: Sequence[Challenger] = ()
    decide: Sequence[Policy] = ()
    look_every: int = LOOK_EVERY
    per: Per | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"name={self.name!r}: a pipeline's name is lower-case letters, digits, - and _, and starts with a letter\n"
                f'write name="{_slug(self.name)}"'
            )
        _check_source("events", self.events, Event)
        _check_source("labels", self.labels, Label)
        if not isinstance(self.lateness, timedelta) or self.lateness < timedelta(0):
            raise DeclarationError(f"lateness={self.lateness!r} is not a duration\nwrite lateness=minutes(5)")
        if not isinstance(self.ahead, timedelta) or self.ahead <= timedelta(0):
            raise DeclarationError(f"ahead={self.ahead!r} is not a duration\nwrite ahead=days(30)")
        if self.publish is not None and not isinstance(self.publish, Publish):
            raise DeclarationError(f"publish={self.publish!r}\nwrite publish=every(1000), or publish=every(minutes(5))")
        for word, value, kind in (
            ("join", self.join, Join),
            ("versions", self.versions, Versions),
            ("watch", self.watch, Watch),
        ):
            if not isinstance(value, kind):
                raise DeclarationError(f"{word}={value!r}\nwrite {word}={kind.__name__}(...)")
        if type(self.look_every) is not int or self.look_every < 1:
            raise DeclarationError(f"look_every={self.look_every!r} is not a number of inputs\nwrite look_every=100")
        require_per("per", self.per)
        if not isinstance(self.aggregates, Mapping) or not all(isinstance(name, str) for name in self.aggregates):
            raise DeclarationError(
                f"aggregates={self.aggregates!r} gives them no names\n"
                'write aggregates={"often": Count(over=hours(1))}; features(event, often) gets it by its name'
            )
        object.__setattr__(self, "aggregates", dict(self.aggregates))
        object.__setattr__(self, "challengers", _several("challengers", self.challengers, Challenger))
        object.__setattr__(self, "decide", _several("decide", self.decide, Policy))
        self.plan()

    def replace(self, **changes: Any) -> Pipeline:
        """The same pipeline with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    @property
    def event_schema(self) -> Schema:
        """How events are read and written."""
        return Schema.of(self.events.type)

    @property
    def label_schema(self) -> Schema:
        """How labels are read and written."""
        return Schema.of(self.labels.type)

    @property
    def truth_type(self) -> Any:
        """The type of the truth, as the label declares it."""
        return self.label_schema.fields[str(self.label_schema.truth_field)]

    def plan(self) -> Plan:
        """The stages that this declaration lowers to: fresh, with a model of their own."""
        model = adapt(self.model, per=self.per)
        check_alerts(self.decide, self.watch, model.task)
        check_challengers(self.decide, self.name, [one.name for one in self.challengers])
        require_fit(f"pipeline {self.name}", model, self.truth_type)
        require_absent(self.join.absent, self.truth_type)
        lateness_us = to_us(self.lateness)
        aggregates = Aggregates(self.aggregates, lateness_us) if self.aggregates else None
        if aggregates is not None:
            aggregates.check(self.events.type)
            if self.event_schema.key_field is None and any(spec.by is None for spec in self.aggregates.values()):
                raise DeclarationError(
                    f"aggregates go by key, and {self.events.type.__name__} has no Key\n"
                    f"give it one (card: Key), or say by which field: {next(iter(self.aggregates))}=...(by='field')"
                )
        maker = self._maker(self.features, self.per, f"pipeline {self.name}")
        return Plan(
            model=model,
            serve=Serve(
                maker=maker,
                aggregates=aggregates,
                segment=self.watch.segment_of(self.events.type),
                lateness_us=lateness_us,
                ahead_us=to_us(self.ahead),
            ),
            join=JoinStage.of(self.join),
            learn=Learn(
                snapshot_every=self.versions.every,
                publish=self.publish,
                learn_revisions=self.join.revisions == "learn",
            ),
            watch=self.watch.bind(model.task, self.versions.every, model, self.truth_type),
            decide=Decide(
                model=self.name,
                task=model.task,
                policies=tuple(self.decide),
                places=self._places(),
                still=tuple(f"{self.name}.{one.name}" for one in self.challengers if not one.learns),
                look_every=self.look_every,
            ),
            lines={line.name: line for line in (Line(self.name, model), *(self._line(one, model) for one in self.challengers))},
        )

    def _maker(self, features: Callable[..., Mapping[str, Any]] | None, per: Per | None, whose: str) -> Maker:
        """How features are made: by the user's function, else the event's fields and the aggregates as they are.

        A model per key finds the key of the event among them.
        """
        if features is not None:
            maker = Maker(features, _wanted(features, tuple(self.aggregates)))
        else:
            taken = sorted(self.event_schema.fields.keys() & self.aggregates.keys())
            if taken:
                raise DeclarationError(
                    f"aggregate {taken[0]!r} has the name of a field of {self.events.type.__name__}, and would hide it\n"
                    f"rename the aggregate ({taken[0]}_1h), or write features=, which gets it by name beside the event"
                )
            plain, trusted = plain_features(self.event_schema, bool(self.aggregates))
            maker = Maker(plain, tuple(self.aggregates), trusted)
        return maker if per is None else keyed(maker, key_of(whose, self.event_schema, self.events.type.__name__))

    def _line(self, challenger: Challenger, own: Model) -> Line:
        """A challenger as a line; where it declares no model it has the pipeline's, where it has no features theirs."""
        model = self._model_of(challenger)
        if model.task is not own.task:
            raise DeclarationError(
                f"challenger {challenger.name}: its model answers {model.task.value}, the pipeline's answers {own.task.value}\n"
                "challengers answer the same question"
            )
        require_fit(f"challenger {challenger.name}", model, self.truth_type)
        maker, per = None, self._per_of(challenger)
        if challenger.features is not None or per != self.per:
            maker = self._maker(challenger.features or self.features, per, f"challenger {challenger.name}")
        mode = challenger.mode
        return Line(f"{self.name}.{challenger.name}", model, maker, challenger.learns, mode.mode, mode.share)

    def _model_of(self, challenger: Challenger) -> Model:
        return adapt(self.model if challenger.model is None else challenger.model, per=self._per_of(challenger))

    def _per_of(self, challenger: Challenger) -> Per | None:
        """A challenger without a model of its own has the pipeline's, and is per key where that is."""
        return self.per if challenger.model is None and challenger.per is None else challenger.per

    def _places(self) -> tuple[Place, ...]:
        """The seats that are taken from the start."""
        names = [one.name for one in self.challengers]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"challengers: two are called {name!r}\ngive each a name of its own")
        return tuple(Place(f"{self.name}.{one.name}", one.mode.mode, one.mode.share) for one in self.challengers)

    def parts(self) -> dict[str, Any]:
        """What the digest is made of, part by part, as plain values: the meaning, without paths and versions of libraries.

        Those stand in the recipe and the numeric fingerprint of each version.
        """
        return {
            "name": self.name,
            "events": self.event_schema.digest_parts(),
            "labels": self.label_schema.digest_parts(),
            "aggregates": {name: repr(spec) for name, spec in sorted(self.aggregates.items())},
            "features": self._features_code,
            "model": _meant(adapt(self.model, per=self.per)),
            "join": repr(self.join),
            "lateness": show_duration(to_us(self.lateness)),
            **({"ahead": show_duration(to_us(self.ahead))} if self.ahead != AHEAD else {}),
            "publish": repr(self.publish),
            "versions": repr(self.versions),
            "watch": self.watch.describe(),
            **({"segment": self._segment_code} if callable(self.watch.segment) else {}),
            **({"challengers": [self._meaning(one) for one in self.challengers]} if self.challengers else {}),
            **({"decide": [_rule(policy) for policy in self.decide], "look_every": self.look_every} if self.decide else {}),
        }

    @cached_property
    def _features_code(self) -> str:
        """Made once: what a function carries may change while it is called, such as a cache."""
        return code_digest(self.features) if self.features else "the fields"

    @cached_property
    def _segment_code(self) -> str:
        return code_digest(self.watch.segment) if callable(self.watch.segment) else ""

    def _meaning(self, challenger: Challenger) -> dict[str, Any]:
        return {
            "name": challenger.name,
            "model": _meant(self._model_of(challenger)),
            "features": code_digest(challenger.features) if challenger.features else "the pipeline's",
            "mode": repr(challenger.mode),
            "learns": challenger.learns,
        }

    @property
    def digest(self) -> str:
        """The pipeline's meaning in 16 hex digits: equal in every process, whatever the paths of its sources."""
        return hashlib.sha256(json.dumps(self.parts(), sort_keys=True, default=repr).encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.parts() == other.parts()

    def __hash__(self) -> int:
        return hash(self.digest)

    def describe(self) -> str:
        """The pipeline in sentences, one a line."""
        serving = "live" if self.publish is None else f"from versions published {self.publish.sentence()}"
        lines = [
            f"{self.name} ({self.digest})",
            f"  events    {self.events.describe()}: {self.event_schema.describe()}",
            f"  labels    {self.labels.describe()}: {self.label_schema.describe()}",
            *(f"  aggregate {name} = {spec!r}" for name, spec in self.aggregates.items()),
            f"  features  {getattr(self.features, '__name__', 'the fields of the event and the aggregates')}",
            f"  model     {' '.join(str(self.model).split())}{'' if self.per is None else ', one for each key'}",
            f"  join      {self.join.sentence()}",
            f"  serving   {serving}; a version is kept every {self.versions.every} examples",
            f"  watch     {durations_in_words(self.watch.describe())}",
            *(f"  beside    {one.sentence()}" for one in self.challengers),
            *(f"  decide    {policy.sentence()}" for policy in self.decide),
        ]
        return "\n".join(lines)

    def notes(self) -> list[str]:
        """What is allowed and has an effect that is easily overlooked, with what to write instead; `eddyline check` shows it.

        >>> from river import linear_model
        >>> from eddyline import Id, Join, RollBack, Time, Truth, days, memory
        >>> class Mail(Event):
        ...     id: Id
        ...     at: Time
        ...     words: float
        >>> class Report(Label):
        ...     id: Id
        ...     at: Time
        ...     spam: Truth[bool]
        >>> mails = Pipeline(name="mails", events=memory([], Mail), labels=memory([], Report), decide=(RollBack(),),
        ...                  model=linear_model.LogisticRegression(), join=Join(wait=days(7)))
        >>> print(mails.notes()[0].splitlines()[0])
        roll_back: labels may never come, and where they do not, each disagreement speaks against the champion
        >>> mails.replace(join=Join(wait=days(7), absent=False)).notes()
        []
        """
        notes = [_UNLABELLED.format(policy.called) for policy in self.decide if self._may_gain_by_silence(policy)]
        task = adapt(self.model, per=self.per).task
        if task is Task.ANOMALY and self.join.absent is UNSET:
            notes.append(_UNTOLD)
        if task is Task.REGRESSION and self.truth_type is bool:
            notes.append(_NUMBERS)
        if self.join.absent is not UNSET and self.join.wait:
            wait = show_duration(to_us(self.join.wait))
            notes += [_EARLY.format(one.called, wait) for one in self.watch.monitors if isinstance(one, ErrorAbove)]
        retraining = [policy for policy in self.decide if isinstance(policy, Retrain)]
        ending = [policy for policy in self.decide if isinstance(policy, Promote) and policy.deadline is not None]
        if retraining and not ending:
            notes.append(_STAYING.format(retraining[0].called))
        return notes

    def _may_gain_by_silence(self, policy: Policy) -> bool:
        """Whether labels that never come may send an equal champion back."""
        return isinstance(policy, RollBack) and policy.unlabelled == "against the champion" and self.join.absent is UNSET


_EARLY = (
    "{0}: it takes truths as they come to be known, and a truth by absence comes after {1}\n"
    "until then it sees those that somebody told, which are the bad ones where silence means good: it may alert at once\n"
    "act on RollBack(error_above=...), which counts in the order of events; or on {0} after the first {1}"
)
_UNTOLD = (
    "model: an anomaly model learns an event when its truth is known; without labels it learns nothing, ever\n"
    "say what silence means, and every event is learned when its wait is over: join=Join(wait=hours(1), absent=False)"
)
_NUMBERS = (
    "model: it answers numbers, and the truth is true or false: it learns 1.0 and 0.0, and is measured by MAE and RMSE\n"
    "for classes give it a classifier, such as linear_model.LogisticRegression()"
)
_STAYING = (
    "{}: each model that it makes takes a seat in the shadow, is asked about every event, and stays until it wins or loses\n"
    "one that is as good as the champion stays for ever: write Promote(deadline=days(14)), which ends an open contest"
)
_UNLABELLED = (
    "{}: labels may never come, and where they do not, each disagreement speaks against the champion\n"
    "where more than a few in a hundred are missing, that goes back from a champion that is as good as the one before it\n"
    'write RollBack(unlabelled="against the former"), or say what silence means: join=Join(absent=False)'
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The five stages of one pipeline, ready for an engine, and the models to start from: its own, and all by line."""

    model: Model
    serve: Serve
    join: JoinStage
    learn: Learn
    watch: WatchStage
    decide: Decide
    lines: Mapping[str, Line]

    @property
    def models(self) -> list[Model]:
        """The models of all lines: what they are answered by is part of the numeric fingerprint."""
        return [line.model for line in self.lines.values()]


def _meant(model: Model) -> dict[str, Any]:
    """What a model means: its recipe, whatever the versions of the libraries and of Python."""
    return {name: part for name, part in model.recipe().items() if name != "libraries"}


def _rule(policy: Policy) -> dict[str, Any]:
    """What a policy means, with the code of a loss of the user's own."""
    function = None if policy.loss_used is None else policy.loss_used.function
    return {**policy.parts(), **({"function": code_digest(function)} if function is not None else {})}


def _several(word: str, declared: Any, kind: type) -> tuple[Any, ...]:
    """What was declared, one by one, each of the right kind."""
    if isinstance(declared, kind):
        declared = (declared,)
    if not isinstance(declared, Sequence) or not all(isinstance(one, kind) for one in declared):
        write = 'challengers=(Challenger("deep", model=...),)' if word == "challengers" else "decide=(Promote(), RollBack())"
        shown = " ".join(repr(declared).split())
        raise DeclarationError(f"{word}={shown[:200]}{'...' if len(shown) > 200 else ''}\nwrite {write}")
    return tuple(declared)


def _check_source(word: str, source: Any, kind: type) -> None:
    if not hasattr(source, "open") or not isinstance(getattr(source, "type", None), type):
        never = "; where no truth ever comes, labels=memory([], YourType)" if source is None and kind is Label else ""
        raise DeclarationError(f'{word}={source!r} is not a source\nwrite {word}=jsonl("{word}.jsonl", YourType){never}')
    if not issubclass(source.type, kind):
        raise DeclarationError(
            f"{word}: {source.type.__name__} is not {'an' if kind is Event else 'a'} {kind.__name__}\n"
            f"write class {source.type.__name__}({kind.__name__}): ..."
        )
    Schema.of(source.type)


def _wanted(features: Callable[..., Any], aggregates: tuple[str, ...]) -> tuple[str, ...]:
    """The aggregates that the features function asks for by parameter name."""
    name = getattr(features, "__name__", "features")
    if not callable(features):
        raise DeclarationError(f"features={features!r} is not a function\nwrite def features(event): return {{...}}")
    try:
        signature = inspect.signature(features)
    except (ValueError, TypeError) as problem:
        raise DeclarationError(
            f"features={features!r}: Python does not say what it takes\nwrite def features(event): return {{...}}"
        ) from problem
    parameters = list(signature.parameters.values())
    if not parameters:
        raise DeclarationError(f"{name}() takes no event\nwrite def {name}(event): return {{...}}")
    wanted = tuple(p.name for p in parameters[1:] if p.kind in _NAMED and (p.default is p.empty or p.name in aggregates))
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        wanted = aggregates
    for parameter in wanted:
        if parameter not in aggregates:
            near = difflib.get_close_matches(parameter, aggregates, 1)
            known = ", ".join(aggregates) or "none is declared"
            mend = f"did you mean {near[0]}?" if near else f'declare it: aggregates={{"{parameter}": Count(over=hours(1))}}'
            raise DeclarationError(f"{name}() asks for {parameter!r}, which is not an aggregate (known: {known})\n{mend}")
    try:
        signature.bind(object(), **dict.fromkeys(wanted))
    except TypeError as problem:
        asked = "".join(f", {one.name}" for one in parameters if one.name in aggregates)
        raise DeclarationError(
            f"{name}{signature} cannot be called with the event first and aggregates by name: {problem}\n"
            f"write def {name.replace('<lambda>', 'features')}(event{asked}): return {{...}}"
        ) from problem
    return wanted


def _slug(name: object) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", str(name).lower()).strip("-0123456789_") or "my-pipeline"
