package eddyline;

import java.io.IOException;
import java.io.Serializable;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * A Kafka record as a Rec: which id and key it names, and when it happened, so that Flink can partition it and keep time.
 *
 * <p>Whether the record is right is judged in Python, which reads the same bytes with the pipeline's own types. What cannot be read
 * here goes there without a key and is refused there, in words.
 */
public final class Reading implements KafkaRecordDeserializationSchema<Rec> {
  /** Which top-level fields name the id, the key and the time of a record, and what a number or a zoneless time means. */
  public static final class Fields implements Serializable {
    public String id = "", key = "", at = "", zone = "";
    /** The key of a record that leaves it out: the default of the user's class. Both ways to say it are in one shard. */
    public String usual = "";
    /** Microseconds of a unit, where the time is a number; 0 where it is text. */
    public long unit;
  }

  static final String TRACE = "traceparent", PLACE = "place";
  private static final int LONGEST_TRACE = 256;
  private static final JsonFactory JSON = new JsonFactory();
  private final int kind;
  private final Fields fields;
  private final Door door;
  private final Past past;

  /** {@code door} reads what is not JSON; null where the messages are. {@code past} is null where a stream tells no time. */
  public Reading(int kind, Fields fields, Door door, Past past) {
    this.kind = kind;
    this.fields = fields;
    this.door = door;
    this.past = past;
  }

  @Override public void open(DeserializationSchema.InitializationContext context) {
    if (door != null) door.open(context);
    if (past != null) past.open(context);
  }

  @Override public TypeInformation<Rec> getProducedType() { return Rec.TYPE; }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Rec> out) {
    Rec rec = read(record);
    if (past != null) rec.past = past.before(record, one -> read(one).millis());
    out.collect(rec);
  }

  private Rec read(ConsumerRecord<byte[], byte[]> record) {
    byte[] body = record.value() == null ? new byte[0] : record.value();
    if (door != null) body = door.read(body);
    Header trace = record.headers().lastHeader(TRACE);
    boolean ours = kind == Rec.PREDICTION || kind == Rec.DEAD || kind == Rec.EXAMPLE; // a user's place is not ours
    Header place = ours ? record.headers().lastHeader(PLACE) : null;
    String headers = traced(trace) + (place == null ? "" : "|" + text(place));
    Rec rec = new Rec(kind, "", "", Rec.NEVER, body, headers);
    if (fields != null) {
      try {
        fill(rec, body);
      } catch (IOException | RuntimeException unreadable) {
        rec.f3 = Rec.NEVER; // Python says what is wrong with it
      }
    }
    return rec;
  }

  private static String text(Header header) {
    return header == null || header.value() == null ? "" : new String(header.value(), StandardCharsets.US_ASCII);
  }

  /** A trace as its producer wrote it. One with a bar in it is none: what is behind a bar is ours, and would be taken for a place. */
  private static String traced(Header header) {
    String trace = text(header);
    if (trace.indexOf('|') >= 0) return "";
    return trace.length() <= LONGEST_TRACE ? trace : trace.substring(0, LONGEST_TRACE);
  }

  private void fill(Rec rec, byte[] body) throws IOException {
    rec.f1 = fields.usual;
    try (JsonParser parser = JSON.createParser(body)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) return;
      for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
        JsonToken value = parser.nextToken();
        if (name.equals(fields.id)) rec.f2 = named(value, parser.getText());
        if (name.equals(fields.key)) rec.f1 = value == JsonToken.VALUE_NULL ? "" : named(value, parser.getText());
        if (name.equals(fields.at)) rec.f3 = micros(value, parser.getText());
        if (value.isStructStart()) parser.skipChildren();
      }
    }
  }

  /** A name as Python reads it: there is one whole number zero. */
  private static String named(JsonToken token, String text) { return token == JsonToken.VALUE_NUMBER_INT && text.equals("-0") ? "0" : text; }

  /** Whatever the user's class takes for a time, as msgspec reads it: RFC 3339, with the offsets that Python's strftime writes, too. */
  private long micros(JsonToken token, String text) {
    if (token.isNumeric()) return new BigDecimal(text).multiply(BigDecimal.valueOf(fields.unit)).longValue();
    String iso = text.replace(' ', 'T').replace('t', 'T');
    int time = iso.indexOf('T'), sign = time < 0 ? -1 : Math.max(iso.indexOf('+', time), iso.indexOf('-', time));
    boolean utc = iso.endsWith("Z") || iso.endsWith("z");
    if (time < 0) return micros(LocalDate.parse(iso).atStartOfDay(zone()).toInstant());
    LocalDateTime local = LocalDateTime.parse(utc ? iso.substring(0, iso.length() - 1) : sign > 0 ? iso.substring(0, sign) : iso);
    if (utc) return micros(local.toInstant(ZoneOffset.UTC));
    return micros(sign > 0 ? local.toInstant(ZoneOffset.UTC).minusSeconds(seconds(iso.substring(sign))) : local.atZone(zone()).toInstant());
  }

  private ZoneId zone() { return fields.zone.isEmpty() ? ZoneOffset.UTC : ZoneId.of(fields.zone); }

  private static long micros(Instant moment) {
    return Math.addExact(Math.multiplyExact(moment.getEpochSecond(), 1_000_000L), moment.getNano() / 1000);
  }

  /** An offset such as +01:00 or +0100, up to the 23:59 that Python has and Java's own ZoneOffset has not. */
  private static int seconds(String offset) {
    String digits = offset.substring(1).replace(":", "");
    int seconds = 3600 * Integer.parseInt(digits.substring(0, 2)) + 60 * Integer.parseInt(digits.substring(2));
    return offset.charAt(0) == '-' ? -seconds : seconds;
  }
}
