"""Lets the tests of this room use the real broker and the real session cluster."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cluster.fixtures import flink_cluster, kafka_broker

__all__ = ["flink_cluster", "kafka_broker"]
