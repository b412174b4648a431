"""The same user code as plain PyFlink: keyed process functions, once in thread mode, once in process mode. Run by a worker's Python.

    python plain.py MODE BROKERS TOPIC OUT TRANSACTIONS
"""

import json
import sys
from collections import deque

from pyflink.common import Configuration, SimpleStringSchema, Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaRecordSerializationSchema, KafkaSink, KafkaSource
from pyflink.datastream.functions import KeyedProcessFunction
from pyflink.datastream.state import ValueStateDescriptor

HOUR = 3_600_000


class Score(KeyedProcessFunction):
    """Keeps the last hour of a card, and answers with River."""

    def open(self, context):
        from river import linear_model, preprocessing

        self.hour = context.get_state(ValueStateDescriptor("hour", Types.PICKLED_BYTE_ARRAY()))
        self.model = preprocessing.StandardScaler() | linear_model.LogisticRegression()

    def process_element(self, value, context):
        payment = json.loads(value)
        hour = self.hour.value() or deque()
        while hour and hour[0][0] <= payment["at"] - HOUR:
            hour.popleft()
        spent = sum(amount for _, amount in hour)
        features = {
            "amount": payment["amount"],
            "vs_hour": payment["amount"] / (spent + payment["amount"]),
            "lat": payment["lat"],
            "lon": payment["lon"],
            "age_days": payment["age_days"],
            "tries": payment["tries"],
        }
        scores = self.model.predict_proba_one(features)
        hour.append((payment["at"], payment["amount"]))
        self.hour.update(hour)
        yield json.dumps({"id": payment["id"], "features": features, "score": scores[True]})


def main(mode, brokers, topic, out, transactions):
    config = Configuration()
    for name, value in {
        "python.execution-mode": mode,
        "python.fn-execution.bundle.size": "1000",
        "python.fn-execution.bundle.time": "5" if mode == "thread" else "100",
        "execution.checkpointing.interval": "1 s",
        "state.backend.type": "rocksdb",
        "pipeline.object-reuse": "true",
    }.items():
        config.set_string(name, value)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    env.set_parallelism(1)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(brokers)
        .set_topics(topic)
        .set_group_id(transactions)
        .set_property("isolation.level", "read_committed")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(brokers)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(transactions)
        .set_property("transaction.timeout.ms", "900000")
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder().set_topic(out).set_value_serialization_schema(SimpleStringSchema()).build()
        )
        .build()
    )
    events = env.from_source(source, WatermarkStrategy.no_watermarks(), "events")
    keyed = events.key_by(lambda value: json.loads(value)["card"], Types.STRING())
    keyed.process(Score(), Types.STRING()).sink_to(sink)
    env.execute(f"plain {mode}")


if __name__ == "__main__":
    main(*sys.argv[1:])
