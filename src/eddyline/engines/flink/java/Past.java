package eddyline;

import java.io.Serializable;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import java.util.function.ToLongFunction;
import java.util.stream.LongStream;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * What lies before the first record that a source reads of a partition. Flink keeps no clock over a restart; the topic has what the clock
 * knew. It is read once for each partition and start, by a consumer of no group, where anything lies there.
 */
final class Past implements Serializable {
  static final int MANY = 100;
  private static final Duration ONCE = Duration.ofMillis(200), PATIENCE = Duration.ofSeconds(10);
  private final Properties settings;
  private transient BitSet begun;
  private transient KafkaConsumer<byte[], byte[]> consumer;

  Past(Properties settings) { this.settings = settings; }

  void open(DeserializationSchema.InitializationContext context) {
    begun = new BitSet();
    // A deserializer is not told of its end: the consumer is let go of with the job's classes.
    context.getUserCodeClassLoader().registerReleaseHookIfAbsent("past-" + UUID.randomUUID(), () -> { if (consumer != null) consumer.close(); });
  }

  /** The times (ms) of up to a hundred records before the first one of its partition; null before all others, and where none says a time. */
  long[] before(ConsumerRecord<byte[], byte[]> first, ToLongFunction<ConsumerRecord<byte[], byte[]>> time) {
    if (begun.get(first.partition())) return null;
    begun.set(first.partition());
    if (first.offset() == 0) return null;
    LongStream.Builder times = LongStream.builder();
    TopicPartition partition = new TopicPartition(first.topic(), first.partition());
    KafkaConsumer<byte[], byte[]> reader = reader();
    reader.assign(List.of(partition));
    reader.seek(partition, Math.max(0, first.offset() - MANY));
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (reader.position(partition, PATIENCE) < first.offset() && System.nanoTime() < end) {
      for (ConsumerRecord<byte[], byte[]> one : reader.poll(ONCE)) if (one.offset() < first.offset()) times.add(time.applyAsLong(one));
    }
    long[] found = times.build().filter(at -> at != Long.MIN_VALUE).toArray();
    return found.length == 0 ? null : found;
  }

  private KafkaConsumer<byte[], byte[]> reader() {
    if (consumer == null) {
      Properties ours = new Properties();
      ours.putAll(settings);
      ours.put("isolation.level", "read_committed");
      ours.put("enable.auto.commit", "false");
      ours.put("auto.offset.reset", "earliest"); // retention may have been there
      ours.put("fetch.max.wait.ms", "10"); // else the next partition waits until the broker has waited for more of the last one
      consumer = new KafkaConsumer<>(ours, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
    return consumer;
  }
}
