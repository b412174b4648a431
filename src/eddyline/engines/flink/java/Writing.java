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
    int bar = rec.f5.indexOf('|');
    String trace = bar < 0 ? rec.f5 : rec.f5.substring(0, bar);
    if (!trace.isEmpty()) record.headers().add(Reading.TRACE, trace.getBytes(StandardCharsets.US_ASCII));
    if (bar >= 0) record.headers().add(Reading.PLACE, rec.f5.substring(bar + 1).getBytes(StandardCharsets.US_ASCII));
    return record;
  }
}
