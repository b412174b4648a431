package eddyline;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.flink.connector.kafka.source.enumerator.subscriber.KafkaSubscriber;
import org.apache.flink.util.FlinkRuntimeException;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicPartition;

/**
 * The partitions of a topic, as long as it is the one that the positions belong to: a broker gives each topic an id when it is made.
 *
 * <p>Flink asks when a source starts, and every ten seconds while it runs. Kafka's client reads on in a topic that was made again, at the
 * position that it had in the old one, and says nothing. Where no id was told, the first one seen counts while the JobManager lives.
 */
final class SameTopic implements KafkaSubscriber {
  private final String topic;
  private String id;

  SameTopic(String topic, String id) {
    this.topic = topic;
    this.id = id;
  }

  @Override
  public synchronized Set<TopicPartition> getSubscribedTopicPartitions(AdminClient admin) {
    TopicDescription seen = described(admin);
    String found = seen.topicId().toString();
    if (id == null) id = found;
    if (!id.equals(found)) {
      throw new FlinkRuntimeException("topic " + topic + " is not the one that this job was reading (its id was " + id + ", now it is "
          + found + "): it was deleted and made again, and positions in the old one mean nothing in it\n"
          + "go on with what it holds, from its beginning, once the job has ended (eddyline flink stop NAME --no-savepoint): "
          + "eddyline flink submit FILE --savepoint latest --skip-deleted");
    }
    Set<TopicPartition> partitions = new HashSet<>();
    seen.partitions().forEach(one -> partitions.add(new TopicPartition(topic, one.partition())));
    return partitions;
  }

  private TopicDescription described(AdminClient admin) {
    try {
      return admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new FlinkRuntimeException("nobody waited for what the broker says of topic " + topic, interrupted);
    } catch (ExecutionException refused) {
      throw new FlinkRuntimeException("the broker does not say what topic " + topic + " is", refused);
    }
  }
}
