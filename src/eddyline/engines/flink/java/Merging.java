package eddyline;

import java.util.Collection;
import org.apache.flink.state.rocksdb.RocksDBOptionsFactory;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;

/**
 * How many files RocksDB lets lie before it merges. Each checkpoint adds one, and with the usual four the newest is written again
 * with nearly every one: what a checkpoint writes then grows with the state. A look-up asks as many Bloom filters more.
 */
public final class Merging implements RocksDBOptionsFactory {
  private static final int FILES = 16;

  @Override public DBOptions createDBOptions(DBOptions options, Collection<AutoCloseable> opened) { return options; }

  @Override public ColumnFamilyOptions createColumnOptions(ColumnFamilyOptions options, Collection<AutoCloseable> opened) {
    return options.setLevel0FileNumCompactionTrigger(FILES);
  }
}
