/*
 * topic_numbers.c
 *		The numbers of partitions of a stream that reads many topics.
 *
 * All that counts partitions, from the buffer to streaming.checkpoints, wants small
 * numbers; those of a topic are, those of several are not one number.  So each
 * partition of each topic gets one, from 0 without gaps, when it is first seen, and
 * keeps it for good: also when the topic is deleted, since positions may be of it.  A
 * topic that is made anew under the name is another one and gets other numbers.
 *
 * Numbers are given under the lock of the stream that numbers of files are given under
 * (directory_files.h), and by the rules of those (source_directory.c): nothing is
 * delivered of a partition before the transaction that has registered it has
 * committed.
 *
 * A row also has the record by which its partition is known again (kafka_marks.c).
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "catalog/catalog_table.h"
#include "source/topic_numbers.h"

typedef enum NumberColumn
{
	COLUMN_STREAM = 1,
	COLUMN_NUMBER,
	COLUMN_TOPIC,
	COLUMN_PARTITION,
	COLUMN_GONE,
	COLUMN_POSITION,
	COLUMN_SENT_MS,
	COLUMN_DIGEST
#define COLUMN_COUNT COLUMN_DIGEST
} NumberColumn;

static const StreamingTableColumn columns[COLUMN_COUNT] = {
	{"stream", REGCLASSOID},
	{"number", INT4OID},
	{"topic", TEXTOID},
	{"partition", INT4OID},
	{"gone", BOOLOID},
	{"position", INT8OID, true},
	{"sent_ms", INT8OID, true},
	{"digest", INT8OID, true},
};

static StreamingTableDef numbers =
{"topic_partitions", COLUMN_COUNT, columns, {{COLUMN_STREAM, COLUMN_NUMBER}}};

static int	by_number(const void *a, const void *b);
static void read_row(const Datum *values, const bool *isnull, StreamingTopicPartition *row);
static void write_row(StreamingTable *table, HeapTuple old, Oid stream,
					  const StreamingTopicPartition *row);

StreamingTopicPartition *
streaming_topic_numbers_read(Oid stream, int *n)
{
	StreamingTopicPartition *rows = palloc(sizeof(StreamingTopicPartition));
	int			allocated = 1;
	StreamingTable table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	*n = 0;
	(void) streaming_table_open(&table, &numbers, AccessShareLock, false);
	streaming_table_key(&table, &key, COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	scan = streaming_table_scan(&table, 0, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		if (*n == allocated)
			rows = repalloc(rows, sizeof(StreamingTopicPartition) * (allocated *= 2));
		streaming_table_read(&table, tuple, values, isnull);
		read_row(values, isnull, &rows[(*n)++]);
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);

	qsort(rows, *n, sizeof(StreamingTopicPartition), by_number);
	for (int i = 0; i < *n; i++)
	{
		if (rows[i].number != i)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("numbers of the partitions of stream with OID %u have gaps", stream)));
	}
	return rows;
}

static void
read_row(const Datum *values, const bool *isnull, StreamingTopicPartition *row)
{
	row->number = DatumGetInt32(values[COLUMN_NUMBER - 1]);
	row->topic = TextDatumGetCString(values[COLUMN_TOPIC - 1]);
	row->gone = DatumGetBool(values[COLUMN_GONE - 1]);
	row->mark.partition = DatumGetInt32(values[COLUMN_PARTITION - 1]);
	row->mark.offset = -1;
	if (isnull[COLUMN_POSITION - 1] || isnull[COLUMN_SENT_MS - 1] || isnull[COLUMN_DIGEST - 1])
		return;
	row->mark.offset = DatumGetInt64(values[COLUMN_POSITION - 1]);
	row->mark.sent_ms = DatumGetInt64(values[COLUMN_SENT_MS - 1]);
	row->mark.digest = DatumGetInt64(values[COLUMN_DIGEST - 1]);
}

static int
by_number(const void *a, const void *b)
{
	int32		x = ((const StreamingTopicPartition *) a)->number;
	int32		y = ((const StreamingTopicPartition *) b)->number;

	return x < y ? -1 : x > y ? 1 : 0;
}

void
streaming_topic_numbers_add(Oid stream, const StreamingTopicPartition *rows, int n)
{
	StreamingTable table;

	(void) streaming_table_open(&table, &numbers, RowExclusiveLock, false);
	for (int i = 0; i < n; i++)
		write_row(&table, NULL, stream, &rows[i]);
	streaming_table_close(&table, NoLock);
	CommandCounterIncrement();
}

void
streaming_topic_numbers_write(Oid stream, const StreamingTopicPartition *rows, int n)
{
	StreamingTable table;

	(void) streaming_table_open(&table, &numbers, RowExclusiveLock, false);
	for (int i = 0; i < n; i++)
	{
		ScanKeyData keys[2];
		SysScanDesc scan;
		HeapTuple	tuple;

		streaming_table_key(&table, &keys[0], COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
							ObjectIdGetDatum(stream));
		streaming_table_key(&table, &keys[1], COLUMN_NUMBER, BTEqualStrategyNumber, F_INT4EQ,
							Int32GetDatum(rows[i].number));
		scan = streaming_table_scan(&table, 0, NULL, 2, keys);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
			write_row(&table, tuple, stream, &rows[i]);
		systable_endscan(scan);
	}
	streaming_table_close(&table, NoLock);
	CommandCounterIncrement();
}

/* old NULL: a new row. */
static void
write_row(StreamingTable *table, HeapTuple old, Oid stream,
		  const StreamingTopicPartition *row)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream);
	values[COLUMN_NUMBER - 1] = Int32GetDatum(row->number);
	values[COLUMN_TOPIC - 1] = CStringGetTextDatum(row->topic);
	values[COLUMN_PARTITION - 1] = Int32GetDatum(row->mark.partition);
	values[COLUMN_GONE - 1] = BoolGetDatum(row->gone);
	values[COLUMN_POSITION - 1] = Int64GetDatum(row->mark.offset);
	values[COLUMN_SENT_MS - 1] = Int64GetDatum(row->mark.sent_ms);
	values[COLUMN_DIGEST - 1] = Int64GetDatum(row->mark.digest);
	if (row->mark.offset < 0)
		isnull[COLUMN_POSITION - 1] = isnull[COLUMN_SENT_MS - 1] = isnull[COLUMN_DIGEST - 1] = true;
	streaming_table_write(table, old, values, isnull);
}

char *
streaming_partition_name(const StreamingStream *stream, int32 partition)
{
	StreamingTopicPartition *rows;
	int			n;

	if (!streaming_stream_is_pattern(stream))
		return psprintf("partition %d of topic \"%s\"", partition, stream->topic);
	rows = streaming_topic_numbers_read(stream->relid, &n);
	if (partition >= n)
		return psprintf("partition number %d", partition);
	return psprintf("partition %d of topic \"%s\"", rows[partition].mark.partition,
					rows[partition].topic);
}

bool
streaming_topic_is_gone(Oid stream, int32 number)
{
	int			n;
	StreamingTopicPartition *rows = streaming_topic_numbers_read(stream, &n);

	return number < n && rows[number].gone;
}
