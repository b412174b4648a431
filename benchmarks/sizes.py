"""How much of a benchmark to run: all of it, a quick look, or just enough to see that it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse(about: str | None, *, texts: Sequence[str] = (), **numbers: int) -> argparse.Namespace:
    """Reads `--quick` and `--tiny` as `size`, an option for each number with its default, and options of text."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="full", help="a quick look")
    parser.add_argument("--tiny", dest="size", action="store_const", const="tiny", help="does it run at all")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=f"default {default}")
    for name in texts:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    return parser.parse_args()
