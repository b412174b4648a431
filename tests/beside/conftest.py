"""Lets the tests of this room use the real broker."""

from __future__ import annotations

from tests.cluster.fixtures import kafka_broker

__all__ = ["kafka_broker"]
