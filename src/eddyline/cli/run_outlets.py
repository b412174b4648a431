"""The part of `eddyline run` that tells others: its options, and everybody who is told while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from eddyline.engines.embedded import Engine, Progress
    from eddyline.engines.embedded.watchdog import Watchdog
    from eddyline.outlets.beside import Beside
    from eddyline.outlets.exposition import Served


@dataclass(frozen=True, slots=True)
class OutletOptions:
    """Who is to be told, as the command line says it."""

    metrics: str | None
    metrics_public: bool
    webhooks: tuple[str, ...]
    lineage: str | None


@dataclass(slots=True)
class Outlets:
    """Who is told while an engine runs."""

    served: Served | None = None
    told: list[Beside] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        """Takes what only the runner knows."""
        if self.served is not None:
            self.served.lag = progress.lag

    def watched_by(self, watchdog: Watchdog) -> None:
        """Takes who knows whether a model holds up the loop."""
        if self.served is not None:
            self.served.watchdog = watchdog

    def trouble(self) -> list[str]:
        """What is in the way of telling, in words for the status line."""
        return [one.told.trouble for one in self.told if one.told.trouble is not None]

    def check(self) -> None:
        """Raises what made telling impossible, if anything did."""
        for one in self.told:
            one.check()


def on_outlets(function: Callable[..., Any]) -> Callable[..., Any]:
    """--metrics, --webhook and --lineage, handed over as `outlets`, an `OutletOptions`."""

    @click.option("--metrics", metavar="HOST:PORT", help="Serve metrics for Prometheus there, such as 127.0.0.1:9464.")
    @click.option("--metrics-public", is_flag=True, help="Let other machines read the metrics: there is no password on them.")
    @click.option(
        "--webhook", "webhooks", multiple=True, metavar="URL", help="Post alerts and decisions there, as CloudEvents."
    )
    @click.option(
        "--lineage", metavar="TARGET", help="Tell an OpenLineage server (http://HOST:5000) or a file of runs and versions."
    )
    @wraps(function)
    def wrapped(
        *arguments: Any, metrics: str | None, metrics_public: bool, webhooks: tuple[str, ...], lineage: str | None, **named: Any
    ) -> Any:
        return function(*arguments, outlets=OutletOptions(metrics, metrics_public, webhooks, lineage), **named)

    return wrapped


@contextmanager
def telling(engine: Engine, base: Path, options: OutletOptions) -> Iterator[Outlets]:
    """Tells everybody named until the end of the block, and says where the metrics are."""
    outlets = Outlets()
    with ExitStack() as stack:
        if options.metrics is not None:
            from eddyline.outlets.exposition import serving_metrics

            outlets.served = stack.enter_context(serving_metrics(engine, options.metrics, public=options.metrics_public))
            click.echo(f"metrics at {outlets.served.url}", err=True)
        for url in options.webhooks:
            from eddyline.outlets.webhook import delivering

            outlets.told.append(stack.enter_context(delivering(engine, url)))
        if options.lineage is not None:
            from eddyline.outlets.lineage import tracing

            outlets.told.append(stack.enter_context(tracing(engine, options.lineage, base)))
        try:
            yield outlets
        finally:
            for one in outlets.told:  # they are closed one after the other, and share the time that is left
                one.hurry()
