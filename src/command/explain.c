/*
 * explain.c
 *		streaming.explain: the incremental plan of a view, as text.
 */
#include "postgres.h"

#include "access/relation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "catalog/object_name.h"
#include "query/program.h"
#include "sink/sink_rows.h"
#include "streaming.h"

PG_FUNCTION_INFO_V1(streaming_explain);

static char *
names(const StreamingValue *values, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", values[i].name);
	return buf.data;
}

/* The deparser begins a statement with a blank. */
static const char *
trimmed(const char *sql)
{
	return sql + strspn(sql, " ");
}

/* How each aggregate is kept. */
static List *
explain_aggregates(List *lines, StreamingStage *stage)
{
	for (int i = 0; stage->kind != STREAMING_STAGE_UPSERT && i < stage->naggs; i++)
	{
		StreamingAggregate *agg = &stage->aggs[i];
		const char *name = get_func_name(agg->aggref->aggfnoid);

		if (agg->store)
			lines = lappend(lines, psprintf("        %s: the %s %s of stage %d", name,
											agg->largest ? "largest" : "least",
											agg->store->keys[agg->store_key].name,
											agg->store->number));
		else if (stage->kind == STREAMING_STAGE_COMBINE || stage->kind == STREAMING_STAGE_SESSION)
			lines = lappend(lines, psprintf("        %s: partial states combined by %s%s",
											name, get_func_name(agg->combinefn),
											OidIsValid(agg->serialfn) ? ", kept serialized" : ""));
		else
			lines = lappend(lines, psprintf("        %s: recomputed for the groups touched",
											name));
	}
	return lines;
}

/* A statement over an input, and what is kept of its rows. */
static List *
explain_edge(List *lines, StreamingProgram *program, StreamingStage *stage, int number)
{
	StreamingEdge *edge = &stage->edges[number - 1];
	const char *which = stage->nedges > 1 ? psprintf(" %d", number) : "";

	lines = lappend(lines, psprintf("    Reads%s: %s", which, streaming_edge_source(program, edge)));
	lines = lappend(lines, psprintf("    SQL%s: %s", which,
									edge->sql ? trimmed(edge->sql) : "(none yet)"));
	if (edge->initial_sql)
		lines = lappend(lines, psprintf("    First batch%s: %s", which, trimmed(edge->initial_sql)));
	if (edge->table)
		lines = lappend(lines, psprintf("    Rows%s: %s.%s%s", which, STREAMING_INTERNAL_SCHEMA,
										edge->table, edge->nkeys == 0 ? "" :
										psprintf(stage->recursion ? " (looked up by: %s)" : " (partition: %s)",
												 names(edge->keys, edge->nkeys))));
	if (edge->kept_keys)
		lines = lappend(lines, psprintf("    Rows%s: those of the result (partition: %s)", which,
										names(edge->keys, edge->nkeys)));
	if (edge->closes)
		lines = lappend(lines, psprintf("    Rows%s go: when the watermark has passed what they can be joined with",
										which));
	if (edge->unmatched_sql)
		lines = lappend(lines, psprintf("    Rows%s%s: are handed up when nothing in time can be joined with them",
										which, edge->join_sql ? " that have met none" : ""));
	if (edge->first_match_sql)
		lines = lappend(lines, psprintf("    Rows%s count: when the first comes that a row of another input meets, and when the last goes",
										which));
	if (edge->join_sql)
		lines = lappend(lines, psprintf("    Join%s: %s", which, stage->recursion ?
										streaming_recursion_sql(stage, edge->join_sql, false) :
										trimmed(edge->join_sql)));
	if (edge->first_match_sql)
		lines = lappend(lines, psprintf("    First match%s: %s", which, trimmed(edge->first_match_sql)));
	if (edge->last_match_sql)
		lines = lappend(lines, psprintf("    Last match%s: %s", which, trimmed(edge->last_match_sql)));
	if (edge->unmatched_sql)
		lines = lappend(lines, psprintf("    Unmatched%s: %s", which, trimmed(edge->unmatched_sql)));
	return lines;
}

static List *
explain_stage(List *lines, StreamingProgram *program, StreamingStage *stage)
{
	lines = lappend(lines, psprintf("Stage %d: %s", stage->number,
									streaming_stage_kind_name(stage->kind)));
	lines = lappend(lines, psprintf("    Input: %s",
									stage->kind == STREAMING_STAGE_UPSERT ?
									"records, of which the last one of each key counts" :
									stage->signed_input ? "rows that appear and disappear" :
									"rows that appear"));
	for (int i = 0; i < stage->nedges; i++)
		lines = explain_edge(lines, program, stage, i + 1);
	if (stage->table && stage->kind != STREAMING_STAGE_APPEND)
		lines = lappend(lines, psprintf("    State: %s.%s (key: %s)", STREAMING_INTERNAL_SCHEMA,
										stage->table, names(stage->keys, stage->nkeys)));
	if (stage->keeps_values)
		lines = lappend(lines, "    Values: of aggregates above, each once in a group");
	if (stage->kind == STREAMING_STAGE_SESSION)
	{
		Interval	gap = {.time = stage->gap};

		lines = lappend(lines, psprintf("    Sessions: rows at most %s apart",
										DatumGetCString(DirectFunctionCall1(interval_out,
																			IntervalPGetDatum(&gap)))));
	}
	if (stage->closes_text)
		lines = lappend(lines, psprintf("    Groups close: when the watermark is %s%s",
										stage->closes_text,
										stage->emits_closed ? "; then they are written, and their state goes" :
										stage->evicts ? "; then their state goes" :
										stage->bag_table ? "; then their rows go" : ""));
	if (stage->bag_table)
		lines = lappend(lines, psprintf("    Rows: %s.%s", STREAMING_INTERNAL_SCHEMA,
										stage->bag_table));
	if (stage->suffix)
	{
		StreamingSuffix *suffix = stage->suffix;

		lines = lappend(lines, psprintf("    Method: suffix, by c%d%s%s", suffix->columns[suffix->npartition],
										suffix->descending ? " descending" : "",
										suffix->rows_before == 0 ? "" :
										psprintf(", with " INT64_FORMAT " %s before", suffix->rows_before,
												 suffix->rows_before == 1 ? "row" : "rows")));
		lines = lappend(lines, psprintf("    Recompute: %s", streaming_suffix_sql(stage)));
	}
	if (stage->recursion)
	{
		lines = lappend(lines, psprintf("    Method: recursive, incremental, %s",
										stage->recursion->distinct ? "each row once" : "each derivation of a row"));
		lines = lappend(lines, psprintf("    Step: %s", streaming_recursion_sql(stage, stage->recursion->step_sql, true)));
	}
	if (stage->table_keys)
		lines = lappend(lines, "    Table: its rows are shown by the first batch, and by the key of rows that come");
	if (stage->first_sql)
		lines = lappend(lines, psprintf("    First batch: %s", trimmed(stage->first_sql)));
	if (stage->recompute_sql)
		lines = lappend(lines, psprintf("    Recompute: %s", trimmed(stage->recompute_sql)));
	if (stage->nedges > 0 && stage->edges[0].top)
		lines = lappend(lines, psprintf("    Of a batch: the first " INT64_FORMAT " of each partition",
										stage->edges[0].top->most));
	if (stage->prune_sql)
		lines = lappend(lines, psprintf("    Prune: %s", trimmed(stage->prune_sql)));
	lines = explain_aggregates(lines, stage);
	lines = lappend(lines, psprintf("    Cost: %s", streaming_stage_cost(stage)));
	return lappend(lines, psprintf("    Bounded by: %s", streaming_stage_bound(program, stage)));
}

static const char *
function_name(int32 id, const char *which)
{
	return format_procedure(streaming_sink_function(id, which)->funcid);
}

static const char *
sink_name(StreamingProgram *program)
{
	switch (program->sink.kind)
	{
		case STREAMING_SINK_OWN:
		case STREAMING_SINK_MEMORY:
			break;
		case STREAMING_SINK_RELATION:
			return streaming_qualified_name(program->sink.relid);
		case STREAMING_SINK_CONSOLE:
			return "console";
		case STREAMING_SINK_FOREACH:
			return psprintf("foreach %s", function_name(program->id, STREAMING_FUNCTION_FOREACH));
		case STREAMING_SINK_FOREACH_BATCH:
			return psprintf("foreach_batch %s",
							function_name(program->id, STREAMING_FUNCTION_FOREACH_BATCH));
	}
	return psprintf("%s.%s", STREAMING_INTERNAL_SCHEMA, streaming_last_stage(program)->result_table);
}

/* As lines of text (of char *). */
static List *
explain(const StreamingView *view)
{
	Relation	rel = relation_open(view->definition, AccessShareLock);
	StreamingProgram *program;
	List	   *lines = NIL;

	program = streaming_compile(get_view_query(rel), view->owner, view->id, view->tables,
								&view->sink, view->output_mode);
	relation_close(rel, NoLock);
	for (int i = 0; i < program->ninputs; i++)
		lines = lappend(lines, psprintf("Source: %s%s",
										streaming_qualified_name(program->inputs[i].relid),
										program->inputs[i].is_table ? " (follows table)" :
										program->inputs[i].is_loaded ? " (changes of a continuous view)" : ""));
	for (int i = 0; i < program->ninputs; i++)
	{
		StreamingProgramInput *input = &program->inputs[i];

		if (input->followed)
			lines = lappend(lines, psprintf("Event time: column %s%s, watermark %s behind; late rows are dropped and counted",
											quote_identifier(input->event_column),
											program->ninputs == 1 ? "" :
											psprintf(" of %s", streaming_qualified_name(input->relid)),
											DatumGetCString(DirectFunctionCall1(interval_out,
																				IntervalPGetDatum(input->event_delay)))));
	}
	for (int i = 0; i < program->nstages; i++)
		lines = explain_stage(lines, program, &program->stages[i]);
	lines = lappend(lines, psprintf("Sink: %s (%s)",
									sink_name(program),
									streaming_output_mode_name(program->output_mode)));
	return lines;
}

/* streaming.explain(view regclass) returns setof text */
Datum
streaming_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_GETARG_OID(0);
	StreamingView *view;
	ListCell   *lc;

	streaming_require_loaded();
	view = streaming_catalog_view(relid, false);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, explain(view))
	{
		Datum		value = CStringGetTextDatum((char *) lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}
