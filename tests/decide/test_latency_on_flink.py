"""A slow challenger loses its place on Flink too: serve measures, decide hears of it, the audit plays what was heard."""

from __future__ import annotations

import time
from typing import Any

from river import linear_model
from tests.shops import Sale, Visit

from eddyline import Challenger, CustomModel, Pipeline, RollBack, Shadow, Task, memory
from eddyline.engines.flink import taken
from eddyline.engines.flink.audit import examine
from eddyline.testing.hosted import Hosted


class Slow(CustomModel):
    task = Task.CLASSIFICATION

    def predict(self, features: dict[str, Any]) -> bool:
        time.sleep(0.03 if features["pages"] > 100 else 0.0)
        return True

    def learn(self, features: dict[str, Any], truth: Any) -> None: ...


def run(pages: float, *decide: RollBack) -> Hosted:
    shop = Pipeline(
        name="shop",
        events=memory([], Visit),
        labels=memory([], Sale),
        model=linear_model.LogisticRegression(),
        challengers=(Challenger("slow", model=Slow(), mode=Shadow()),),
        decide=decide,
        look_every=5,
    )
    hosted = Hosted(shop, parallelism=2)
    for i in range(12):
        hosted.take(Visit(id=f"v-{i}", at=i, pages=pages))
    hosted.checkpoint()
    hosted.take(Visit(id="after", at=20, pages=pages))
    return hosted


def heard(hosted: Hosted) -> list[tuple[str, bool]]:
    inputs = [one for raw in hosted.written.of("taken") for one in taken.decode(raw).inputs]
    return [(one.command.to, one.command.value > 5.0) for one in inputs if isinstance(one, taken.Asked)]


def test_a_slow_challenger_loses_its_place_and_the_audit_decides_the_same() -> None:
    hosted = run(200.0, RollBack(latency_ms=5.0))
    assert ("shop.slow", True) in heard(hosted)
    (decision,) = hosted.written.decisions
    assert (decision.action, decision.subject, decision.evidence["guardrail"]) == ("retire", "shop.slow", "latency_ms")
    assert hosted.written.predictions[-1].others is None
    done = examine(hosted.pipeline, hosted.recorded())
    assert (done.faults, done.decisions) == ([], 1)


def test_a_fast_one_keeps_it_and_is_spoken_of_once_by_each_instance() -> None:
    hosted = run(1.0, RollBack(latency_ms=2_000.0))
    assert hosted.written.decisions == []
    assert set(heard(hosted)) == {("shop", False), ("shop.slow", False)}
    assert len(heard(hosted)) <= 4
    assert examine(hosted.pipeline, hosted.recorded()).faults == []


def test_where_no_policy_limits_latency_nothing_is_measured() -> None:
    assert heard(run(1.0, RollBack())) == []
