"""What watch is made of: metrics over groups of examples, label coverage and delay, drift, data quality.

Every monitor keeps `split` (a batch of n leaves the same state as n batches of one) and is a function of the
records it was shown, so its state can be replayed (I23). None knows an engine, a
clock or a store.
"""
