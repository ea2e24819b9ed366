/*
 * kafka_identity.c
 *		Which topic a Kafka stream reads, whatever it is called.
 *
 * Offsets mean nothing in another topic.  Another one it is when the option "topic"
 * or the server is altered, when the topic is deleted and made again, and when the
 * brokers have lost the end of it.  So each topic that a stream has read has a number,
 * its incarnation, and positions in streaming.checkpoints have the number of the
 * topic that they are of.  streaming_internal.topics has what each is known by: its marks
 * (kafka_marks.c) and a row with partition -1 for its name.
 *
 * The topic is the one of a number if it has the marks of that number; also a copy
 * of a topic, offsets included, may take its place.  If all marks are gone, by
 * retention or compaction, it is taken for the one that was read last, if the name
 * is still the same.
 *
 * Whoever reads the source with a checkpoint in mind asks first: the ingest
 * worker, a view that catches up, a drain.  Numbers are given under the lock of the
 * stream that numbers of files are given under (directory_files.h).
 */
#include "postgres.h"

#include "streaming.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "catalog/catalog_table.h"
#include "catalog/checkpoint.h"
#include "source/directory_files.h"
#include "source/kafka_identity.h"
#include "source/kafka_topic.h"

/* Partition of the row that has the name of a topic. */
#define NAME_ROW	(-1)

typedef enum TopicColumn
{
	COLUMN_STREAM = 1,
	COLUMN_INCARNATION,
	COLUMN_PARTITION,
	COLUMN_TOPIC,
	COLUMN_POSITION,
	COLUMN_SENT_MS,
	COLUMN_DIGEST
#define COLUMN_COUNT COLUMN_DIGEST
} TopicColumn;

static const StreamingTableColumn columns[COLUMN_COUNT] = {
	{"stream", REGCLASSOID},
	{"incarnation", INT8OID},
	{"partition", INT4OID},
	{"topic", TEXTOID},
	{"position", INT8OID},
	{"sent_ms", INT8OID},
	{"digest", INT8OID},
};

static StreamingTableDef topics =
{"topics", COLUMN_COUNT, columns, {{COLUMN_STREAM, COLUMN_INCARNATION}}};

/* A topic that the stream has read. */
typedef struct KnownTopic
{
	int64		incarnation;
	char	   *topic;			/* its name, then */
	StreamingKafkaMarks marks;
} KnownTopic;

static List *known_topics(Oid stream);
static int	by_partition(const void *a, const void *b);
static int	newest_first(const ListCell *a, const ListCell *b);
static void write_marks(StreamingStream *stream, int64 incarnation,
						const StreamingKafkaMarks *marks);
static void write_mark(StreamingTable *table, HeapTuple old, StreamingStream *stream,
					   int64 incarnation, const StreamingKafkaMark *mark);
static int64 new_incarnation(StreamingStream *stream, List *known,
							 const StreamingKafkaMarks *marks);
static void forget_unread(Oid stream);
static bool same_marks(const StreamingKafkaMarks *a, const StreamingKafkaMarks *b);
pg_noreturn static void report_locked(StreamingStream *stream);
pg_noreturn static void report_silence(StreamingKafka *client, StreamingStream *stream,
									   int timeout);

int64
streaming_topic_identify(StreamingKafka *client, StreamingStream *stream, int timeout,
						 bool may_write, StreamingKafkaMarks *marks)
{
	StreamingKafkaMarks none = {0};
	List	   *known = known_topics(stream->relid);
	ListCell   *lc;

	foreach(lc, known)
	{
		KnownTopic *topic = lfirst(lc);
		StreamingKafkaLikeness likeness;

		if (topic->topic[0] == '^')
			continue;			/* many, by a pattern */
		likeness = streaming_kafka_compare(client, stream, timeout, &topic->marks, marks);
		if (likeness == STREAMING_TOPIC_SILENT)
			report_silence(client, stream, timeout);
		if (likeness == STREAMING_TOPIC_OTHER ||
			(likeness == STREAMING_TOPIC_UNTOLD &&
			 (topic != linitial(known) || strcmp(topic->topic, stream->topic) != 0)))
			continue;
		if (may_write && !same_marks(&topic->marks, marks) &&
			streaming_files_lock(stream->relid, 0))
			write_marks(stream, topic->incarnation, marks);
		return topic->incarnation;
	}

	*marks = none;
	if (!may_write)
		return 0;
	if (!streaming_files_lock(stream->relid, timeout))
		report_locked(stream);
	if (list_length(known_topics(stream->relid)) != list_length(known))
		return streaming_topic_identify(client, stream, timeout, may_write, marks);
	if (streaming_kafka_compare(client, stream, timeout, &none, marks) == STREAMING_TOPIC_SILENT)
		report_silence(client, stream, timeout);
	return new_incarnation(stream, known, marks);
}

int64
streaming_pattern_identify(StreamingStream *stream, int timeout, bool may_write)
{
	StreamingKafkaMarks none = {0};
	List	   *known = known_topics(stream->relid);
	ListCell   *lc;

	foreach(lc, known)
	{
		KnownTopic *topic = lfirst(lc);

		if (topic->topic[0] == '^')
			return topic->incarnation;
	}
	if (!may_write)
		return 0;
	if (!streaming_files_lock(stream->relid, timeout))
		report_locked(stream);
	if (list_length(known_topics(stream->relid)) != list_length(known))
		return streaming_pattern_identify(stream, timeout, may_write);
	return new_incarnation(stream, known, &none);
}

bool
streaming_topic_verify(StreamingKafka *client, StreamingStream *stream, int timeout,
					   bool may_write, int64 incarnation, StreamingKafkaMarks *marks)
{
	StreamingKafkaMarks fresh;

	switch (streaming_kafka_compare(client, stream, timeout, marks, &fresh))
	{
		case STREAMING_TOPIC_SILENT:
			return false;
		case STREAMING_TOPIC_OTHER:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("topic \"%s\" of stream %s is not the one that was read before",
							stream->topic, stream->name),
					 errdetail("It was created anew, or the brokers have lost messages.")));
		case STREAMING_TOPIC_SAME:
		case STREAMING_TOPIC_UNTOLD:
			break;
	}
	if (same_marks(marks, &fresh))
		pfree(fresh.marks);
	else
	{
		if (may_write && streaming_files_lock(stream->relid, 0))
			write_marks(stream, incarnation, &fresh);
		*marks = fresh;
	}
	return true;
}

void
streaming_topic_report(StreamingStream *stream, int64 was)
{
	const char *name = stream->topic;
	ListCell   *lc;

	foreach(lc, known_topics(stream->relid))
	{
		KnownTopic *topic = lfirst(lc);

		if (topic->incarnation == was)
			name = topic->topic;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("topic \"%s\" of stream %s is not the one that the view has read",
					stream->topic, stream->name),
			 strcmp(name, stream->topic) != 0 ?
			 errdetail("The view has read topic \"%s\".", name) :
			 errdetail("A topic of this name was created anew, the stream's server leads to other brokers, or the brokers have lost messages."),
			 errhint("Call streaming.reset() to begin the view again with this topic, where its option \"start\" says; or let the stream read the former topic again, with ALTER FOREIGN TABLE or ALTER SERVER.")));
}

/* Of KnownTopic, the newest first. */
static List *
known_topics(Oid stream)
{
	StreamingTable table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *known = NIL;
	ListCell   *lc;

	(void) streaming_table_open(&table, &topics, AccessShareLock, false);
	streaming_table_key(&table, &key, COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	scan = streaming_table_scan(&table, 0, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		KnownTopic *topic = NULL;
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];
		int64		incarnation;
		StreamingKafkaMark mark;

		streaming_table_read(&table, tuple, values, isnull);
		incarnation = DatumGetInt64(values[COLUMN_INCARNATION - 1]);
		foreach(lc, known)
		{
			if (((KnownTopic *) lfirst(lc))->incarnation == incarnation)
				topic = lfirst(lc);
		}
		if (topic == NULL)
		{
			topic = palloc0(sizeof(KnownTopic));
			topic->incarnation = incarnation;
			topic->topic = TextDatumGetCString(values[COLUMN_TOPIC - 1]);
			topic->marks.marks = palloc(sizeof(StreamingKafkaMark));
			known = lappend(known, topic);
		}
		mark.partition = DatumGetInt32(values[COLUMN_PARTITION - 1]);
		mark.offset = DatumGetInt64(values[COLUMN_POSITION - 1]);
		mark.sent_ms = DatumGetInt64(values[COLUMN_SENT_MS - 1]);
		mark.digest = DatumGetInt64(values[COLUMN_DIGEST - 1]);
		if (mark.partition < 0)
			continue;
		topic->marks.marks = repalloc(topic->marks.marks,
									  sizeof(StreamingKafkaMark) * (topic->marks.n + 1));
		topic->marks.marks[topic->marks.n++] = mark;
	}
	systable_endscan(scan);
	streaming_table_close(&table, AccessShareLock);

	foreach(lc, known)
	{
		KnownTopic *topic = lfirst(lc);

		qsort(topic->marks.marks, topic->marks.n, sizeof(StreamingKafkaMark), by_partition);
	}
	list_sort(known, newest_first);
	return known;
}

static int
by_partition(const void *a, const void *b)
{
	int32		x = ((const StreamingKafkaMark *) a)->partition;
	int32		y = ((const StreamingKafkaMark *) b)->partition;

	return x < y ? -1 : x > y ? 1 : 0;
}

static int
newest_first(const ListCell *a, const ListCell *b)
{
	int64		x = ((const KnownTopic *) lfirst(a))->incarnation;
	int64		y = ((const KnownTopic *) lfirst(b))->incarnation;

	return x > y ? -1 : x < y ? 1 : 0;
}

static bool
same_marks(const StreamingKafkaMarks *a, const StreamingKafkaMarks *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		if (a->marks[i].partition != b->marks[i].partition ||
			a->marks[i].offset != b->marks[i].offset)
			return false;
	}
	return true;
}

/* Replaces those that there are; a partition that has none now keeps its own. */
static void
write_marks(StreamingStream *stream, int64 incarnation, const StreamingKafkaMarks *marks)
{
	bool	   *found = palloc0(sizeof(bool) * (marks->n + 1));
	StreamingTable table;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	(void) streaming_table_open(&table, &topics, RowExclusiveLock, false);
	streaming_table_key(&table, &keys[0], COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream->relid));
	streaming_table_key(&table, &keys[1], COLUMN_INCARNATION, BTEqualStrategyNumber, F_INT8EQ,
						Int64GetDatum(incarnation));
	scan = streaming_table_scan(&table, 0, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];

		streaming_table_read(&table, tuple, values, isnull);
		for (int i = 0; i < marks->n; i++)
		{
			if (found[i] ||
				marks->marks[i].partition != DatumGetInt32(values[COLUMN_PARTITION - 1]))
				continue;
			found[i] = true;
			if (marks->marks[i].offset != DatumGetInt64(values[COLUMN_POSITION - 1]))
				write_mark(&table, tuple, stream, incarnation, &marks->marks[i]);
			break;
		}
	}
	systable_endscan(scan);
	for (int i = 0; i < marks->n; i++)
		if (!found[i])
			write_mark(&table, NULL, stream, incarnation, &marks->marks[i]);
	streaming_table_close(&table, NoLock);
	pfree(found);
	CommandCounterIncrement();
}

/* old NULL: a new row. */
static void
write_mark(StreamingTable *table, HeapTuple old, StreamingStream *stream,
		   int64 incarnation, const StreamingKafkaMark *mark)
{
	Datum		values[COLUMN_COUNT];
	bool		isnull[COLUMN_COUNT] = {false};

	values[COLUMN_STREAM - 1] = ObjectIdGetDatum(stream->relid);
	values[COLUMN_INCARNATION - 1] = Int64GetDatum(incarnation);
	values[COLUMN_PARTITION - 1] = Int32GetDatum(mark->partition);
	values[COLUMN_TOPIC - 1] = CStringGetTextDatum(stream->topic);
	values[COLUMN_POSITION - 1] = Int64GetDatum(mark->offset);
	values[COLUMN_SENT_MS - 1] = Int64GetDatum(mark->sent_ms);
	values[COLUMN_DIGEST - 1] = Int64GetDatum(mark->digest);
	streaming_table_write(table, old, values, isnull);
}

static int64
new_incarnation(StreamingStream *stream, List *known, const StreamingKafkaMarks *marks)
{
	StreamingKafkaMark name = {.partition = NAME_ROW};
	int64		incarnation = 0;
	StreamingTable table;
	ListCell   *lc;

	foreach(lc, known)
		incarnation = Max(incarnation, ((KnownTopic *) lfirst(lc))->incarnation);
	foreach(lc, streaming_checkpoint_read(InvalidOid, stream->relid))
		incarnation = Max(incarnation, ((StreamingCheckpoint *) lfirst(lc))->incarnation);
	incarnation++;

	forget_unread(stream->relid);
	(void) streaming_table_open(&table, &topics, RowExclusiveLock, false);
	write_mark(&table, NULL, stream, incarnation, &name);
	streaming_table_close(&table, NoLock);
	write_marks(stream, incarnation, marks);
	if (incarnation > 1)
		ereport(LOG,
				(errmsg("stream %s has another topic than before: \"%s\"", stream->name,
						stream->topic)));
	return incarnation;
}

/* Topics that no view stands in are of no interest any more. */
static void
forget_unread(Oid stream)
{
	List	   *checkpoints = streaming_checkpoint_read(InvalidOid, stream);
	StreamingTable table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	(void) streaming_table_open(&table, &topics, RowExclusiveLock, false);
	streaming_table_key(&table, &key, COLUMN_STREAM, BTEqualStrategyNumber, F_OIDEQ,
						ObjectIdGetDatum(stream));
	scan = streaming_table_scan(&table, 0, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[COLUMN_COUNT];
		bool		isnull[COLUMN_COUNT];
		bool		read = false;
		ListCell   *lc;

		streaming_table_read(&table, tuple, values, isnull);
		foreach(lc, checkpoints)
			read |= ((StreamingCheckpoint *) lfirst(lc))->incarnation ==
				DatumGetInt64(values[COLUMN_INCARNATION - 1]);
		if (!read)
			CatalogTupleDelete(table.rel, &tuple->t_self);
	}
	systable_endscan(scan);
	streaming_table_close(&table, NoLock);
}

pg_noreturn static void
report_locked(StreamingStream *stream)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not register topic \"%s\" of stream %s: another transaction is registering it",
					stream->topic, stream->name)));
}

pg_noreturn static void
report_silence(StreamingKafka *client, StreamingStream *stream, int timeout)
{
	StreamingPositions end;

	/* It tells why, or that the topic does not exist. */
	streaming_kafka_topic_offsets(client, stream, timeout, NULL, &end, 0, NULL);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("no answer from Kafka about topic \"%s\" of stream %s", stream->topic,
					stream->name),
			 errdetail("Its records could not be read within %d ms.", timeout),
			 errhint("Check whether the broker runs, and whether the user may read the topic.")));
}
