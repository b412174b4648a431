"""Lets the tests of this room use the real broker, and sends and reads topics beside our own code."""

from __future__ import annotations

from tests.cluster.fixtures import kafka_broker

__all__ = ["kafka_broker"]
