/*
 * sink.c
 *		Which sink a program has.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "sink/sink.h"

char *
streaming_qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static const StreamingSinkRoutine *
routine_of(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
		return &streaming_sink_table;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("\"%s\" cannot be the sink of a continuous view", get_rel_name(relid)),
			 errhint("Set streaming.sink to the name of an ordinary or partitioned table.")));
}

void
streaming_sink_check(StreamingProgram *program)
{
	if (routine_of(program->sink) == &streaming_sink_table)
		streaming_sink_table_check(program);
}

StreamingSink *
streaming_sink_open(StreamingProgram *program)
{
	StreamingSink *sink;
	const StreamingSinkRoutine *routine;

	if (!OidIsValid(program->sink))
		return NULL;
	routine = routine_of(program->sink);
	sink = routine->open(program);
	sink->routine = routine;
	sink->program = program;
	return sink;
}
