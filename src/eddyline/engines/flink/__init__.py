"""The same pipeline on Apache Flink and Kafka: one generic operator in Java hosts the stages, and Flink owns their memory."""
