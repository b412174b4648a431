package eddyline;

import java.time.Duration;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/**
 * The event time of one partition. No record moves it that is dated too far after the newest before it: serve refuses such an event.
 *
 * <p>After a restart it begins where the records before the first one had brought it, so that a wrong year that is read first is compared, too.
 */
public final class Clock extends BoundedOutOfOrdernessWatermarks<Rec> {
  private final long ahead;
  private long newest = Long.MIN_VALUE;

  public Clock(Duration lateness, long ahead) {
    super(lateness);
    this.ahead = ahead;
  }

  @Override public void onEvent(Rec rec, long at, WatermarkOutput output) {
    if (newest == Long.MIN_VALUE && rec != null && rec.past != null) begin(rec.past, output);
    if (at <= newest || (newest != Long.MIN_VALUE && at - newest > ahead)) return;
    newest = at;
    super.onEvent(rec, at, output);
  }

  /** As far as those before had brought it: from the middle one on, in steps that are not too far, so that their wrong years stay outside. */
  private void begin(long[] past, WatermarkOutput output) {
    long[] odd = Arrays.copyOf(past, past.length - 1 | 1); // of two, the first: it was there when the other one was judged
    Arrays.sort(odd);
    newest = odd[odd.length / 2];
    Arrays.sort(past);
    for (long at : past) if (at > newest && at - newest > 0 && at - newest <= ahead) newest = at;
    super.onEvent(null, newest, output);
  }
}
