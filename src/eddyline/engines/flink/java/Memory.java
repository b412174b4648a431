package eddyline;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.StateInitializationContext;

/**
 * A stage's memory in Flink's hands, in three ways. What it says about an id (MapState) is read before a batch and written after
 * it, so it may outgrow memory. What it keeps in Python by shard (ValueState) is asked for before each checkpoint, only where it
 * changed. What was told to all (list state) is told again after a restart. All three follow their key group.
 */
final class Memory {
  private final CheckpointableKeyedStateBackend<Integer> keyed;
  private final MapState<String, byte[]> ids;
  private final ValueState<byte[]> shards;
  private final ListState<byte[]> told;

  Memory(StateInitializationContext context, CheckpointableKeyedStateBackend<Integer> keyed) throws Exception {
    PrimitiveArrayTypeInfo<byte[]> bytes = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    this.keyed = keyed;
    ids = context.getKeyedStateStore().getMapState(new MapStateDescriptor<>("ids", Types.STRING, bytes));
    shards = context.getKeyedStateStore().getState(new ValueStateDescriptor<>("shard", bytes));
    told = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("told", bytes));
  }

  /** Whether a shard is kept by this instance. */
  boolean holds(int shard) { return keyed.getKeyGroupRange().contains(shard); }

  /** What is known of an id; null where nothing is. */
  byte[] of(int shard, String id) throws Exception {
    at(shard);
    return ids.get(id);
  }

  /** Takes what a step said about ids; null says that one is to be forgotten. */
  void remember(Pack.Reader reader) throws Exception {
    for (int i = reader.array(); i > 0; i--) {
      reader.array();
      at((int) reader.integer());
      String id = reader.text();
      byte[] state = reader.bytes();
      if (state == null) ids.remove(id); else ids.put(id, state);
    }
  }

  /** All that a stage in Python begins with: its shards, and what was told to all. */
  byte[] saved() throws Exception {
    List<Object[]> found = new ArrayList<>();
    for (int shard : keyed.getKeyGroupRange()) {
      at(shard);
      byte[] state = shards.value();
      if (state != null) found.add(new Object[] {shard, state});
    }
    Pack.Writer writer = new Pack.Writer();
    writer.array(2);
    writer.array(found.size());
    for (Object[] one : found) { writer.array(2); writer.integer((int) one[0]); writer.bytes((byte[]) one[1]); }
    List<byte[]> again = new ArrayList<>();
    for (byte[] one : told.get()) again.add(one);
    writer.array(again.size());
    for (byte[] one : again) writer.bytes(one);
    return writer.packed();
  }

  /** Takes what a stage saved: the shards that changed, and, where this is the `first` instance, what is to be told again. */
  void save(byte[] packed, boolean first) throws Exception {
    Pack.Reader reader = new Pack.Reader(packed);
    reader.array();
    for (int i = reader.array(); i > 0; i--) {
      reader.array();
      at((int) reader.integer());
      byte[] state = reader.bytes();
      if (state == null) shards.clear(); else shards.update(state);
    }
    List<byte[]> tell = new ArrayList<>();
    for (int i = reader.array(); i > 0; i--) tell.add(reader.bytes());
    told.update(first ? tell : new ArrayList<>());
  }

  /** An instance that has nothing to keep tells nothing again. */
  void clear() throws Exception { told.update(new ArrayList<>()); }

  private void at(int shard) { keyed.setCurrentKey(Shards.name(shard)); }
}
