"""`eddyline metrics`: what Prometheus would read of a store, without anything running."""

from __future__ import annotations

import click

from eddyline.cli.options import as_json, pipeline_file


@click.command("metrics", short_help="A store's metrics, as Prometheus reads them.")
@pipeline_file
@as_json
def command(file: str, store: str | None, as_json: bool) -> None:
    """Print the metrics of a store in Prometheus' text format, from its whole journal.

    Nothing has to run, and nothing is changed. While the pipeline runs, `eddyline run FILE --metrics 127.0.0.1:9464`
    serves the same for Prometheus to scrape. With --json one list of series.
    """
    from eddyline.cli import show
    from eddyline.outlets.exposition import readings_at_rest, text
    from eddyline.pipeline.loading import load

    loaded = load(file, store)
    now = readings_at_rest(loaded.store, loaded.pipeline)
    if not as_json:
        click.echo(text(now), nl=False)
        return
    series = [
        {"name": metric.name, "type": metric.kind, "labels": dict(zip(metric.labels, labels, strict=True)), "value": value}
        for metric, values in now.series.items()
        for labels, value in values.items()
    ]
    show.json_document({"pipeline": now.pipeline, "series": series, "label_delay": now.delays})
