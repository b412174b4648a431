package eddyline;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;

/**
 * The 128 shards that a stage's memory is cut into, as Flink's key groups. A key is in the same shard in Python (crc32 % 128) and
 * here; Flink is given, for each shard, a number that its own hash puts into the key group of that name.
 */
public final class Shards {
  public static final int COUNT = 128;
  private static final int[] NAMES = new int[COUNT];

  static {
    for (int name = 0, found = 0; found < COUNT; name++) {
      int group = KeyGroupRangeAssignment.assignToKeyGroup(name, COUNT);
      if (NAMES[group] == 0 && name != 0) { NAMES[group] = name; found++; }
    }
  }

  private Shards() {}

  /** The number under which Flink keeps a shard. */
  public static int name(int shard) { return NAMES[shard]; }

  public static int of(String owner) {
    CRC32 crc = new CRC32();
    crc.update(owner.getBytes(StandardCharsets.UTF_8));
    return (int) (crc.getValue() % COUNT);
  }

  /** The shard that an example goes back to, which its place ("trace|shard.before.saw") names. */
  private static int named(String headers) {
    int start = headers.indexOf('|') + 1;
    return Integer.parseInt(headers.substring(start, headers.indexOf('.', start)));
  }

  /** By whom a stream is partitioned: the event's key, its id, or nobody (all in one shard). */
  public enum By implements KeySelector<Rec, Integer> {
    KEY, ID, NOBODY;

    public int shard(Rec rec) { return this == KEY ? (rec.f0 == Rec.EXAMPLE ? named(rec.f5) : of(rec.f1)) : this == ID ? of(rec.f2) : 0; }

    @Override public Integer getKey(Rec rec) { return Shards.name(shard(rec)); }
  }
}
