"""Kafka: topics as sources, and what is written to topics. `confluent_kafka` is imported when it is first needed.

`kafka` declares a source, `on_topics` moves a pipeline of files onto topics, `Topics` knows their names, `wire` the bytes.
"""

from eddyline.connectors.kafka.codecs import avro, protobuf
from eddyline.connectors.kafka.connection import Connection, read_properties
from eddyline.connectors.kafka.source import KafkaTopic, connection_of, kafka, make_topics, on_topics
from eddyline.connectors.kafka.topics import Topics, ensure

__all__ = [
    "Connection",
    "KafkaTopic",
    "Topics",
    "avro",
    "connection_of",
    "ensure",
    "kafka",
    "make_topics",
    "on_topics",
    "protobuf",
    "read_properties",
]
