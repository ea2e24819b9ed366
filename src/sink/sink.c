/*
 * sink.c
 *		Which sink a program has.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/lsyscache.h"

#include "sink/sink.h"
#include "catalog/stream.h"

/* NULL: the output goes to the view's own table, which is no sink. */
static const StreamingSinkRoutine *
routine_of(const StreamingProgram *program)
{
	Oid			relid = program->sink.relid;
	StreamingSourceKind kind;

	switch (program->sink.kind)
	{
		case STREAMING_SINK_OWN:
		case STREAMING_SINK_MEMORY:
			return NULL;
		case STREAMING_SINK_RELATION:
			break;
		case STREAMING_SINK_CONSOLE:
			return &streaming_sink_console;
		case STREAMING_SINK_FOREACH:
			return &streaming_sink_foreach;
		case STREAMING_SINK_FOREACH_BATCH:
			return &streaming_sink_foreach_batch;
	}
	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return &streaming_sink_table;
		case RELKIND_FOREIGN_TABLE:
			if (!streaming_is_stream(relid, &kind))
				return &streaming_sink_table;
			if (kind == STREAMING_SOURCE_KAFKA)
				return &streaming_sink_kafka;
			if (kind == STREAMING_SOURCE_DIRECTORY)
				return &streaming_sink_directory;
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("\"%s\" cannot be the sink of a continuous view", get_rel_name(relid)),
			 errhint("Set streaming.sink to the name of a table, a foreign table, or a stream of a kafka or directory server.")));
}

void
streaming_sink_check(StreamingProgram *program)
{
	const StreamingSinkRoutine *routine = routine_of(program);

	if (routine && routine->check)
		routine->check(program);
}

StreamingSink *
streaming_sink_open(StreamingProgram *program)
{
	const StreamingSinkRoutine *routine = routine_of(program);
	StreamingSink *sink;

	if (routine == NULL)
		return NULL;
	sink = routine->open(program);
	sink->routine = routine;
	sink->program = program;
	return sink;
}
