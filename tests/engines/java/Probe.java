import eddyline.Clock;
import eddyline.Reading;
import eddyline.Rec;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What Reading and Clock make of what a test sends, line by line: no cluster, the classes of the jar. */
public final class Probe {
  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split("\t", -1);
      System.out.println(words[0].equals("clock") ? clock(words) : read(words));
    }
  }

  /** clock, lateness and how far ahead in milliseconds, times before the first by commas, then times: the watermark after them. */
  private static String clock(String[] words) {
    Clock clock = new Clock(Duration.ofMillis(Long.parseLong(words[1])), Long.parseLong(words[2]));
    Told told = new Told();
    Rec rec = new Rec();
    if (!words[3].isEmpty()) rec.past = Arrays.stream(words[3].split(",")).mapToLong(Long::parseLong).toArray();
    for (int i = 4; i < words.length; i++) clock.onEvent(rec, Long.parseLong(words[i]), told);
    clock.onPeriodicEmit(told);
    return Long.toString(told.mark);
  }

  private static final class Told implements WatermarkOutput {
    private long mark = Long.MIN_VALUE;
    @Override public void emitWatermark(Watermark watermark) { mark = watermark.getTimestamp(); }
    @Override public void markIdle() {}
    @Override public void markActive() {}
  }

  /** read, the names of key and time, unit, zone, default key, the body in hex, and the trace in hex or "null": key, id, time, headers. */
  private static String read(String[] words) {
    Reading.Fields fields = new Reading.Fields();
    fields.id = "id";
    fields.key = words[1];
    fields.at = words[2];
    fields.unit = Long.parseLong(words[3]);
    fields.zone = words[4];
    fields.usual = words[5];
    ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("t", 0, 0, null, HexFormat.of().parseHex(words[6]));
    if (words.length > 7) record.headers().add("traceparent", words[7].equals("null") ? null : HexFormat.of().parseHex(words[7]));
    Rec[] found = new Rec[1];
    new Reading(Rec.EVENT, fields, null, null).deserialize(record, new Collector<>() {
      @Override public void collect(Rec rec) { found[0] = rec; }
      @Override public void close() {}
    });
    Rec rec = found[0];
    return String.join("\t", rec.f1, rec.f2, Long.toString(rec.f3), rec.f5);
  }
}
