/*
 * bounds.c
 *		What a batch of a stage costs, and what bounds the rows it keeps.
 *
 * Groups are taken for few: who groups by what never comes twice has a result that
 * grows as well, and knows it.  Rows are not: a stage that keeps those of a stream
 * as they are (join, partition, recompute) grows as long as the stream does, however
 * small its result is, unless a watermark tells when they go.  Filters are not looked
 * at.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/lsyscache.h"

#include "query/program.h"
#include "catalog/object_name.h"
#include "streaming.h"

static bool stage_grows(StreamingProgram *program, StreamingStage *stage, Oid *stream);

const char *
streaming_stage_kind_name(StreamingStageKind kind)
{
	static const char *const kinds[] = {"append", "combine", "multiset", "recompute", "session",
	"partition", "join", "upsert"};

	return kinds[kind];
}

/* Do rows come over the edge, one for each of *stream, that never disappear? */
static bool
edge_grows(StreamingProgram *program, StreamingEdge *edge, Oid *stream)
{
	if (edge->stage > 0)
		return stage_grows(program, &program->stages[edge->stage - 1], stream);
	*stream = program->inputs[edge->input].relid;
	return !program->inputs[edge->input].is_signed;
}

static bool
some_edge_grows(StreamingProgram *program, StreamingStage *stage, Oid *stream)
{
	for (int i = 0; i < stage->nedges; i++)
	{
		if (edge_grows(program, &stage->edges[i], stream))
			return true;
	}
	return false;
}

/* Does the output have a row for each of *stream?  Groups that have closed stay, too. */
static bool
stage_grows(StreamingProgram *program, StreamingStage *stage, Oid *stream)
{
	return (!streaming_has_groups(stage) || stage->emits_closed) &&
		some_edge_grows(program, stage, stream);
}

/* Does the stage keep the rows of *stream for ever? */
static bool
keeps_stream(StreamingProgram *program, StreamingStage *stage, Oid *stream)
{
	if (stage->kind == STREAMING_STAGE_APPEND || stage->closes || streaming_keeps_first_rows(stage) ||
		(streaming_has_groups(stage) && stage->bag_table == NULL && !stage->keeps_values))
		return false;
	for (int i = 0; i < stage->nedges; i++)
	{
		if ((stage->edges[i].closes == NULL || stage->edges[i].lag < 0) &&
			edge_grows(program, &stage->edges[i], stream))
			return true;
	}
	return false;
}

char *
streaming_edge_source(StreamingProgram *program, StreamingEdge *edge)
{
	return edge->stage > 0 ? psprintf("stage %d", edge->stage) :
		streaming_qualified_name(program->inputs[edge->input].relid);
}

static char *
sources(StreamingProgram *program, StreamingStage *stage)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < stage->nedges; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 streaming_edge_source(program, &stage->edges[i]));
	return buf.data;
}

const char *
streaming_stage_cost(StreamingStage *stage)
{
	switch (stage->kind)
	{
		case STREAMING_STAGE_APPEND:
		case STREAMING_STAGE_MULTISET:
			break;
		case STREAMING_STAGE_COMBINE:
			return "rows that come, groups touched";
		case STREAMING_STAGE_SESSION:
			return "rows that come, sessions touched";
		case STREAMING_STAGE_RECOMPUTE:
			return stage->grouped ? "rows that come, all rows of the groups touched" : "whole input";
		case STREAMING_STAGE_PARTITION:
			if (stage->recursion && stage->signed_input)
				return stage->recursion->scans ?
					"rows that come, all rows of other inputs for what they derive that is new; where rows disappear, whole input" :
					"rows that come and what they derive that is new; where rows disappear, whole input";
			if (stage->recursion)
				return stage->recursion->scans ?
					"rows that come, all rows of other inputs for what they derive that is new" :
					"rows that come and what they derive that is new";
			if (stage->suffix)
				return stage->whole ? "rows that come, all rows behind the first of them" :
					"rows that come, rows of the partitions touched behind the first of them";
			return stage->whole ? "whole input" : "rows that come, all rows of the partitions touched";
		case STREAMING_STAGE_UPSERT:
			return "rows that come, keys touched";
		case STREAMING_STAGE_JOIN:
			return stage->whole ? "rows that come, each with all rows of the other inputs" :
				"rows that come, rows of the other inputs that they meet";
	}
	return "rows that come";
}

char *
streaming_stage_bound(StreamingProgram *program, StreamingStage *stage)
{
	const char *what = stage->kind == STREAMING_STAGE_SESSION ? "sessions" : "groups";
	Oid			stream;

	if (keeps_stream(program, stage, &stream))
		return psprintf("nothing (rows of %s are kept)", streaming_qualified_name(stream));
	switch (stage->kind)
	{
		case STREAMING_STAGE_APPEND:
			return stage->table ? "nothing (the result has a row for each that comes)" : "no state";
		case STREAMING_STAGE_COMBINE:
		case STREAMING_STAGE_SESSION:
			return !stage->grouped ? "one row" :
				psprintf(stage->evicts ? "%s that the watermark has not closed" : "number of %s", what);
		case STREAMING_STAGE_RECOMPUTE:
			if (stage->closes)
				return psprintf("%srows of the groups that the watermark has not closed",
								stage->evicts ? "" : "number of groups, ");
			break;
		case STREAMING_STAGE_PARTITION:
			if (stage->recursion)
				return psprintf("rows of %s, rows of the recursion", sources(program, stage));
			if (streaming_keeps_first_rows(stage))
				return pstrdup(stage->whole ? "rows that can still be in the result" :
							   "number of partitions, in each the rows that can still be in the result");
			break;
		case STREAMING_STAGE_JOIN:
			if (stage->evicts_rows)
				return psprintf("rows of %s that the watermark has not passed",
								sources(program, stage));
			break;
		case STREAMING_STAGE_UPSERT:
			return psprintf("number of keys in %s", sources(program, stage));
		case STREAMING_STAGE_MULTISET:
			break;
	}
	return psprintf("rows of %s", sources(program, stage));
}

/* Is it a query over one stream, level upon level? */
static bool
is_chain(StreamingProgram *program)
{
	for (int i = 0; i < program->nstages; i++)
	{
		if (program->stages[i].nedges != 1 && program->stages[i].kind != STREAMING_STAGE_COMBINE)
			return false;
	}
	return program->ninputs == 1 && !program->inputs[0].is_loaded;
}

static bool
has_event_times(StreamingProgram *program)
{
	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i].event_attno == 0)
			return false;
	}
	return true;
}

/* Outer joins, EXISTS: what they keep is bounded in output mode append only. */
static bool
counts_matches(StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
	{
		if (stage->edges[i].first_match_sql)
			return true;
	}
	return false;
}

bool
streaming_program_grows(StreamingProgram *program, char **detail, char **hint)
{
	StreamingStage *stage = NULL;
	const char *name;
	Oid			stream = InvalidOid;

	for (int i = 0; i < program->nstages && stage == NULL; i++)
	{
		if (keeps_stream(program, &program->stages[i], &stream))
			stage = &program->stages[i];
	}
	if (stage == NULL)
		return false;
	name = get_rel_name(stream);
	*hint = psprintf("Aggregate \"%s\" first, in a subquery or in a continuous view that this one reads: then groups are kept and not rows.",
					 name);
	if (stage->keeps_values)
	{
		*detail = psprintf("Aggregates with DISTINCT keep all distinct values that they read of \"%s\".",
						   name);
		if (is_chain(program))
			*hint = pstrdup("Group by a window of a column with the option \"watermark\", or use aggregates without DISTINCT.");
		return true;
	}
	switch (stage->kind)
	{
		case STREAMING_STAGE_JOIN:
			*detail = psprintf("A join keeps all rows of \"%s\".", name);
			if (has_event_times(program) && !counts_matches(stage))
				*hint = pstrdup("Bound the event times of its sides by each other, such as with BETWEEN: then rows go when the watermark has passed them.");
			break;
		case STREAMING_STAGE_RECOMPUTE:
			*detail = psprintf("Aggregates that cannot be combined keep all distinct values that they read of \"%s\".",
							   name);
			if (is_chain(program))
				*hint = pstrdup("Group by a window of a column with the option \"watermark\", or use aggregates that can be combined.");
			break;
		default:
			*detail = psprintf("Parts of the result are computed anew from all rows of \"%s\".", name);
			break;
	}
	return true;
}
