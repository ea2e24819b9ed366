/*
 * import_kafka.c
 *		IMPORT FOREIGN SCHEMA from a kafka server.
 *
 * The remote schema is "topics"; each topic that is not Kafka's own becomes a foreign
 * table of its name.  Columns are those of the last records of its partitions, read as
 * JSON.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "parser/scansup.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#include "base/clock.h"
#include "command/import_schema.h"
#include "kafka.h"
#include "source/kafka_topic.h"
#include "source/source.h"

#define POLL_RECORDS	100
#define POLL_INTERVAL	10		/* ms */

static void sample_topic(StreamingStream *stream, StreamingSample *sample);
static bool has_read(const StreamingPositions *positions, const StreamingPositions *end);

List *
streaming_import_kafka(ImportForeignSchemaStmt *stmt, ForeignServer *server)
{
	List	   *commands = NIL;
	ListCell   *lc;

	if (strcmp(stmt->remote_schema, "topics") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("server \"%s\" has no schema \"%s\"", server->servername, stmt->remote_schema),
				 errhint("The schema of a kafka server is called \"topics\". LIMIT TO names some of them.")));
	foreach(lc, stmt->table_list)
	{
		if (lfirst_node(RangeVar, lc)->relname[0] == '^')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("topics cannot be imported by a regular expression"),
					 errhint("Each topic becomes a table. For one table of many topics use CREATE FOREIGN TABLE ... OPTIONS (topic '%s').",
							 lfirst_node(RangeVar, lc)->relname)));
	}
	foreach(lc, streaming_kafka_topics(streaming_import_stream(server, server->servername)))
	{
		char	   *topic = lfirst(lc);
		char	   *table = pstrdup(topic);
		StreamingSample *sample;
		StreamingStream *stream;
		StringInfoData options;
		char	   *command;

		truncate_identifier(table, strlen(table), false);
		if (!IsImportableForeignTable(table, stmt))
			continue;
		stream = streaming_import_stream(server, topic);
		stream->topic = topic;
		sample = streaming_sample_begin();
		initStringInfo(&options);
		appendStringInfo(&options, "topic %s", quote_literal_cstr(topic));
		if (!streaming_import_registry(stream, false, sample, &options))
		{
			sample_topic(stream, sample);
			appendStringInfoString(&options, ", format 'json'");
		}
		(void) streaming_import_registry(stream, true, sample, &options);
		command = streaming_import_command(table, sample, server, options.data);
		if (command)
			commands = lappend(commands, command);
	}
	return commands;
}

/* What has not come within streaming.connect_timeout is not waited for. */
static void
sample_topic(StreamingStream *stream, StreamingSample *sample)
{
	StreamingSource *source = streaming_source_open(stream, STREAMING_READ_BATCH);
	StreamingRecord records[POLL_RECORDS];
	StreamingPositions begin;
	StreamingPositions end;
	StreamingTime until;

	source->routine->bounds(source, streaming_connect_timeout, &begin, &end);
	for (int i = 0; i < begin.n; i++)
	{
		int64		last = streaming_positions_get(&end, begin.pos[i].partition);

		begin.pos[i].offset = Max(begin.pos[i].offset,
								  last - STREAMING_SAMPLE_RECORDS / begin.n);
	}
	source->routine->seek(source, &begin);
	until = streaming_time_plus(streaming_now(), streaming_connect_timeout);
	while (!has_read(&begin, &end) && streaming_now() < until)
	{
		int			n = source->routine->poll(source, records, POLL_RECORDS, &begin);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			streaming_sample_json(sample, records[i].payload, records[i].length);
		if (n > 0)
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	streaming_source_close(source);
}

static bool
has_read(const StreamingPositions *positions, const StreamingPositions *end)
{
	for (int i = 0; i < end->n; i++)
	{
		if (streaming_positions_get(positions, end->pos[i].partition) < end->pos[i].offset)
			return false;
	}
	return true;
}
