"""Writes the files that are made from the registry: `python -m eddyline.outlets.generate [DEPLOY]`.

Prometheus' rules and Grafana's dashboard, into `deploy/` or the folder named. A test keeps the committed files equal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from eddyline.outlets.dashboard import dashboard_file
from eddyline.outlets.rules import rules_file


def generated() -> dict[str, str]:
    """Every file by its place in `deploy/`."""
    return {"prometheus/rules.yml": rules_file(), "grafana/dashboard.json": dashboard_file()}


def main(deploy: Path) -> None:
    """Writes them all."""
    for name, content in generated().items():
        path = deploy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "deploy"))
