"""The Grafana dashboard: a row for each group of the registry, a panel for each metric.

Built with Grafana's own types (`grafana-foundation-sdk`, a development dependency), so that a field that Grafana does not
know cannot be written. Queries take the pipeline from a variable, the data source too. Knows nothing of Grafana's server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eddyline.outlets.metrics import METRICS, QUALITY_SUM, ROWS, Metric
from eddyline.outlets.rules import MEAN_DAY, MEAN_HOUR

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import QueryVariable
    from grafana_foundation_sdk.builders.timeseries import Panel

PIPELINE = '{pipeline=~"$pipeline"}'
QUANTILES = ((0.5, "half"), (0.9, "90 %"), (0.99, "99 %"))
HEIGHT, SPAN = 7, 8


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and how its series are called."""

    expr: str
    legend: str


def queries(metric: Metric) -> list[Query]:
    """What a panel asks: a counter's rate, a moment's age, a histogram's quantiles, a gauge as it is.

    >>> from eddyline.outlets.metrics import ANSWERS
    >>> queries(ANSWERS)[0].expr
    'sum by (pipeline) (rate(eddyline_answers_total{pipeline=~"$pipeline"}[$__rate_interval]))'
    """
    labels = ("pipeline", *metric.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    by = ", ".join(labels)
    if metric is QUALITY_SUM:
        windows = ((MEAN_HOUR, "over an hour"), (MEAN_DAY, "over a day"))
        return [Query(f"{mean.name}{PIPELINE}", f"{{{{pipeline}}}} {{{{metric}}}} {window}") for mean, window in windows]
    if metric.kind == "histogram":
        rate = f"rate({metric.name}_bucket{PIPELINE}[$__rate_interval])"
        return [
            Query(f"histogram_quantile({q}, sum by (pipeline, le) ({rate}))", f"{{{{pipeline}}}} {name}")
            for q, name in QUANTILES
        ]
    if metric.kind == "counter":
        return [Query(f"sum by ({by}) (rate({metric.name}{PIPELINE}[$__rate_interval]))", legend)]
    if metric.is_moment:
        return [Query(f"time() - ({metric.name}{PIPELINE} > 0)", legend)]
    return [Query(f"{metric.name}{PIPELINE}", legend)]


def title(metric: Metric) -> str:
    """What a panel is called: the metric's name as words.

    >>> from eddyline.outlets.metrics import DELAY, WAITING
    >>> title(WAITING), title(DELAY)
    ('waiting predictions', 'label delay')
    """
    if metric is QUALITY_SUM:
        return "quality lately"
    words = metric.name.removeprefix("eddyline_")
    for unit in ("_total", "_ratio", "_timestamp_seconds", "_seconds"):
        words = words.removesuffix(unit)
    return words.replace("_", " ") + (": age" if metric.is_moment else "")


def dashboard_file() -> str:
    """The dashboard as Grafana imports it."""
    from grafana_foundation_sdk.builders import dashboard as made
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    board = (
        made.Dashboard("Eddyline")
        .uid("eddyline")
        .description(
            "A model on a live stream: answers, quality, labels, versions, decisions. Made from the registry of metrics."
        )
        .tags(["eddyline", "generated"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(made.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_pipelines())
    )
    for row in ROWS:
        board = board.with_row(made.Row(row))
        for metric in METRICS:
            if metric.row == row:
                board = board.with_panel(_panel(metric))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _pipelines() -> QueryVariable:
    from grafana_foundation_sdk.builders import dashboard as made
    from grafana_foundation_sdk.models import dashboard as models

    return (
        made.QueryVariable("pipeline")
        .label("Pipeline")
        .datasource(models.DataSourceRef("prometheus", "${datasource}"))
        .query(f"label_values({METRICS[0].name}, pipeline)")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _panel(metric: Metric) -> Panel:
    from grafana_foundation_sdk.builders import prometheus, timeseries
    from grafana_foundation_sdk.models import dashboard as models

    panel = (
        timeseries.Panel()
        .title(title(metric))
        .description(metric.help)
        .datasource(models.DataSourceRef("prometheus", "${datasource}"))
        .height(HEIGHT)
        .span(SPAN)
        .unit("short" if metric is QUALITY_SUM else metric.unit)
    )
    for ref, query in zip("ABC", queries(metric), strict=False):
        panel = panel.with_target(prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(ref))
    return panel
