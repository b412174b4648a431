package eddyline;

import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.api.java.typeutils.TupleTypeInfo;

/**
 * What travels between operators: its kind, the event's key, the event's id, when (microseconds), its bytes, and its headers:
 * the trace of the event it follows from, and after a bar, where there is one, its place in the order of its shard.
 */
public final class Rec extends Tuple6<Integer, String, String, Long, byte[], String> {
  public static final int EVENT = 0, LABEL = 1, PREDICTION = 2, EXAMPLE = 3, VERSION = 4, ROLLOUT = 5, MEASUREMENT = 6, DEAD = 7;
  /** Never in a topic: a prediction whose truth never came, what an operator asks for, and a timer that fired. */
  public static final int EXPIRED = 8, COMMAND = 9, TIMER = 10;
  /** What was decided, the order in which it was taken, and a measurement that crossed a line, which decide hears of. */
  public static final int DECISION = 11, TAKEN = 12, ALERT = 13;
  /** The time of a record that says none. */
  public static final long NEVER = Long.MIN_VALUE;
  public static final TypeInformation<Rec> TYPE =
      new TupleTypeInfo<>(Rec.class, Types.INT, Types.STRING, Types.STRING, Types.LONG,
          PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO, Types.STRING);

  /** When those before it happened (ms), where it is the first of its partition that a source reads; it does not travel. */
  public transient long[] past;

  public Rec() {}

  public Rec(int kind, String key, String id, long at, byte[] body, String headers) {
    super(kind, key, id, at, body, headers);
  }

  public long millis() { return f3 == NEVER ? Long.MIN_VALUE : Math.floorDiv(f3, 1000L); }
}
