package eddyline;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/**
 * The event time of one partition. No record moves it that is dated too far after the newest before it: serve refuses such an event.
 */
public final class Clock extends BoundedOutOfOrdernessWatermarks<Rec> {
  private final long ahead;
  private long newest = Long.MIN_VALUE;

  public Clock(Duration lateness, long ahead) {
    super(lateness);
    this.ahead = ahead;
  }

  @Override public void onEvent(Rec rec, long at, WatermarkOutput output) {
    if (at <= newest || (newest != Long.MIN_VALUE && at - newest > ahead)) return;
    newest = at;
    super.onEvent(rec, at, output);
  }
}
