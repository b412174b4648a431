"""A real Kafka and a real Flink on 127.0.0.1, for a laptop and for the tests: fetched once, started, stopped by id."""
