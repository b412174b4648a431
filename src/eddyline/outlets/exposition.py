"""Readings as Prometheus reads them: the text of a store at rest, and an endpoint beside a running engine.

The endpoint takes a look under the engine's turn at most so often that the loop waits less than `PART` of the time, and at
most once in `FRESH_S`; scrapes in between get the look before. The journal is read beside the loop, from a connection of
its own. It binds to this machine only unless told otherwise: there is no password on it.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eddyline.engines.embedded import Engine
from eddyline.engines.embedded.watchdog import Watchdog
from eddyline.outlets import metrics as m
from eddyline.outlets.look import Tally, look
from eddyline.outlets.metrics import DELAYS_S, METRICS, Readings
from eddyline.pipeline import Pipeline
from eddyline.records.errors import DeclarationError
from eddyline.store.database import Store
from eddyline.views.current import current

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

ADDRESS = "127.0.0.1:9464"
FRESH_S = 1.0
PART = 0.01
PATIENCE_S = 3.0
"""How long a scrape waits for a batch to be done; then it shows the look before, and for how long a model holds it up."""
READING_S = 0.5
"""How long one scrape reads the journal at most; the next one goes on."""


class Served:
    """An endpoint at work: where it is, and what it shows. `lag` and `watchdog` are what the runner knows and the engine does
    not.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.url = ""
        self.lag: int | None = None
        self.watchdog: Watchdog | None = None
        self._store = Store.read(engine.path)
        self._tally = Tally()
        self._one = threading.Lock()
        self._readings = Readings(engine.pipeline.name)
        self._again_at = 0.0

    def readings(self) -> Readings:
        """What the metrics are now; from the look before, where that is fresh."""
        with self._one:
            if time.monotonic() >= self._again_at:
                self._readings, took = self._look()
                self._again_at = time.monotonic() + max(FRESH_S, took / PART)
            return self._readings

    def _look(self) -> tuple[Readings, float]:
        engine, now = self.engine, Readings(self.engine.pipeline.name)
        self._tally.read(self._store, seconds=READING_S)
        with engine.looking(PATIENCE_S) as mine:
            started = time.perf_counter()
            if mine:
                look(now, engine.plan, engine.loop.states)
            else:
                now.series, now.delays = dict(self._readings.series), self._readings.delays
            took = time.perf_counter() - started
        self._tally.fill(now)
        now.series[m.HELD_UP] = {(): 0.0 if self.watchdog is None else self.watchdog.seconds}
        now.set(m.LOOK, took)
        if self.lag is not None:
            now.set(m.LAG, self.lag)
        return now, took

    def collect(self) -> Iterator[Family]:
        """The families, as prometheus_client asks for them."""
        yield from families(self.readings())

    def close(self) -> None:
        """Lets go of the store."""
        with self._one:
            self._store.close()


@contextmanager
def serving_metrics(engine: Engine, address: str = ADDRESS, *, public: bool = False) -> Iterator[Served]:
    """Serves the metrics of a running engine over HTTP at `/metrics`, until the end of the block.

    `address` is `HOST:PORT`, port 0 for any that is free (see `Served.url`). An address that other machines can reach is
    refused unless `public`: whoever can reach it can read every number. Needs `pip install "eddyline[metrics]"`. Raises
    DeclarationError when it cannot be served there.
    """
    client = _client()
    host, port = _parsed(address, public)
    registry = client.CollectorRegistry(auto_describe=False)
    served = Served(engine)
    with closing(served):
        registry.register(served)
        try:
            server, thread = client.start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise DeclarationError(
                f"metrics: {address} cannot be served ({error.strerror or error})\nchoose another port: --metrics 127.0.0.1:0"
            ) from error
        served.url = f"http://{host if ':' not in host else f'[{host}]'}:{server.server_port}/metrics"
        try:
            yield served
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def readings_at_rest(path: Path, pipeline: Pipeline) -> Readings:
    """What the metrics of a store are, from its whole journal; nothing has to run, and nothing is changed."""
    now, tally, plan = Readings(pipeline.name), Tally(), pipeline.plan()
    with closing(Store.read(path)) as store:
        states = current(store, pipeline, plan).states
        tally.read(store)
        look(now, plan, states)
    tally.fill(now)
    return now


def text(readings: Readings) -> str:
    """Readings in Prometheus' text format."""
    client = _client()

    class Once:
        def collect(self) -> Iterator[Family]:
            yield from families(readings)

    registry = client.CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return str(client.generate_latest(registry), "utf-8")


def families(readings: Readings) -> Iterator[Family]:
    """The registry with its values: one family a metric that has any."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    name = readings.pipeline
    series: dict[m.Metric, m.Series] = {**readings.series, m.DROPPED: {(): float(readings.dropped)}}
    for metric in METRICS:
        labels = ("pipeline", *metric.labels)
        if metric.kind == "histogram":
            delays = readings.delays
            if delays is not None:
                histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
                bounds = [(f"{bound:g}", float(many)) for bound, many in zip(DELAYS_S, delays.up_to, strict=True)]
                histogram.add_metric([name], [*bounds, ("+Inf", float(delays.count))], delays.total_s)
                yield histogram
            continue
        if metric not in series:
            continue
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(metric.name, metric.help, labels=labels)
        for values, value in series[metric].items():
            family.add_metric([name, *values], value)
        yield family


def _parsed(address: str, public: bool) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise DeclarationError(f"metrics: {address!r} is not HOST:PORT\nwrite --metrics {ADDRESS}")
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here and not public:
        raise DeclarationError(
            f"metrics: other machines can reach {address}, and there is no password on it\n"
            f"write --metrics 127.0.0.1:{port}, or --metrics-public where only those who may read it can reach it"
        )
    return host, int(port)


def _client() -> Any:
    """prometheus_client, or what to install."""
    try:
        import prometheus_client
    except ImportError as error:
        raise DeclarationError('metrics need prometheus_client\ntype: pip install "eddyline[metrics]"') from error
    return prometheus_client
