/*
 * sink_table.c
 *		A user's table as a sink, in every output mode.
 *
 * The table is written with plain SQL (sink_table_sql.c), as the view's owner,
 * so that triggers, constraints, defaults, row-level security and partitions do
 * what they do for anybody, and foreign tables work as far as their wrapper
 * goes.  Columns are matched by name.
 *
 *	append		rows are inserted
 *	update		rows are upserted on the group key, and deleted when they leave.
 *				The outputs that are group keys must be covered by a unique index
 *				of exactly these columns; a NULL in a key must meet its equal, so
 *				the columns are NOT NULL or the index says NULLS NOT DISTINCT.
 *				Of a foreign table we know no index: the user answers for it.
 *	complete	the difference between the result and the table is computed and
 *				applied, with every batch: also what others have changed in the
 *				table is set right.  A unique index makes changed rows updates;
 *				without one they are deleted and inserted.
 *
 * Deferred constraints are checked at the end of each statement: at the end of
 * the transaction their triggers would no longer run as the view's owner.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "sink/sink.h"
#include "sink/sink_table_sql.h"
#include "catalog/stream.h"

typedef struct TableSink
{
	StreamingSink base;
	StreamingStatement difference;	/* sql NULL: not needed; likewise the others */
	StreamingStatement update;
	StreamingStatement insert;
	StreamingStatement delete;
	StreamingStatement delete_null;
	TupleDesc	difference_desc;
	bool		deferrable;		/* has constraints that may be deferred */
} TableSink;

/* ---- Check ---- */

static void
check_column(StreamingProgram *program, StreamingValue *output)
{
	const char *table = get_rel_name(program->sink.relid);
	HeapTuple	tuple = SearchSysCacheAttName(program->sink.relid, output->name);
	Form_pg_attribute att;
	Oid			type;

	if (!HeapTupleIsValid(tuple) ||
		((Form_pg_attribute) GETSTRUCT(tuple))->attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the continuous view does not exist in sink \"%s\"",
						output->name, table),
				 errhint("Columns are matched by name: rename the view's column with AS, or add the column to the table.")));
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	type = att->atttypid;
	streaming_sink_check_writable(table, att);
	ReleaseSysCache(tuple);
	if (!can_coerce_type(1, &output->type, &type, COERCION_ASSIGNMENT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of sink \"%s\" is of type %s but the continuous view's is of type %s",
						output->name, table, format_type_be(type),
						format_type_be(output->type)),
				 errhint("Cast the view's column.")));
	if (program->output_mode == STREAMING_OUTPUT_COMPLETE &&
		!OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"complete\" compares rows, but column \"%s\" of sink \"%s\" is of type %s, which has no equality operator",
						output->name, table, format_type_be(type)),
				 errhint("Give the column a type that has one, such as text or jsonb.")));
}

static void
check_columns(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);

	if (stage->noutputs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous view without columns cannot have a table as its sink"),
				 errhint("Select at least one column.")));
	for (int i = 0; i < stage->noutputs; i++)
		check_column(program, &stage->outputs[i]);
}

/* Does the wrapper of a foreign table do what the output mode asks of it? */
static void
check_foreign(StreamingProgram *program, Relation rel)
{
	FdwRoutine *routine = GetFdwRoutineForRelation(rel, false);
	int			needed = 1 << CMD_INSERT;
	int			able;

	if (program->output_mode != STREAMING_OUTPUT_APPEND)
		needed |= 1 << CMD_UPDATE | 1 << CMD_DELETE;
	if (routine->IsForeignRelUpdatable)
		able = routine->IsForeignRelUpdatable(rel);
	else
		able = (routine->ExecForeignInsert ? 1 << CMD_INSERT : 0) |
			(routine->ExecForeignUpdate ? 1 << CMD_UPDATE : 0) |
			(routine->ExecForeignDelete ? 1 << CMD_DELETE : 0);
	if ((able & needed) != needed)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" does not allow what output mode \"%s\" writes",
						RelationGetRelationName(rel),
						streaming_output_mode_name(program->output_mode)),
				 errhint("\"append\" needs a foreign table that allows INSERT, the other output modes one that allows UPDATE and DELETE, too.")));
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

/* Are values equal by collation only if they are by that of a group key? */
static bool
collation_tells(Oid collation, Oid of_key)
{
	return !OidIsValid(collation) || collation == of_key ||
		get_collation_isdeterministic(collation);
}

/* Does column i of an index call equal what the output's type and collation do? */
static bool
index_tells(HeapTuple index, int i, const StreamingValue *output, Oid type)
{
	bool		isnull;
	oidvector  *classes = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indclass, &isnull));
	oidvector  *collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indcollation, &isnull));
	Oid			family = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;

	return get_opclass_family(classes->values[i]) == family &&
		collation_tells(collations->values[i], output->collation);
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
			found |= form->indkey.values[i] == attno &&
				index_tells(tuple, i, &stage->outputs[lfirst_int(lc)],
							get_atttype(program->sink.relid, attno));
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

/* The outputs for the columns of an index, in its order; NIL: not all are outputs. */
static List *
outputs_of_index(Oid index, StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	List	   *outputs = NIL;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		for (int j = 0; j < stage->noutputs; j++)
		{
			if (form->indkey.values[i] == get_attnum(program->sink.relid, stage->outputs[j].name))
				outputs = lappend_int(outputs, j);
		}
	}
	if (list_length(outputs) != form->indnkeyatts)
		outputs = NIL;
	ReleaseSysCache(tuple);
	return outputs;
}

/*
 * The key by a unique index: one of exactly these outputs, or, if they are NIL,
 * the primary key, or any other whose columns are all outputs.  NIL: none.
 */
static List *
key_by_index(StreamingProgram *program, Relation rel, List *wanted)
{
	List	   *key = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Oid			index = lfirst_oid(lc);
		List	   *outputs = outputs_of_index(index, program);

		if (outputs == NIL || !index_covers(index, program, wanted != NIL ? wanted : outputs))
			continue;
		if (key == NIL || index == rel->rd_pkindex)
			key = outputs;
	}
	return key;
}

/* Update mode: rows are told by the group key. */
static List *
key_for_update(StreamingProgram *program, Relation rel)
{
	StreamingStage *stage = streaming_last_stage(program);
	List	   *outputs = NIL;
	List	   *key;

	if (streaming_has_groups(stage))
		outputs = key_outputs(stage);
	if (outputs == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output mode \"update\" into a table needs the group key in the output"),
				 errhint("Select every expression of GROUP BY as a column of its own, or use streaming.output_mode = 'complete'.")));
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return outputs;
	key = key_by_index(program, rel, outputs);
	if (key == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sink \"%s\" has no unique key on the group key of the continuous view",
						RelationGetRelationName(rel)),
				 errhint("Add a primary key, or a UNIQUE NULLS NOT DISTINCT constraint, on exactly the columns of GROUP BY, or use streaming.output_mode = 'complete'.")));
	return key;
}

static bool
is_postgres_fdw(Relation rel)
{
	ForeignServer *server = GetForeignServer(GetForeignServerIdByRelId(RelationGetRelid(rel)));
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	char	   *handler = get_func_name(wrapper->fdwhandler);

	return handler && strcmp(handler, "postgres_fdw_handler") == 0;
}

/*
 * Complete mode: the group key where an index covers it, else the primary key or
 * another unique index, if all its columns are outputs.  NIL: rows are compared
 * as wholes.
 */
static List *
key_for_complete(StreamingProgram *program, Relation rel)
{
	StreamingStage *stage = streaming_last_stage(program);
	List	   *group = NIL;
	List	   *key = NIL;

	if (streaming_has_groups(stage))
		group = key_outputs(stage);
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
	{
		if (group == NIL && !is_postgres_fdw(rel))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("output mode \"complete\" into foreign table \"%s\" needs a group key in the output",
							RelationGetRelationName(rel)),
					 errdetail("Rows without a key can be told apart only in tables of this server and of postgres_fdw."),
					 errhint("Select every expression of GROUP BY as a column of its own.")));
		return group;
	}
	if (group != NIL)
		key = key_by_index(program, rel, group);
	return key != NIL ? key : key_by_index(program, rel, NIL);
}

/*
 * Have any two values that a group key tells apart two values in a column, too, or
 * else an error?  Casts that round or cut would lay one group over another.
 */
static bool
keeps_apart(Oid from, int32 from_typmod, Oid to, int32 to_typmod)
{
	static const Oid wider[][2] = {
		{INT2OID, INT4OID}, {INT2OID, INT8OID}, {INT2OID, NUMERICOID}, {INT2OID, FLOAT4OID},
		{INT2OID, FLOAT8OID}, {INT4OID, INT2OID}, {INT4OID, INT8OID}, {INT4OID, NUMERICOID},
		{INT4OID, FLOAT8OID}, {INT8OID, INT2OID}, {INT8OID, INT4OID}, {INT8OID, NUMERICOID},
		{FLOAT4OID, FLOAT8OID}, {DATEOID, TIMESTAMPOID}
	};
	Node	   *value;

	from = getBaseTypeAndTypmod(from, &from_typmod);
	to = getBaseTypeAndTypmod(to, &to_typmod);
	/* what a type writes as text it can read back */
	if (to_typmod == -1 && (to == TEXTOID || to == VARCHAROID))
		return true;
	for (int i = 0; i < lengthof(wider) && to_typmod == -1; i++)
		if (from == wider[i][0] && to == wider[i][1])
			return true;

	value = (Node *) makeVar(1, 1, from, from_typmod, get_typcollation(from), 0);
	value = coerce_to_target_type(NULL, value, from, to, to_typmod,
								  COERCION_ASSIGNMENT, COERCE_EXPLICIT_CAST, -1);
	if (value)
		value = eval_const_expressions(NULL, value);
	while (value && IsA(value, RelabelType))
		value = (Node *) ((RelabelType *) value)->arg;
	return value && IsA(value, Var);
}

/* Rows that are told by these columns of the sink must be as many as groups. */
static void
check_key(StreamingProgram *program)
{
	ListCell   *lc;

	foreach(lc, program->sink_key)
	{
		StreamingValue *output = &streaming_last_stage(program)->outputs[lfirst_int(lc)];
		AttrNumber	attno = get_attnum(program->sink.relid, output->name);
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(program->sink.relid, attno, &type, &typmod, &collation);
		if (keeps_apart(output->type, output->typmod, type, typmod) &&
			collation_tells(collation, output->collation))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of sink \"%s\" cannot tell all groups of the continuous view apart",
						output->name, get_rel_name(program->sink.relid)),
				 errdetail("The key is of type %s and the column of type %s, which may hold equal values for different keys.",
						   format_type_with_typemod(output->type, output->typmod),
						   format_type_with_typemod(type, typmod)),
				 errhint("Give the column the type and collation of the key, or cast in GROUP BY.")));
	}
}

/*
 * What is written to a stream must be known by its name: readers hold it back, drains
 * come by it, and it must not come back (sink_push.c).
 */
static void
check_partitions(Relation rel)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		StreamingSourceKind kind;

		if (!streaming_is_stream(lfirst_oid(lc), &kind) || kind != STREAMING_SOURCE_PUSH)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("partitioned table \"%s\" cannot be the sink of a continuous view",
						RelationGetRelationName(rel)),
				 errdetail("Its partition \"%s\" is a pushed stream.", get_rel_name(lfirst_oid(lc))),
				 errhint("Let a view write to the stream itself, and another one, with another condition, to an ordinary table.")));
	}
}

static void
table_check(StreamingProgram *program)
{
	Relation	rel;

	check_columns(program);
	rel = relation_open(program->sink.relid, AccessShareLock);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("temporary table \"%s\" cannot be the sink of a continuous view",
						RelationGetRelationName(rel)),
				 errhint("Workers cannot see temporary tables. Make it an ordinary or an unlogged table.")));
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		check_foreign(program, rel);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		check_partitions(rel);
	switch (program->output_mode)
	{
		case STREAMING_OUTPUT_APPEND:
			break;
		case STREAMING_OUTPUT_UPDATE:
			program->sink_key = key_for_update(program, rel);
			break;
		case STREAMING_OUTPUT_COMPLETE:
			program->sink_key = key_for_complete(program, rel);
			break;
	}
	check_key(program);
	relation_close(rel, NoLock);
}

/* ---- Writing ---- */

static bool
has_deferrable_constraints(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		result = false;

	/* of partitions nothing is known here */
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		result = true;
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
		result |= rel->trigdesc->triggers[i].tgdeferrable;
	relation_close(rel, NoLock);
	return result;
}

static StreamingSink *
table_open_sink(StreamingProgram *program)
{
	TableSink  *sink = palloc0(sizeof(TableSink));
	StreamingTableSql *sql = streaming_table_sql(program);

	sink->difference.sql = sql->difference;
	sink->update.sql = sql->update;
	sink->insert.sql = sql->insert;
	sink->delete.sql = sql->delete;
	sink->delete_null.sql = sql->delete_null;
	if (sql->difference)
		sink->difference_desc = streaming_table_difference_desc(program);
	sink->deferrable = has_deferrable_constraints(program->sink.relid);
	return &sink->base;
}

/*
 * Runs a statement that joins.  It is planned each time, which costs little
 * beside it: how large the table is now decides between index and hash.
 */
static void
run_afresh(StreamingStatement *statement, StreamingDelta *changes, DestReceiver *dest)
{
	if (statement->sql == NULL)
		return;
	streaming_statement_run(statement, changes, NULL, false, dest);
	streaming_statement_free(statement);
}

/* Complete mode: what the table lacks, and what it has too much. */
static StreamingDelta *
find_difference(TableSink *sink)
{
	StreamingDelta *changes = palloc0(sizeof(StreamingDelta));
	DestReceiver *dest = CreateTuplestoreDestReceiver();
	TupleTableSlot *slot = MakeSingleTupleTableSlot(sink->difference_desc,
													&TTSOpsMinimalTuple);

	changes->name = "changes";
	changes->desc = sink->difference_desc;
	changes->store = tuplestore_begin_heap(false, false, work_mem);
	SetTuplestoreDestReceiverParams(dest, changes->store, CurrentMemoryContext, true,
									NULL, NULL);
	run_afresh(&sink->difference, NULL, dest);
	changes->nrows = tuplestore_tuple_count(changes->store);

	while (changes->nleaving == 0 &&
		   tuplestore_gettupleslot(changes->store, true, false, slot))
	{
		bool		isnull;

		if (DatumGetInt64(slot_getattr(slot, sink->difference_desc->natts, &isnull)) < 0)
			changes->nleaving++;
	}
	ExecDropSingleTupleTableSlot(slot);
	dest->rDestroy(dest);
	return changes;
}

static void
table_write(StreamingSink *base, StreamingDelta *changes)
{
	TableSink  *sink = (TableSink *) base;
	bool		complete = changes == NULL;

	if (sink->deferrable)
		SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);
	if (complete)
		changes = find_difference(sink);
	if (changes->nleaving > 0)
	{
		run_afresh(&sink->delete, changes, NULL);
		run_afresh(&sink->delete_null, changes, NULL);
	}
	if (changes->nrows > changes->nleaving)
	{
		run_afresh(&sink->update, changes, NULL);
		streaming_statement_run(&sink->insert, changes, NULL, false, NULL);
	}
	if (complete)
		tuplestore_end(changes->store);
}

static void
table_close_sink(StreamingSink *base)
{
	TableSink  *sink = (TableSink *) base;

	streaming_statement_free(&sink->difference);
	streaming_statement_free(&sink->update);
	streaming_statement_free(&sink->insert);
	streaming_statement_free(&sink->delete);
	streaming_statement_free(&sink->delete_null);
}

const StreamingSinkRoutine streaming_sink_table = {
	.name = "table",
	.check = table_check,
	.open = table_open_sink,
	.write = table_write,
	.close = table_close_sink,
};
