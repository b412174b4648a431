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
from typing import Any

from eddyline.models import adapt
from eddyline.pipeline.challengers import Challenger
from eddyline.pipeline.code import code_digest
from eddyline.pipeline.plain import plain_features
from eddyline.policies.policy import Policy
from eddyline.ports import Model, SourceConfig
from eddyline.records import Event, Label, Place
from eddyline.records.errors import DeclarationError
from eddyline.records.schema import Schema
from eddyline.records.time import show_duration, to_us
from eddyline.stages.aggregates import Aggregates
from eddyline.stages.decide import LOOK_EVERY, Decide
from eddyline.stages.features import Maker
from eddyline.stages.join import Join, JoinStage
from eddyline.stages.learn import Learn, Publish
from eddyline.stages.lines import Line
from eddyline.stages.serve import Serve
from eddyline.stages.watch import Watch, WatchStage

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Versions:
    """When a version is kept as bytes: every so many examples. Any version between is rebuilt from the nearest.

    A snapshot costs its bytes once; rebuilding costs learning at most `every` examples again.

    >>> Versions(every=5_000)
    Versions(every=5000)
    """

    every: int = 10_000

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise DeclarationError(f"versions: every={self.every!r} is not a number of examples\nwrite Versions(every=10_000)")


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipeline:
    """A model that answers a stream of events and learns from the truth when it arrives.

    `events` and `labels` are sources of your `Event` and `Label` types. `features` takes the event, and by parameter name
    any of the `aggregates`, and gives a dict for the `model`: a River estimator or pipeline, `Sklearn(...)`, or your own.
    `join` says how long a prediction waits for its truth, `lateness` how far out of order events may come, `publish` that
    answers come from published versions (default: live), `versions` when a version is kept, `watch` what is measured.
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
    publish: Publish | None = None
    versions: Versions = field(default_factory=Versions)
    watch: Watch = field(default_factory=Watch)
    challengers: Sequence[Challenger] = ()
    decide: Sequence[Policy] = ()
    look_every: int = LOOK_EVERY

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
        if self.publish is not None and not isinstance(self.publish, Publish):
            raise DeclarationError(f"publish={self.publish!r}\nwrite publish=every(1000)")
        for word, value, kind in (
            ("join", self.join, Join),
            ("versions", self.versions, Versions),
            ("watch", self.watch, Watch),
        ):
            if not isinstance(value, kind):
                raise DeclarationError(f"{word}={value!r}\nwrite {word}={kind.__name__}(...)")
        if type(self.look_every) is not int or self.look_every < 1:
            raise DeclarationError(f"look_every={self.look_every!r} is not a number of inputs\nwrite look_every=100")
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
        model = adapt(self.model)
        lateness_us = to_us(self.lateness)
        aggregates = Aggregates(self.aggregates, lateness_us) if self.aggregates else None
        if aggregates is not None:
            aggregates.check(self.events.type)
            if self.event_schema.key_field is None and any(spec.by is None for spec in self.aggregates.values()):
                raise DeclarationError(
                    f"aggregates go by key, and {self.events.type.__name__} has no Key\n"
                    f"give it one (card: Key), or say by which field: {next(iter(self.aggregates))}=...(by='field')"
                )
        maker = self._maker(self.features)
        return Plan(
            model=model,
            serve=Serve(
                maker=maker,
                aggregates=aggregates,
                segment=self.watch.segment_of(self.events.type),
                lateness_us=lateness_us,
            ),
            join=JoinStage.of(self.join),
            learn=Learn(
                snapshot_every=self.versions.every,
                publish_every=self.publish.examples if self.publish else None,
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

    def _maker(self, features: Callable[..., Mapping[str, Any]] | None) -> Maker:
        """How features are made: by the user's function, else the event's fields and the aggregates as they are."""
        if features is not None:
            return Maker(features, _wanted(features, tuple(self.aggregates)))
        plain, trusted = plain_features(self.event_schema, bool(self.aggregates))
        return Maker(plain, tuple(self.aggregates), trusted)

    def _line(self, challenger: Challenger, own: Model) -> Line:
        """A challenger as a line; where it declares no model it has the pipeline's, where it has no features theirs."""
        model = adapt(self.model if challenger.model is None else challenger.model)
        if model.task is not own.task:
            raise DeclarationError(
                f"challenger {challenger.name}: its model answers {model.task.value}, the pipeline's answers {own.task.value}\n"
                "challengers answer the same question"
            )
        maker = None if challenger.features is None else self._maker(challenger.features)
        mode = challenger.mode
        return Line(f"{self.name}.{challenger.name}", model, maker, challenger.learns, mode.mode, mode.share)

    def _places(self) -> tuple[Place, ...]:
        """The seats that are taken from the start."""
        names = [one.name for one in self.challengers]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"challengers: two are called {name!r}\ngive each a name of its own")
        return tuple(Place(f"{self.name}.{one.name}", one.mode.mode, one.mode.share) for one in self.challengers)

    def parts(self) -> dict[str, Any]:
        """What the digest is made of, part by part, as plain values: the meaning, without paths."""
        return {
            "name": self.name,
            "events": self.event_schema.digest_parts(),
            "labels": self.label_schema.digest_parts(),
            "aggregates": {name: repr(spec) for name, spec in sorted(self.aggregates.items())},
            "features": code_digest(self.features) if self.features else "the fields",
            "model": adapt(self.model).recipe(),
            "join": repr(self.join),
            "lateness": show_duration(to_us(self.lateness)),
            "publish": repr(self.publish),
            "versions": repr(self.versions),
            "watch": self.watch.describe(),
            **({"challengers": [self._meaning(one) for one in self.challengers]} if self.challengers else {}),
            **({"decide": [_rule(policy) for policy in self.decide], "look_every": self.look_every} if self.decide else {}),
        }

    def _meaning(self, challenger: Challenger) -> dict[str, Any]:
        return {
            "name": challenger.name,
            "model": adapt(self.model if challenger.model is None else challenger.model).recipe(),
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
        serving = "live" if self.publish is None else f"from versions published every {self.publish.examples} examples"
        lines = [
            f"{self.name} ({self.digest})",
            f"  events    {self.events.describe()}: {self.event_schema.describe()}",
            f"  labels    {self.labels.describe()}: {self.label_schema.describe()}",
            *(f"  aggregate {name} = {spec!r}" for name, spec in self.aggregates.items()),
            f"  features  {getattr(self.features, '__name__', 'the fields of the event and the aggregates')}",
            f"  model     {' '.join(str(self.model).split())}",
            f"  join      {self.join.sentence()}",
            f"  serving   {serving}; a version is kept every {self.versions.every} examples",
            f"  watch     {self.watch.describe()}",
            *(f"  beside    {one.sentence()}" for one in self.challengers),
            *(f"  decide    {policy.sentence()}" for policy in self.decide),
        ]
        return "\n".join(lines)


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
        raise DeclarationError(f"{word}={declared!r}\nwrite {write}")
    return tuple(declared)


def _check_source(word: str, source: Any, kind: type) -> None:
    if not hasattr(source, "open") or not isinstance(getattr(source, "type", None), type):
        raise DeclarationError(f'{word}={source!r} is not a source\nwrite {word}=jsonl("{word}.jsonl", YourType)')
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
    parameters = list(inspect.signature(features).parameters.values())
    if not parameters:
        raise DeclarationError(f"{name}() takes no event\nwrite def {name}(event): return {{...}}")
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return aggregates
    wanted = tuple(p.name for p in parameters[1:] if p.default is p.empty or p.name in aggregates)
    for parameter in wanted:
        if parameter not in aggregates:
            near = difflib.get_close_matches(parameter, aggregates, 1)
            known = ", ".join(aggregates) or "none is declared"
            mend = f"did you mean {near[0]}?" if near else f'declare it: aggregates={{"{parameter}": Count(over=hours(1))}}'
            raise DeclarationError(f"{name}() asks for {parameter!r}, which is not an aggregate (known: {known})\n{mend}")
    return wanted


def _slug(name: object) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", str(name).lower()).strip("-0123456789_") or "my-pipeline"
