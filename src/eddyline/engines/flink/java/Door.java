package eddyline;

import java.io.Serializable;
import java.util.UUID;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import pemja.core.PythonInterpreter;
import pemja.core.PythonInterpreterConfig;

/**
 * The codec door: what a message says as JSON, by the pipeline's own codec in Python. A source that reads Avro or Protobuf has one for
 * each of its instances, in the thread that reads. One that reads JSON has none.
 */
final class Door implements Serializable {
  private final String stream, executable;
  private final byte[] plan;
  private transient PythonInterpreter interpreter;
  private transient String reader;

  Door(String stream, String executable, byte[] plan) {
    this.stream = stream;
    this.executable = executable;
    this.plan = plan;
  }

  void open(DeserializationSchema.InitializationContext context) {
    reader = "_eddyline_" + UUID.randomUUID().toString().replace("-", "");
    PythonInterpreter made = new PythonInterpreter(PythonInterpreterConfig.newBuilder()
        .setPythonExec(executable)
        .setExcType(PythonInterpreterConfig.ExecType.MULTI_THREAD)
        .build());
    interpreter = made;
    made.set(reader + "_plan", plan);
    made.exec("from eddyline.engines.flink import reading as _eddyline_reading");
    made.exec(reader + " = _eddyline_reading.reader(\"" + stream + "\", bytes(" + reader + "_plan))\ndel " + reader + "_plan");
    // A deserializer is not told of its end: the interpreter is let go of with the job's classes.
    context.getUserCodeClassLoader().registerReleaseHookIfAbsent(reader, made::close);
  }

  /** JSON, or bytes that begin with 0 and tell a stage why there is none. */
  byte[] read(byte[] value) { return (byte[]) interpreter.invokeMethod(reader, "read", (Object) value); }
}
