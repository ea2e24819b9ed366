/*
 * sink_kafka.c
 *		A Kafka topic as a sink.
 *
 *	append		a message per row
 *	update		a message per row that has changed, with the group key as its
 *				key, and a tombstone (the key, no payload) for a row that leaves
 *				the result: a compacted topic holds the result
 *	complete	the whole result, each time
 *
 * Rows are written with an INSERT into the foreign table (sink_stream.c).
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "sink/outbox.h"
#include "sink/sink_stream.h"

typedef struct KafkaSink
{
	StreamingSink base;
	StreamingStatement insert;
	StreamingStreamRows *rows;	/* of a batch, in append mode */
	StreamingStatement leave;	/* sql NULL: no row can leave the result */
} KafkaSink;

/* Receives the keys of rows that leave the result. */
typedef struct TombstoneReceiver
{
	DestReceiver base;
	StreamingStreamWriter *writer;
	StreamingStream *stream;
	Datum	   *values;			/* of the stream's columns */
	bool	   *isnull;
	List	   *columns;		/* of int: index of each column that arrives */
} TombstoneReceiver;

static StreamingStream *
open_stream(StreamingProgram *program)
{
	return streaming_stream_open(program->sink.relid, GetUserId());
}

/* ---- Can it take the output? ---- */

/* The stream's columns that make the message key: option "key", or metadata. */
static List *
key_columns(StreamingStream *stream)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, streaming_key_attnos(stream))
		names = lappend(names, stream->columns[lfirst_int(lc) - 1].name);
	return names;
}

/* The output with this name, -1: none. */
static int
find_output(StreamingStage *stage, const char *name)
{
	for (int i = 0; i < stage->noutputs; i++)
		if (strcmp(stage->outputs[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * The key must tell the groups apart and nothing else: each of its columns is a
 * key of the group, and each key of the group is among them.
 */
static void
check_key(StreamingProgram *program, StreamingStream *stream)
{
	StreamingStage *stage = streaming_last_stage(program);
	bool		grouped = streaming_has_groups(stage);
	List	   *names = key_columns(stream);
	List	   *outputs = NIL;
	Bitmapset  *keys = NULL;
	bool		good = grouped && names != NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		int			output = find_output(stage, lfirst(lc));

		if (output < 0 || stage->outputs[output].key < 0)
			good = false;
		else
		{
			keys = bms_add_member(keys, stage->outputs[output].key);
			outputs = lappend_int(outputs, output);
		}
	}
	if (!grouped || stage->nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"update\" into a topic needs rows with a key"),
				 errdetail("The query has no GROUP BY whose key could tell one row from another."),
				 errhint("Use streaming.output_mode = 'complete', or leave streaming.sink out.")));
	if (!good || bms_num_members(keys) != stage->nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the message key of stream %s is not the group key of the continuous view",
						stream->name),
				 errhint("Set the option \"key\" of the stream to the names of the columns of GROUP BY, all of them and no others.")));
	program->sink_key = outputs;
}

static void
kafka_check(StreamingProgram *program)
{
	StreamingStream *stream;

	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].relid == program->sink.relid)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a continuous view cannot write to the stream it reads"),
					 errhint("Let it write to another topic.")));
	}
	stream = open_stream(program);
	streaming_sink_stream_check(program, stream);
	if (program->output_mode == STREAMING_OUTPUT_UPDATE)
		check_key(program, stream);
}

/* ---- Writing ---- */

/* The keys of rows that leave, as the stream's columns have them. */
static char *
leave_sql(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, program->sink_key)
	{
		StreamingValue *output = &stage->outputs[lfirst_int(lc)];
		AttrNumber	attno = get_attnum(program->sink.relid, output->name);
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(program->sink.relid, attno, &type, &typmod, &collation);
		appendStringInfo(&buf, "%sc.%s::%s", buf.len ? ", " : "SELECT ",
						 quote_identifier(output->column),
						 format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
	}
	appendStringInfoString(&buf, " FROM changes c WHERE c.\"$sign\" OPERATOR(pg_catalog.<) 0");
	return buf.data;
}

static StreamingSink *
kafka_open(StreamingProgram *program)
{
	KafkaSink  *sink = palloc0(sizeof(KafkaSink));

	sink->insert.sql = streaming_sink_stream_insert(program);
	if (program->sink_key != NIL)
		sink->leave.sql = leave_sql(program);
	return &sink->base;
}

static bool
receive_tombstone(TupleTableSlot *slot, DestReceiver *base)
{
	TombstoneReceiver *receiver = (TombstoneReceiver *) base;
	int			i = 0;
	ListCell   *lc;

	slot_getallattrs(slot);
	foreach(lc, receiver->columns)
	{
		receiver->values[lfirst_int(lc)] = slot->tts_values[i];
		receiver->isnull[lfirst_int(lc)] = slot->tts_isnull[i++];
	}
	streaming_stream_writer_tombstone(receiver->writer, receiver->values, receiver->isnull);
	return true;
}

/* Are they of the types of the stream's columns? */
static void
startup_tombstones(DestReceiver *base, int operation, TupleDesc desc)
{
	TombstoneReceiver *receiver = (TombstoneReceiver *) base;
	List	   *types = NIL;
	ListCell   *lc;

	foreach(lc, receiver->columns)
		types = lappend_oid(types, TupleDescAttr(receiver->stream->tupdesc, lfirst_int(lc))->atttypid);
	streaming_check_types(desc, types);
}

static void
do_nothing(DestReceiver *receiver)
{
}

/* The owner's right to INSERT is checked by the INSERT that follows. */
static void
write_tombstones(KafkaSink *sink, StreamingDelta *changes)
{
	StreamingProgram *program = sink->base.program;
	StreamingStage *stage = streaming_last_stage(program);
	TombstoneReceiver receiver = {0};
	int			natts;
	ListCell   *lc;

	receiver.base.receiveSlot = receive_tombstone;
	receiver.base.rStartup = startup_tombstones;
	receiver.base.rShutdown = receiver.base.rDestroy = do_nothing;
	receiver.base.mydest = DestNone;
	receiver.stream = open_stream(program);
	natts = receiver.stream->tupdesc->natts;
	receiver.values = palloc0(sizeof(Datum) * natts);
	receiver.isnull = palloc(sizeof(bool) * natts);
	memset(receiver.isnull, true, natts);
	foreach(lc, program->sink_key)
	{
		AttrNumber	attno = get_attnum(program->sink.relid, stage->outputs[lfirst_int(lc)].name);

		receiver.columns = lappend_int(receiver.columns, attno - 1);
	}
	receiver.writer = streaming_stream_writer_open(receiver.stream);
	streaming_statement_run(&sink->leave, changes, NULL, false, &receiver.base);
	streaming_stream_writer_close(receiver.writer);
}

static void
kafka_write(StreamingSink *base, StreamingDelta *changes)
{
	KafkaSink  *sink = (KafkaSink *) base;

	if (changes && changes->nrows == 0)
		return;
	if (changes && sink->leave.sql)
		write_tombstones(sink, changes);
	streaming_statement_run(&sink->insert, changes, NULL, false, NULL);
}

static bool
kafka_begin_take(StreamingSink *base)
{
	KafkaSink *sink = (KafkaSink *) base;

	sink->rows = streaming_stream_rows_begin(base->program);
	return sink->rows != NULL;
}

static void
kafka_take(StreamingSink *base, TupleTableSlot *slot)
{
	streaming_stream_rows_put(((KafkaSink *) base)->rows, slot);
}

static void
kafka_end_take(StreamingSink *base)
{
	streaming_stream_rows_end(((KafkaSink *) base)->rows);
}

static void
kafka_close(StreamingSink *base)
{
	KafkaSink  *sink = (KafkaSink *) base;

	streaming_statement_free(&sink->insert);
	streaming_statement_free(&sink->leave);
}

const StreamingSinkRoutine streaming_sink_kafka = {
	.name = "kafka",
	.check = kafka_check,
	.open = kafka_open,
	.write = kafka_write,
	.begin_take = kafka_begin_take,
	.take = kafka_take,
	.end_take = kafka_end_take,
	.close = kafka_close,
};
