package eddyline;

import java.io.IOException;
import java.io.Serializable;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
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
    /** Microseconds of a unit, where the time is a number; 0 where it is text. */
    public long unit;
  }

  static final String TRACE = "traceparent", PLACE = "place";
  private static final JsonFactory JSON = new JsonFactory();
  private final int kind;
  private final Fields fields;
  private final Door door;

  /** {@code door} reads what is not JSON; null where the messages are. */
  public Reading(int kind, Fields fields, Door door) {
    this.kind = kind;
    this.fields = fields;
    this.door = door;
  }

  @Override public void open(DeserializationSchema.InitializationContext context) { if (door != null) door.open(context); }

  @Override public TypeInformation<Rec> getProducedType() { return Rec.TYPE; }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Rec> out) {
    byte[] body = record.value() == null ? new byte[0] : record.value();
    if (door != null) body = door.read(body);
    Header trace = record.headers().lastHeader(TRACE);
    boolean ours = kind == Rec.PREDICTION || kind == Rec.DEAD || kind == Rec.EXAMPLE; // a user's place is not ours
    Header place = ours ? record.headers().lastHeader(PLACE) : null;
    String headers = text(trace) + (place == null ? "" : "|" + text(place));
    Rec rec = new Rec(kind, "", "", Rec.NEVER, body, headers);
    if (fields != null) {
      try {
        fill(rec, body);
      } catch (IOException | RuntimeException unreadable) {
        rec.f3 = Rec.NEVER; // Python says what is wrong with it
      }
    }
    out.collect(rec);
  }

  private static String text(Header header) { return header == null ? "" : new String(header.value(), StandardCharsets.US_ASCII); }

  private void fill(Rec rec, byte[] body) throws IOException {
    try (JsonParser parser = JSON.createParser(body)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) return;
      for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
        JsonToken value = parser.nextToken();
        if (name.equals(fields.id)) rec.f2 = parser.getText();
        if (name.equals(fields.key)) rec.f1 = parser.getText();
        if (name.equals(fields.at)) rec.f3 = micros(value, parser.getText());
        if (value.isStructStart()) parser.skipChildren();
      }
    }
  }

  private long micros(JsonToken token, String text) {
    if (token.isNumeric()) return new BigDecimal(text).multiply(BigDecimal.valueOf(fields.unit)).longValue();
    Instant moment;
    String iso = text.replace(' ', 'T');
    int time = iso.indexOf('T');
    boolean offset = time > 0 && (iso.endsWith("Z") || iso.endsWith("z") || iso.indexOf('+', time) > 0 || iso.indexOf('-', time) > 0);
    ZoneId zone = fields.zone.isEmpty() ? ZoneOffset.UTC : ZoneId.of(fields.zone);
    if (offset) moment = OffsetDateTime.parse(iso).toInstant();
    else if (time > 0) moment = LocalDateTime.parse(iso).atZone(zone).toInstant();
    else moment = LocalDate.parse(iso).atStartOfDay(zone).toInstant();
    return Math.addExact(Math.multiplyExact(moment.getEpochSecond(), 1_000_000L), moment.getNano() / 1000);
  }
}
