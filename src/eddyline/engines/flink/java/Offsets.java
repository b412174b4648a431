package eddyline;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;

/**
 * Where a source begins that has no state yet: where its group stands, else at the beginning.
 *
 * <p>From there on the position is in the state. Where the topic no longer holds it (retention was quicker than the job, or the topic
 * was made again), the job fails and says so: to go on elsewhere would skip what nobody read. {@code skip} goes on there all the same.
 * Where the topic is another one than its group told of, {@code anew}, it begins at the beginning.
 */
final class Offsets implements OffsetsInitializer {
  private final boolean skip, anew;

  Offsets(boolean skip, boolean anew) {
    this.skip = skip;
    this.anew = anew;
  }

  @Override
  public Map<TopicPartition, Long> getPartitionOffsets(Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever) {
    Map<TopicPartition, Long> found = new HashMap<>(retriever.beginningOffsets(partitions));
    if (anew) return found;
    retriever.committedOffsets(partitions).forEach((partition, offset) -> { if (offset != null) found.put(partition, offset); });
    return found;
  }

  @Override public OffsetResetStrategy getAutoOffsetResetStrategy() { return skip ? OffsetResetStrategy.EARLIEST : OffsetResetStrategy.NONE; }
}
