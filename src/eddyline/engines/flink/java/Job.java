package eddyline;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.transformations.TwoInputTransformation;
import org.apache.flink.util.ParameterTool;

/** The loop as a Flink job: events and labels in, nine streams out, the stages between them. What it runs is in one argument. */
public final class Job {
  private final JsonNode spec;
  private final StreamExecutionEnvironment env;
  private final Configuration python = new Configuration();

  private Job(JsonNode spec) {
    this.spec = spec;
    Configuration config = new Configuration();
    spec.get("flink").properties().forEach(entry -> config.setString(entry.getKey(), entry.getValue().asText()));
    env = StreamExecutionEnvironment.getExecutionEnvironment(config);
    if (spec.get("parallelism").asInt() > 0) env.setParallelism(spec.get("parallelism").asInt()); // else the cluster says
    env.setMaxParallelism(Shards.COUNT);
    env.getConfig().setGlobalJobParameters(ParameterTool.fromMap(texts(spec.get("about"))));
    spec.get("python").properties().forEach(entry -> python.setString(entry.getKey(), entry.getValue().asText()));
  }

  public static void main(String[] arguments) throws Exception {
    byte[] json = Base64.getUrlDecoder().decode(arguments[0]);
    Job job = new Job(new ObjectMapper().readTree(json));
    job.build();
    job.env.execute(job.text("name"));
  }

  private void build() {
    Shards.By owner = Shards.By.valueOf(text("serve_by"));
    DataStream<Rec> out = null;
    DataStream<Rec> predictions = null;
    if (runs("serve")) {
      DataStream<Rec> told = source(Rec.VERSION, "versions", null).union(source(Rec.ROLLOUT, "rollouts", null));
      DataStream<Rec> events = timed(Rec.EVENT, "events", owner);
      if (spec.path("per_key").asBoolean()) events = events.union(returned());
      out = stage("serve", events, told, owner, true, true, answering());
      if (runs("learn")) predictions = of(out, Rec.PREDICTION);
    }
    if (runs("learn")) {
      if (predictions == null) predictions = timed(Rec.PREDICTION, "predictions", Shards.By.ID);
      DataStream<Rec> labels = timed(Rec.LABEL, "labels", Shards.By.ID);
      DataStream<Rec> joined = stage("join", predictions, labels, Shards.By.ID, false, true, env.getParallelism());
      DataStream<Rec> examples = joined.filter(rec -> rec.f0 == Rec.EXAMPLE || rec.f0 == Rec.EXPIRED).name("truths");
      DataStream<Rec> commands = source(Rec.COMMAND, "commands", null);
      DataStream<Rec> watched = stage("watch", predictions, examples, Shards.By.NOBODY, false, false, 1);
      DataStream<Rec> taken = spec.get("decides").asBoolean() ? seen(joined, watched, out) : of(examples, Rec.EXAMPLE);
      DataStream<Rec> learned = stage("learn", taken, commands, Shards.By.NOBODY, false, false, 1);
      DataStream<Rec> second = of(joined, Rec.DEAD).union(learned, watched);
      out = out == null ? second : out.union(second);
    }
    out.sinkTo(sink()).name("topics").uid("topics");
  }

  /** What is looked at where somebody decides: answers, each before its truth, alerts, and what could not be answered. */
  private DataStream<Rec> seen(DataStream<Rec> joined, DataStream<Rec> watched, DataStream<Rec> served) {
    DataStream<Rec> refused = served == null ? source(Rec.DEAD, "dead_letters", null) : of(served, Rec.DEAD);
    return joined.filter(rec -> rec.f0 != Rec.DEAD).name("answers and truths").union(of(watched, Rec.ALERT), refused);
  }

  /** How many instances answer; 0 says: as many as the cluster gives a job. */
  private int answering() {
    int told = spec.get("serve_parallelism").asInt();
    return told > 0 ? told : env.getParallelism();
  }

  private boolean runs(String part) { return spec.get("parts").toString().contains("\"" + part + "\""); }

  private static DataStream<Rec> of(DataStream<Rec> stream, int kind) { return stream.filter(rec -> rec.f0 == kind).name("kind " + kind); }

  // Sources and the sink ------------------------------------------------------------------------------------------------

  private KafkaSource<Rec> kafka(int kind, String stream, Reading.Fields fields) {
    String topic = spec.get("topics").get(stream).asText();
    return KafkaSource.<Rec>builder()
        .setBootstrapServers(text("brokers"))
        .setKafkaSubscriber(new SameTopic(topic, spec.path("topic_ids").path(topic).asText(null)))
        .setGroupId(text("name") + "." + stream)
        .setProperties(properties())
        .setProperty("isolation.level", "read_committed")
        .setProperty("partition.discovery.interval.ms", "10000")
        .setStartingOffsets(new Offsets(spec.path("skip_deleted").asBoolean(), spec.path("anew").has(stream)))
        .setDeserializer(new Reading(kind, fields, door(stream), fields == null ? null : past()))
        .build();
  }

  /** What lies before the first record of a partition, for those streams that tell the time. */
  private Past past() {
    Properties settings = properties();
    settings.setProperty("bootstrap.servers", text("brokers"));
    return new Past(settings);
  }

  /** Under which name a source finds its positions in state: one of a topic that was made again has a name of its own, and so none. */
  private String uid(String stream) { return spec.path("anew").has(stream) ? stream + "." + spec.get("anew").get(stream).asText() : stream; }

  /** What decodes the messages of a stream; null where they are JSON. */
  private Door door(String stream) {
    if (!spec.path("decoded").toString().contains("\"" + stream + "\"")) return null;
    return new Door(stream, spec.get("python").get("python.executable").asText(), plan());
  }

  /** What is told as it comes (versions, rollouts, commands); it holds no clock back for longer than it takes to come. */
  private DataStream<Rec> source(int kind, String stream, Reading.Fields fields) {
    WatermarkStrategy<Rec> quiet = WatermarkStrategy.<Rec>noWatermarks().withIdleness(Duration.ofMillis(100));
    return env.fromSource(kafka(kind, stream, fields), quiet, stream, Rec.TYPE).uid(uid(stream)).setParallelism(1);
  }

  /** Examples that come back to where the models of their keys live. They never tell the time: they come of it. */
  private DataStream<Rec> returned() {
    WatermarkStrategy<Rec> silent = WatermarkStrategy.forGenerator(context -> new Silent());
    KafkaSource<Rec> topic = kafka(Rec.EXAMPLE, "examples", null);
    return env.fromSource(topic, silent, "examples", Rec.TYPE).uid(uid("examples")).filter(rec -> rec.f5.indexOf('|') >= 0).name("learned");
  }

  /** A clock that is idle from the first look at it on. */
  private static final class Silent implements WatermarkGenerator<Rec> {
    @Override public void onEvent(Rec rec, long at, WatermarkOutput output) {}
    @Override public void onPeriodicEmit(WatermarkOutput output) { output.markIdle(); }
  }

  /** Events, labels or predictions: they say when they happened, and wait for each other in event time. */
  private DataStream<Rec> timed(int kind, String stream, Shards.By by) {
    JsonNode said = spec.get("fields").get(stream);
    Reading.Fields fields = new Reading.Fields();
    fields.id = said.get("id").asText();
    fields.key = said.get("key").asText();
    fields.usual = said.path("usual").asText("");
    fields.at = said.get("at").asText();
    fields.zone = said.get("zone").asText();
    fields.unit = said.get("unit").asLong();
    long ahead = spec.path("ahead_ms").asLong(Long.MAX_VALUE);
    Duration lateness = Duration.ofMillis(said.get("lateness_ms").asLong());
    WatermarkStrategy<Rec> clock = WatermarkStrategy
        .<Rec>forGenerator(context -> new Clock(lateness, ahead))
        .withTimestampAssigner((rec, written) -> rec.millis()) // never when Kafka wrote it: event time is data
        .withIdleness(Duration.ofMillis(spec.get("idle_ms").asLong()))
        .withWatermarkAlignment(text("name"), Duration.ofMillis(spec.get("drift_ms").asLong()), Duration.ofMillis(200));
    return env.fromSource(kafka(kind, stream, fields), clock, stream, Rec.TYPE).uid(uid(stream));
  }

  private KafkaSink<Rec> sink() {
    Map<Integer, String> topics = new HashMap<>();
    spec.get("sinks").properties().forEach(entry -> topics.put(Integer.parseInt(entry.getKey()), entry.getValue().asText()));
    return KafkaSink.<Rec>builder()
        .setBootstrapServers(text("brokers"))
        .setProperty("batch.size", "131072") // thirty answers fill the 16 kB of the client, and a request costs by itself
        .setKafkaProducerConfig(properties())
        .setProperty("transaction.timeout.ms", text("transaction_timeout_ms"))
        .setProperty("max.request.size", "67108864")
        .setProperty("buffer.memory", "134217728") // a message has to fit: with the client's 32 MB a larger version ends the job
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(text("transactions"))
        .setRecordSerializer(new Writing(topics))
        .build();
  }

  private Properties properties() {
    Properties properties = new Properties();
    properties.putAll(texts(spec.get("kafka")));
    return properties;
  }

  // Stages --------------------------------------------------------------------------------------------------------------

  private DataStream<Rec> stage(
      String stage, DataStream<Rec> first, DataStream<Rec> second, Shards.By by, boolean told, boolean remembers, int parallelism) {
    StageOperator operator = new StageOperator(python, plan(), stage, by, told, remembers);
    Transformation<Rec> one = first.keyBy(by, Types.INT).getTransformation();
    Transformation<Rec> two = (told ? second.broadcast() : second.keyBy(by, Types.INT)).getTransformation();
    TwoInputTransformation<Rec, Rec, Rec> made = new TwoInputTransformation<>(one, two, stage, operator, Rec.TYPE, parallelism);
    made.setStateKeySelectors(by, told ? null : by);
    made.setStateKeyType(Types.INT);
    made.setUid(stage);
    env.addOperator(made);
    return new DataStream<>(env, made);
  }

  private byte[] plan() { return spec.get("plan").toString().getBytes(StandardCharsets.UTF_8); }

  private String text(String name) { return spec.get(name).asText(); }

  private static Map<String, String> texts(JsonNode node) {
    Map<String, String> texts = new HashMap<>();
    node.properties().forEach(entry -> texts.put(entry.getKey(), entry.getValue().asText()));
    return texts;
  }
}
