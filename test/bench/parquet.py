#!/usr/bin/env python3
#
# test/bench/parquet.py write FILE ROWS: a Parquet file of 20 columns, k (1,000 different),
# a, d and 17 that nobody reads.
# test/bench/parquet.py read FILE: reads k, a and d with one thread, and prints the seconds
# of CPU that this takes.

import resource
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def integers(rows, below, seed):
    return pc.floor(pc.multiply(pc.random(rows, initializer=seed), float(below))).cast(pa.int64())


def write(path, rows):
    with pq.ParquetWriter(path, batch(1, 0).schema, compression='snappy') as writer:
        for begin in range(0, rows, 1 << 17):
            writer.write_table(batch(min(1 << 17, rows - begin), begin))


def batch(rows, seed):
    columns = {'k': integers(rows, 1000, seed).cast(pa.int32()), 'a': integers(rows, 10**9, seed + 1), 'd': pc.random(rows, initializer=seed + 2)}
    for i in range(14):
        columns[f'i{i}'] = integers(rows, 10**6, seed + 3 + i)
    for i in range(3):
        columns[f's{i}'] = pc.binary_join_element_wise('word', integers(rows, 5000, seed + 17 + i).cast(pa.string()), '-')
    return pa.table(columns)


def read(path):
    before = resource.getrusage(resource.RUSAGE_SELF)
    for group in pq.ParquetFile(path).iter_batches(columns=['k', 'a', 'd'], batch_size=2048, use_threads=False):
        pass
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


if sys.argv[1] == 'write':
    write(sys.argv[2], int(sys.argv[3]))
else:
    read(sys.argv[2])
