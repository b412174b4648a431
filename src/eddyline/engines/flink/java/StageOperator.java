package eddyline;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.apache.flink.api.common.typeutils.base.StringSerializer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Histogram;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.metrics.DescriptiveStatisticsHistogram;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedPythonFunctionOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Hosts any stage: one Python object inside the JVM, which is handed batches and gives back batches. What it remembers is in
 * Flink's hands, as `Memory` says.
 */
public final class StageOperator extends AbstractEmbeddedPythonFunctionOperator<Rec>
    implements TwoInputStreamOperator<Rec, Rec, Rec>, BoundedMultiInput, Triggerable<Integer, String> {
  private final byte[] plan;
  private final String stage;
  private final Shards.By by;
  /** The second input is told to every instance (versions, rollouts); else it is partitioned as the first is. */
  private final boolean told;
  /** The stage remembers something about each id. */
  private final boolean remembers;

  private transient String host;
  private transient List<Rec> batch;
  private transient long firstArrived;
  private transient StreamRecord<Rec> reuse;
  private transient Memory memory;
  private transient InternalTimerService<String> timers;
  private transient Histogram latency;
  private transient Counter in, out, dead;
  private transient long watermark;
  /** Nobody partitions this stage, and another instance has its one shard: this one has no records, and nothing to say or to keep. */
  private transient boolean idle;

  public StageOperator(Configuration config, byte[] plan, String stage, Shards.By by, boolean told, boolean remembers) {
    super(config);
    this.plan = plan;
    this.stage = stage;
    this.by = by;
    this.told = told;
    this.remembers = remembers;
  }

  // Life ----------------------------------------------------------------------------------------------------------------

  @Override
  public void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    memory = new Memory(context, (CheckpointableKeyedStateBackend<Integer>) this.<Integer>getKeyedStateBackend());
  }

  @Override
  public void open() throws Exception {
    batch = new ArrayList<>();
    reuse = new StreamRecord<>(null);
    watermark = Long.MIN_VALUE;
    timers = getInternalTimerService("due", StringSerializer.INSTANCE, this);
    MetricGroup group = getMetricGroup().addGroup("eddyline").addGroup("stage", stage);
    in = group.counter("records_in");
    out = group.counter("records_out");
    dead = group.counter("dead_letters");
    latency = group.histogram("batch_latency_us", new DescriptiveStatisticsHistogram(10_000));
    super.open();
  }

  @Override
  public void openPythonInterpreter() {
    host = "_eddyline_" + UUID.randomUUID().toString().replace("-", "");
    int index = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
    int of = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
    idle = by == Shards.By.NOBODY && !memory.holds(0);
    interpreter.set(host + "_plan", plan);
    try {
      interpreter.set(host + "_saved", memory.saved());
    } catch (Exception error) {
      throw new IllegalStateException("the state of " + stage + " could not be read", error);
    }
    interpreter.exec("from eddyline.engines.flink import hosts as _eddyline_hosts");
    interpreter.exec(host + " = _eddyline_hosts.host(\"" + stage + "\", bytes(" + host + "_plan), bytes(" + host + "_saved), "
        + index + ", " + of + ")\ndel " + host + "_plan, " + host + "_saved");
  }

  // Records -------------------------------------------------------------------------------------------------------------

  @Override public void processElement1(StreamRecord<Rec> element) throws Exception { take(element.getValue()); }

  @Override
  public void processElement2(StreamRecord<Rec> element) throws Exception {
    if (!told) { take(element.getValue()); return; }
    invokeFinishBundle();
    Rec rec = element.getValue();
    interpreter.invokeMethod(host, "told", (int) rec.f0, rec.f4);
  }

  /** Which key a record has matters when its id is read, a batch later: setting it here would only be work. */
  @Override public void setKeyContextElement1(@SuppressWarnings("rawtypes") StreamRecord element) {}

  @Override public void setKeyContextElement2(@SuppressWarnings("rawtypes") StreamRecord element) {}

  private void take(Rec rec) throws Exception {
    if (batch.isEmpty()) {
      lastFinishBundleTime = getProcessingTimeService().getCurrentProcessingTime();
      firstArrived = System.nanoTime();
    }
    batch.add(rec);
    elementCount++;
    checkInvokeFinishBundleByCount();
  }

  @Override public void onEventTime(InternalTimer<Integer, String> timer) throws Exception {
    take(new Rec(Rec.TIMER, "", timer.getNamespace(), timer.getTimestamp() * 1000, new byte[0], ""));
  }

  @Override public void onProcessingTime(InternalTimer<Integer, String> timer) {}

  @Override
  protected void invokeFinishBundle() throws Exception {
    elementCount = 0;
    if (batch == null || batch.isEmpty()) return;
    List<Rec> taken = batch;
    batch = new ArrayList<>(taken.size());
    finish((byte[]) interpreter.invokeMethod(host, "step", packed(taken), watermark));
    latency.update((System.nanoTime() - firstArrived) / 1000);
  }

  private record Known(int shard, String id) {}

  /** The batch as bytes, each record with what is remembered about its id: once, at the first of a shard that has this id. */
  private byte[] packed(List<Rec> taken) throws Exception {
    in.inc(taken.size());
    Pack.Writer writer = new Pack.Writer();
    Set<Known> read = new HashSet<>(2 * taken.size());
    writer.array(taken.size());
    for (Rec rec : taken) {
      int shard = rec.f0 == Rec.TIMER ? Shards.of(rec.f2) : by.shard(rec);
      writer.array(8);
      writer.integer(rec.f0);
      writer.integer(shard);
      writer.text(rec.f1);
      writer.text(rec.f2);
      writer.integer(rec.f3);
      writer.bytes(rec.f4);
      writer.text(rec.f5);
      byte[] known = remembers && read.add(new Known(shard, rec.f2)) ? memory.of(shard, rec.f2) : null;
      if (known == null) writer.nil(); else writer.bytes(known);
    }
    return writer.packed();
  }

  /** Takes what a step gave: records, what to remember about ids, and when to be woken about them. */
  private void finish(byte[] answer) throws Exception {
    Pack.Reader reader = new Pack.Reader(answer);
    reader.array();
    emit(reader);
    memory.remember(reader);
    for (int i = reader.array(); i > 0; i--) {
      reader.array();
      setCurrentKey(Shards.name((int) reader.integer()));
      String id = reader.text();
      timers.registerEventTimeTimer(id, reader.integer());
    }
  }

  private void emit(Pack.Reader reader) {
    int many = reader.array();
    out.inc(many);
    for (int i = 0; i < many; i++) {
      reader.array();
      int kind = (int) reader.integer();
      if (kind == Rec.DEAD) dead.inc();
      Rec rec = new Rec(kind, reader.text(), reader.text(), reader.integer(), reader.bytes(), reader.text());
      output.collect(reuse.replace(rec)); // when it happened is in the record: nobody asks Flink
    }
  }

  // Time ----------------------------------------------------------------------------------------------------------------

  /** What came before a watermark is stepped before it: then time can move at once, and no batch sees a time that is not its own. */
  @Override public void processWatermark(Watermark mark) throws Exception {
    invokeFinishBundle();
    watermark = mark.getTimestamp();
    super.processWatermark(mark);
  }

  @Override public void endInput(int input) throws Exception { invokeFinishBundle(); }

  // Checkpoints ---------------------------------------------------------------------------------------------------------

  @Override
  public void prepareSnapshotPreBarrier(long checkpoint) throws Exception {
    super.prepareSnapshotPreBarrier(checkpoint);
    invokeFinishBundle();
    if (!idle) emit(new Pack.Reader((byte[]) interpreter.invokeMethod(host, "before_checkpoint")));
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
    if (idle) { memory.clear(); return; }
    byte[] saved = (byte[]) interpreter.invokeMethod(host, "save");
    memory.save(saved, getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() == 0);
  }

  @Override public void close() throws Exception {
    if (interpreter != null && host != null) interpreter.exec("globals().pop(\"" + host + "\", None)");
    super.close();
  }
}
