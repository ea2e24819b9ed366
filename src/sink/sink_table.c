/*
 * sink_table.c
 *		A user's table as a sink: append, or upsert on the group key.
 *
 * The table is written with plain SQL, so that triggers, constraints, defaults,
 * row-level security and partitions do what they do for anybody.  Columns are
 * matched by name.  In update mode the outputs that are group keys must be
 * covered by a unique index of exactly these columns; a NULL in a key must meet
 * its equal, so the columns are NOT NULL or the index says NULLS NOT DISTINCT.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "sink/sink.h"

typedef struct TableSink
{
	StreamingSink base;
	StreamingStatement insert;
	StreamingStatement delete;	/* sql NULL: append mode */
} TableSink;

static void
check_columns(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	const char *table = get_rel_name(program->sink.relid);

	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];
		AttrNumber	attno = get_attnum(program->sink.relid, output->name);
		Oid			type;

		if (attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of the continuous view does not exist in sink \"%s\"",
							output->name, table),
					 errhint("Columns are matched by name: rename the view's column with AS, or add the column to the table.")));
		type = get_atttype(program->sink.relid, attno);
		if (!can_coerce_type(1, &output->type, &type, COERCION_ASSIGNMENT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of sink \"%s\" is of type %s but the continuous view's is of type %s",
							output->name, table, format_type_be(type),
							format_type_be(output->type)),
					 errhint("Cast the view's column.")));
	}
}

/* The outputs that are group keys, one for each; NIL if a key is not output. */
static List *
key_outputs(StreamingStage *stage)
{
	List	   *result = NIL;

	for (int key = 0; key < stage->nkeys; key++)
	{
		int			found = -1;

		for (int i = 0; i < stage->noutputs && found < 0; i++)
		{
			if (stage->outputs[i].key == key)
				found = i;
		}
		if (found < 0)
			return NIL;
		result = lappend_int(result, found);
	}
	return result;
}

/* Is index a unique index of exactly the sink's columns for the outputs? */
static bool
index_covers(Oid index, StreamingProgram *program, List *outputs)
{
	StreamingStage *stage = streaming_last_stage(program);
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		covers;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	covers = form->indisunique && form->indimmediate && form->indisvalid &&
		form->indnkeyatts == list_length(outputs) &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
	foreach(lc, outputs)
	{
		AttrNumber	attno = get_attnum(program->sink.relid, stage->outputs[lfirst_int(lc)].name);
		bool		found = false;

		for (int i = 0; covers && i < form->indnkeyatts; i++)
			found |= form->indkey.values[i] == attno;
		if (!found)
			covers = false;
		else if (!form->indnullsnotdistinct)
		{
			HeapTuple	att = SearchSysCacheAttNum(program->sink.relid, attno);

			if (!((Form_pg_attribute) GETSTRUCT(att))->attnotnull)
				covers = false;
			ReleaseSysCache(att);
		}
	}
	ReleaseSysCache(tuple);
	return covers;
}

static void
table_check(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	Relation	rel;
	ListCell   *lc;
	List	   *outputs;
	bool		covered = false;

	check_columns(program);
	if (program->output_mode == STREAMING_OUTPUT_APPEND)
		return;
	if (program->output_mode == STREAMING_OUTPUT_COMPLETE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"complete\" is not supported yet for tables"),
				 errhint("Use streaming.output_mode = 'update'.")));
	outputs = stage->kind == STREAMING_STAGE_COMBINE || stage->kind == STREAMING_STAGE_RECOMPUTE ?
		key_outputs(stage) : NIL;
	if (outputs == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"update\" into a table needs the group key in the output"),
				 errhint("Select every expression of GROUP BY as a column of its own, or leave streaming.sink out.")));

	rel = relation_open(program->sink.relid, AccessShareLock);
	foreach(lc, RelationGetIndexList(rel))
		covered |= index_covers(lfirst_oid(lc), program, outputs);
	relation_close(rel, NoLock);
	if (!covered)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sink \"%s\" has no unique key on the group key of the continuous view",
						get_rel_name(program->sink.relid)),
				 errhint("Add a primary key, or a UNIQUE NULLS NOT DISTINCT constraint, on exactly the columns of GROUP BY.")));
	program->sink_key = outputs;
}

/* "a, b, c" of the outputs, or of the key. */
static char *
column_list(StreamingProgram *program, List *only, const char *prefix)
{
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < stage->noutputs; i++)
	{
		if (only == NIL || list_member_int(only, i))
			appendStringInfo(&buf, "%s%s%s", buf.len ? ", " : "", prefix,
							 quote_identifier(stage->outputs[i].name));
	}
	return buf.data;
}

static char *
insert_sql(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData buf;
	int			nset = 0;

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s (%s) SELECT %s FROM changes c WHERE c.\"$sign\" OPERATOR(pg_catalog.>) 0",
					 streaming_qualified_name(program->sink.relid),
					 column_list(program, NIL, ""), column_list(program, NIL, "c."));
	if (program->sink_key == NIL)
		return buf.data;
	appendStringInfo(&buf, " ON CONFLICT (%s) DO ", column_list(program, program->sink_key, ""));
	for (int i = 0; i < stage->noutputs; i++)
	{
		const char *name = quote_identifier(stage->outputs[i].name);

		if (!list_member_int(program->sink_key, i))
			appendStringInfo(&buf, "%s%s = EXCLUDED.%s", nset++ ? ", " : "UPDATE SET ", name, name);
	}
	if (nset == 0)
		appendStringInfoString(&buf, "NOTHING");
	return buf.data;
}

static char *
delete_sql(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData buf;
	ListCell   *lc;

	if (program->sink_key == NIL)
		return NULL;
	initStringInfo(&buf);
	appendStringInfo(&buf, "DELETE FROM %s s USING changes c WHERE c.\"$sign\" OPERATOR(pg_catalog.<) 0",
					 streaming_qualified_name(program->sink.relid));
	foreach(lc, program->sink_key)
	{
		const char *name = quote_identifier(stage->outputs[lfirst_int(lc)].name);

		appendStringInfo(&buf, " AND (s.%s = c.%s OR (s.%s IS NULL AND c.%s IS NULL))",
						 name, name, name, name);
	}
	return buf.data;
}

static StreamingSink *
table_open_sink(StreamingProgram *program)
{
	TableSink  *sink = palloc0(sizeof(TableSink));

	sink->insert.sql = insert_sql(program);
	sink->delete.sql = delete_sql(program);
	return &sink->base;
}

static void
table_write(StreamingSink *base, StreamingDelta *changes)
{
	TableSink  *sink = (TableSink *) base;

	if (changes->nrows == 0)
		return;
	if (sink->delete.sql)
		streaming_statement_run(&sink->delete, changes, NULL, false, NULL);
	streaming_statement_run(&sink->insert, changes, NULL, false, NULL);
}

static void
table_close_sink(StreamingSink *base)
{
	TableSink  *sink = (TableSink *) base;

	streaming_statement_free(&sink->insert);
	streaming_statement_free(&sink->delete);
}

const StreamingSinkRoutine streaming_sink_table = {
	.name = "table",
	.check = table_check,
	.open = table_open_sink,
	.write = table_write,
	.close = table_close_sink,
};
