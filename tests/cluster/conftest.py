"""Lets the tests of this room use the real broker and the real session cluster."""

from tests.cluster.fixtures import flink_cluster, kafka_broker

__all__ = ["flink_cluster", "kafka_broker"]
