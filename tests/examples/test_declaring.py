"""The pipeline in docs/declaring.md: check accepts it, it learns, and its own metric and transform work."""

from __future__ import annotations

import re
from pathlib import Path

from eddyline.engines.embedded import Engine, replay
from eddyline.pipeline.loading import load
from eddyline.views.rehearse import rehearse, tryouts
from eddyline.views.summary import summarize

PAGE = Path(__file__).parents[2] / "docs" / "declaring.md"
KINDS = (("http", "tcp", 200, 1, "normal"), ("dns", "udp", 40, 0, "normal"), ("http", "tcp", 9_000, 7, "flood"))


def test_the_page_declares_a_pipeline_that_learns_from_rows_without_ids_and_times(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "connections.py"
    file.write_text(code)
    rows = [",".join(map(str, KINDS[n * n % 3])) for n in range(600)]
    (tmp_path / "connections.csv").write_text("\n".join(["service,protocol,sent,flags,attack", *rows, ""]))
    loaded = load(str(file))
    tried = tryouts(loaded.pipeline, rehearse(loaded.pipeline, tmp_path))
    assert [(one.line, one.failed) for one in tried] == [("connections", ""), ("connections.plain", "")]
    with Engine(loaded.pipeline, loaded.store) as engine:
        replay(engine, tmp_path, drain=True)
        said = summarize(engine)
    numbers = {one.metric: one.value for one in said.metrics}
    assert (said.answered, said.labelled, said.dead, said.early, said.late, said.raised) == (600, 600, {}, 0, 0, {})
    assert (numbers["Accuracy"] or 0) > 0.9
    assert (numbers["Missed"] or 0) >= 0
