package eddyline;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A Rec as a Kafka record: in the topic of its kind, keyed so that what belongs together stays in order. */
public final class Writing implements KafkaRecordSerializationSchema<Rec> {
  private final Map<Integer, String> topics;

  public Writing(Map<Integer, String> topics) { this.topics = topics; }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(Rec rec, KafkaSinkContext context, Long timestamp) {
    String key = rec.f0 == Rec.PREDICTION && !rec.f1.isEmpty() ? rec.f1 : rec.f2;
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(topics.get(rec.f0), null, null, key.getBytes(StandardCharsets.UTF_8), rec.f4);
    if (!rec.f5.isEmpty()) record.headers().add("traceparent", rec.f5.getBytes(StandardCharsets.US_ASCII));
    return record;
  }
}
