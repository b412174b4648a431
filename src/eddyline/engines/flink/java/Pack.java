package eddyline;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The little of MessagePack that crosses between Java and Python: arrays, integers, text, bytes and nil. */
final class Pack {
  private Pack() {}

  static final class Writer {
    private byte[] bytes = new byte[1 << 16];
    private int size;

    private void room(int more) {
      if (size + more > bytes.length) bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, size + more));
    }

    private void head(int code, int width, long value) {
      room(1 + width);
      bytes[size++] = (byte) code;
      for (int i = width - 1; i >= 0; i--) bytes[size++] = (byte) (value >>> (8 * i));
    }

    private void raw(byte[] given) {
      room(given.length);
      System.arraycopy(given, 0, bytes, size, given.length);
      size += given.length;
    }

    void array(int length) { if (length < 16) head(0x90 | length, 0, 0); else head(0xdd, 4, length); }

    void integer(long value) { if (value >= 0 && value < 128) head((int) value, 0, 0); else head(0xd3, 8, value); }

    void nil() { head(0xc0, 0, 0); }

    void text(String text) {
      byte[] given = text.getBytes(StandardCharsets.UTF_8);
      if (given.length < 32) head(0xa0 | given.length, 0, 0); else head(0xdb, 4, given.length);
      raw(given);
    }

    void bytes(byte[] given) { head(0xc6, 4, given.length); raw(given); }

    byte[] packed() { return Arrays.copyOf(bytes, size); }
  }

  static final class Reader {
    private final ByteBuffer in;

    Reader(byte[] packed) { in = ByteBuffer.wrap(packed); }

    int array() {
      int code = in.get() & 0xff;
      if ((code & 0xf0) == 0x90) return code & 0x0f;
      return code == 0xdc ? in.getShort() & 0xffff : expect(code == 0xdd, code, in.getInt());
    }

    long integer() {
      int code = in.get() & 0xff;
      if (code < 0x80) return code;
      if (code >= 0xe0) return (byte) code;
      switch (code) {
        case 0xcc: return in.get() & 0xff;
        case 0xcd: return in.getShort() & 0xffff;
        case 0xce: return in.getInt() & 0xffffffffL;
        case 0xcf: case 0xd3: return in.getLong();
        case 0xd0: return in.get();
        case 0xd1: return in.getShort();
        case 0xd2: return in.getInt();
        default: throw new IllegalStateException("an integer was expected, found code " + code);
      }
    }

    String text() {
      int code = in.get() & 0xff;
      int size = (code & 0xe0) == 0xa0 ? code & 0x1f
          : code == 0xd9 ? in.get() & 0xff : code == 0xda ? in.getShort() & 0xffff : expect(code == 0xdb, code, in.getInt());
      String text = new String(in.array(), in.position(), size, StandardCharsets.UTF_8);
      in.position(in.position() + size);
      return text;
    }

    /** Bytes, or null for nil. */
    byte[] bytes() {
      int code = in.get() & 0xff;
      if (code == 0xc0) return null;
      int size = code == 0xc4 ? in.get() & 0xff : code == 0xc5 ? in.getShort() & 0xffff : expect(code == 0xc6, code, in.getInt());
      byte[] bytes = new byte[size];
      in.get(bytes);
      return bytes;
    }

    private static int expect(boolean right, int code, int value) {
      if (!right) throw new IllegalStateException("MessagePack that a stage may not return, code " + code);
      return value;
    }
  }
}
