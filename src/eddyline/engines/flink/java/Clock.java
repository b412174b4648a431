package eddyline;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/**
 * The event time of one partition. No record moves it that is dated too far after the newest before it: serve refuses such an event.
 *
 * <p>Flink keeps no clock: after each restart there is no newest. So the first record alone moves nothing; time begins with two in a
 * row that agree. Else one wrong year, read first after a restart, would end the wait for every truth.
 */
public final class Clock extends BoundedOutOfOrdernessWatermarks<Rec> {
  private final long ahead;
  private long newest = Long.MIN_VALUE;
  private boolean agreed;

  public Clock(Duration lateness, long ahead) {
    super(lateness);
    this.ahead = ahead;
  }

  @Override public void onEvent(Rec rec, long at, WatermarkOutput output) {
    if (at == Long.MIN_VALUE) return; // it says no time
    if (!agreed && !(agreed = newest != Long.MIN_VALUE && near(at))) {
      newest = at;
      return;
    }
    if (!near(at)) return;
    newest = Math.max(newest, at);
    super.onEvent(rec, newest, output);
  }

  /** Not further after the newest than may be, and before time has begun, not further before it either. */
  private boolean near(long at) {
    long gap = at >= newest ? at - newest : agreed ? 0 : newest - at;
    return gap >= 0 && gap <= ahead; // below zero where the difference is beyond 64 bits
  }
}
