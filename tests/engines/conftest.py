"""Lets the tests of this room use the real broker, and sends and reads topics beside our own code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cluster.fixtures import kafka_broker

__all__ = ["kafka_broker"]
