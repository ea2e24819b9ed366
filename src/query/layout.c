/*
 * layout.c
 *		The tables behind a continuous view: their names, columns and DDL.
 *
 * The layout follows from the program alone, so that a worker finds the columns
 * by number where CREATE VIEW put them.  Outputs have the names of the view's columns,
 * but for those that a table cannot have, and that are like ours.
 *
 *	result_<id>		 what users read: the outputs first; then, unless an output
 *					 is just that, "$k<n>" group keys and "$s<n>" aggregate
 *					 states; "$shown" whether HAVING holds; "$hash" of the keys
 *	state_<id>_<n>	 the same without outputs, of a stage that nobody reads, or
 *					 whose groups are written to result_<id> when they close
 *	memory_<id>		 of a view with the sink memory, whose tables are unlogged: one
 *					 row, from the first batch on (sink/sink_memory.c)
 *					 of a stage that keeps values in order "$group" (hash of the
 *					 keys of the group above), with an index of it and each; of
 *					 those that can be wide one of the narrow ones, and one of the
 *					 others' groups
 *	bag_<id>_<n>	 keys, arguments, "$count", "$group" (hash of the keys),
 *					 "$hash" (of keys and arguments)
 *	rows_<id>_<n>_<m>  rows of the m-th input of a stage that keeps them, "$count",
 *					 "$group" (hash of the partition) and, if they may disappear,
 *					 "$hash" (of the row)
 *
 * Where rows go when their group closes, or when they can be joined no more, "$closes"
 * is that time, with an index.
 * It is a function of the keys, so that updates of a row leave the index alone.
 * Sessions always have it, behind "$hash" in its index: of the sessions of one
 * hash, those that may still grow are found without reading the others.
 *
 * Rows are found by "$hash" alone: any type that can be grouped is a key, however
 * wide, with NULLs, and most updates are heap-only.  The index on it, and that on the
 * "$group" of rows, are made when they are needed (state/state_ways.c).  The result table
 * has one on the outputs that are keys (key_index.c), and those that users make
 * (command/view_index.c).
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/heap.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "query/program.h"
#include "catalog/object_name.h"
#include "streaming.h"

/*
 * Free space for heap-only updates: enough for a new version of every row of a
 * page.  A batch that runs behind updates most groups at once, and what does not
 * find room in its page costs an entry of the index, and makes the table grow.
 */
#define TABLE_FILLFACTOR 50

static char *
qualified(const char *name)
{
	return psprintf("%s.%s", STREAMING_INTERNAL_SCHEMA, quote_identifier(name));
}

char *
streaming_column_name(const char *name, AttrNumber attno)
{
	return name[0] == '$' || SystemAttributeByName(name) != NULL ? psprintf("$_%d", attno) :
		pstrdup(name);
}

char *
streaming_change_stream_name(int32 id)
{
	return psprintf("changes_%d", id);
}

static void
set_value(TupleDesc desc, AttrNumber attno, const char *name, StreamingValue *value)
{
	TupleDescInitEntry(desc, attno, name, value->type, value->typmod, 0);
	if (OidIsValid(value->collation))
		TupleDescInitEntryCollation(desc, attno, value->collation);
}

/* Columns of stage->result_table where that is a table of its own. */
static TupleDesc
outputs_layout(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->noutputs);

	for (int i = 0; i < stage->noutputs; i++)
		set_value(desc, i + 1, stage->outputs[i].column, &stage->outputs[i]);
	TupleDescFinalize(desc);
	return desc;
}

static TupleDesc
table_layout(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->natts);
	bool	   *is_output = palloc0(sizeof(bool) * (stage->natts + 1));

	for (int i = 0; stage->outputs_stored && i < stage->noutputs; i++)
	{
		set_value(desc, stage->outputs[i].attno, stage->outputs[i].column, &stage->outputs[i]);
		is_output[stage->outputs[i].attno] = true;
	}
	for (int i = 0; i < stage->nkeys; i++)
	{
		if (!is_output[stage->keys[i].attno])
			set_value(desc, stage->keys[i].attno, psprintf("$k%d", i + 1), &stage->keys[i]);
	}
	for (int i = 0; i < stage->naggs; i++)
	{
		StreamingAggregate *agg = &stage->aggs[i];

		if (!is_output[agg->attno])
			TupleDescInitEntry(desc, agg->attno, psprintf("$s%d", i + 1), agg->statetype,
							   agg->statetypmod, 0);
	}
	if (stage->count_attno)
		TupleDescInitEntry(desc, stage->count_attno, "$count", INT8OID, -1, 0);
	if (stage->group_attno)
		TupleDescInitEntry(desc, stage->group_attno, "$group", INT8OID, -1, 0);
	if (stage->shown_attno)
		TupleDescInitEntry(desc, stage->shown_attno, "$shown", BOOLOID, -1, 0);
	if (stage->closes_attno)
		TupleDescInitEntry(desc, stage->closes_attno, "$closes", TIMESTAMPTZOID, -1, 0);
	if (stage->hash_attno)
		TupleDescInitEntry(desc, stage->hash_attno, "$hash", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static TupleDesc
edge_layout(StreamingEdge *edge)
{
	int			natts = edge->weighted ? STREAMING_EDGE_HASH(edge) : STREAMING_EDGE_GROUP(edge);
	TupleDesc	desc;

	if (edge->closes)
		edge->closes_attno = ++natts;
	desc = CreateTemplateTupleDesc(natts);

	for (int i = 0; i < edge->ncolumns; i++)
	{
		edge->columns[i].attno = i + 1;
		set_value(desc, i + 1, edge->columns[i].name, &edge->columns[i]);
	}
	TupleDescInitEntry(desc, STREAMING_EDGE_COUNT(edge), "$count", INT8OID, -1, 0);
	TupleDescInitEntry(desc, STREAMING_EDGE_GROUP(edge), "$group", INT8OID, -1, 0);
	if (edge->weighted)
		TupleDescInitEntry(desc, STREAMING_EDGE_HASH(edge), "$hash", INT8OID, -1, 0);
	if (edge->closes)
		TupleDescInitEntry(desc, edge->closes_attno, "$closes", TIMESTAMPTZOID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static TupleDesc
bag_layout(StreamingStage *stage)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stage->bag_natts);
	int			n = 0;

	for (int i = 0; i < stage->nkeys; i++)
		set_value(desc, ++n, psprintf("k%d", i + 1), &stage->keys[i]);
	for (int i = 0; i < stage->nargs; i++)
		set_value(desc, ++n, psprintf("a%d", i + 1), &stage->args[i]);
	if (stage->bag_closes_attno)
		TupleDescInitEntry(desc, stage->bag_closes_attno, "$closes", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, STREAMING_BAG_COUNT(stage), "$count", INT8OID, -1, 0);
	TupleDescInitEntry(desc, STREAMING_BAG_GROUP(stage), "$group", INT8OID, -1, 0);
	TupleDescInitEntry(desc, STREAMING_BAG_HASH(stage), "$hash", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

static void
layout_stage(StreamingProgram *program, StreamingStage *stage)
{
	int			natts = 0;
	bool		own = stage->last && program->keeps_result;

	if (stage->kind == STREAMING_STAGE_JOIN)
		return;
	if (stage->kind == STREAMING_STAGE_APPEND)
	{
		if (!own)
			return;
		stage->table = stage->result_table = psprintf("result_%d", program->id);
		stage->natts = stage->noutputs;
		stage->outputs_stored = true;
		for (int i = 0; i < stage->noutputs; i++)
			stage->outputs[i].attno = i + 1;
		return;
	}

	if (own)
		stage->result_table = psprintf("result_%d", program->id);
	own = own && !stage->emits_closed;
	stage->table = own ? stage->result_table :
		psprintf("state_%d_%d", program->id, stage->number);
	stage->outputs_stored = own;
	stage->evicts = stage->closes_text && !own;
	for (int i = 0; own && i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		output->attno = ++natts;
		if (output->key >= 0 && stage->keys[output->key].attno == 0)
			stage->keys[output->key].attno = natts;
		if (output->aggregate >= 0 && stage->aggs[output->aggregate].attno == 0 &&
			!OidIsValid(stage->aggs[output->aggregate].finalfn))
			stage->aggs[output->aggregate].attno = natts;
	}
	for (int i = 0; i < stage->nkeys; i++)
	{
		if (stage->keys[i].attno == 0)
			stage->keys[i].attno = ++natts;
	}
	for (int i = 0; i < stage->naggs; i++)
	{
		if (stage->aggs[i].attno == 0)
			stage->aggs[i].attno = ++natts;
	}
	if (stage->kind == STREAMING_STAGE_MULTISET || stage->kind == STREAMING_STAGE_PARTITION)
		stage->count_attno = ++natts;
	if (stage->kind == STREAMING_STAGE_PARTITION || stage->ordered)
		stage->group_attno = ++natts;
	if (own && stage->having)
		stage->shown_attno = ++natts;
	if (stage->evicts || stage->kind == STREAMING_STAGE_SESSION)
		stage->closes_attno = ++natts;
	stage->hash_attno = ++natts;
	stage->natts = natts;

	if (stage->kind == STREAMING_STAGE_RECOMPUTE)
	{
		stage->bag_table = psprintf("bag_%d_%d", program->id, stage->number);
		for (int i = 0; i < stage->nargs; i++)
			stage->args[i].attno = stage->nkeys + i + 1;
		if (stage->closes)
			stage->bag_closes_attno = stage->nkeys + stage->nargs + 1;
		stage->bag_natts = stage->nkeys + stage->nargs + (stage->closes ? 4 : 3);
	}
}

void
streaming_layout(StreamingProgram *program)
{
	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		layout_stage(program, stage);
		if (stage->table)
			stage->table_desc = table_layout(stage);
		if (stage->bag_table)
			stage->bag_desc = bag_layout(stage);
		for (int k = 0; k < stage->nedges; k++)
		{
			if (stage->edges[k].table)
				stage->edges[k].desc = edge_layout(&stage->edges[k]);
		}
		if (stage->result_table && stage->emits_closed)
			stage->result_desc = outputs_layout(stage);
	}
}

void
streaming_layout_check(Relation rel, TupleDesc expected)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		fits = rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID && desc->natts == expected->natts;

	for (int i = 0; fits && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Form_pg_attribute wanted = TupleDescAttr(expected, i);

		fits = !att->attisdropped && att->attgenerated == '\0' &&
			att->atttypid == wanted->atttypid && att->attcollation == wanted->attcollation &&
			strcmp(NameStr(att->attname), NameStr(wanted->attname)) == 0;
	}
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table \"%s.%s\" does not fit its continuous view any more",
						STREAMING_INTERNAL_SCHEMA, RelationGetRelationName(rel)),
				 errhint("Drop the view and create it again.")));
}

/* The trigger that refuses, enabled, and no other? */
static bool
is_read_only(Relation rel)
{
	TriggerDesc *desc = rel->trigdesc;
	Trigger    *trigger = desc ? desc->triggers : NULL;

	return desc && desc->numtriggers == 1 && trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN &&
		get_func_namespace(trigger->tgfoid) == streaming_internal_namespace();
}

/*
 * Has a table what nothing but ALTER by somebody else gives it?  Workers write it
 * without asking for constraints, triggers and rules.
 */
static bool
is_altered(Relation rel, bool unlogged)
{
	return rel->rd_rel->relowner != streaming_catalog_owner() ||
		rel->rd_rel->relpersistence != (unlogged ? RELPERSISTENCE_UNLOGGED : RELPERSISTENCE_PERMANENT) ||
		rel->rd_rel->relispartition || has_superclass(RelationGetRelid(rel)) ||
		(rel->rd_rel->relhassubclass &&
		 find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL) ||
		rel->rd_rel->relrowsecurity || rel->rd_rules != NULL ||
		RelationGetDescr(rel)->constr != NULL || !is_read_only(rel);
}

static bool
table_matches(StreamingProgram *program, const char *name, TupleDesc desc)
{
	Oid			relid = name ? get_relname_relid(name, streaming_internal_namespace()) : InvalidOid;
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;
	bool		matches;

	if (rel == NULL)
		return true;			/* that it is lost is found out when it is used */
	matches = RelationGetDescr(rel)->natts == desc->natts;
	if (matches)
		streaming_layout_check(rel, desc);
	if (matches && is_altered(rel, program->sink.kind == STREAMING_SINK_MEMORY))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" of a continuous view has been altered",
						STREAMING_INTERNAL_SCHEMA, name),
				 errdetail("Nothing but the view's batches may change it: it has another owner, or triggers, rules, policies, constraints, parents or children that were not made with it."),
				 errhint("Take them away, or drop the view and create it again.")));
	relation_close(rel, AccessShareLock);
	return matches;
}

bool
streaming_layout_matches(StreamingProgram *program)
{
	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		for (int k = 0; k < stage->nedges; k++)
		{
			if (stage->edges[k].table &&
				!table_matches(program, stage->edges[k].table, stage->edges[k].desc))
				return false;
		}
		if (!table_matches(program, stage->table, stage->table_desc) ||
			!table_matches(program, stage->bag_table, stage->bag_desc) ||
			(stage->result_desc &&
			 !table_matches(program, stage->result_table, stage->result_desc)))
			return false;
	}
	return true;
}

/* Adds relations of composite types that values of type may hold. */
static List *
add_row_types(List *relids, Oid type)
{
	TupleDesc	desc;

	if (OidIsValid(get_element_type(type)))
		return add_row_types(relids, get_element_type(type));
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return add_row_types(relids, getBaseType(type));
		case TYPTYPE_RANGE:
			return add_row_types(relids, get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return add_row_types(relids, get_multirange_range(type));
		case TYPTYPE_COMPOSITE:
			break;
		default:
			return relids;
	}
	if (list_member_oid(relids, get_typ_typrelid(type)))
		return relids;
	relids = lappend_oid(relids, get_typ_typrelid(type));
	desc = lookup_rowtype_tupdesc_copy(type, -1);
	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			relids = add_row_types(relids, TupleDescAttr(desc, i)->atttypid);
	}
	return relids;
}

List *
streaming_layout_row_types(StreamingProgram *program)
{
	List	   *relids = NIL;

	for (int i = 0; i < program->nstages; i++)
	{
		StreamingStage *stage = &program->stages[i];

		for (int k = 0; k < stage->noutputs; k++)
			relids = add_row_types(relids, stage->outputs[k].type);
		for (int k = 0; k < stage->nkeys; k++)
			relids = add_row_types(relids, stage->keys[k].type);
		for (int k = 0; k < stage->nargs; k++)
			relids = add_row_types(relids, stage->args[k].type);
		for (int k = 0; k < stage->naggs; k++)
			relids = add_row_types(relids, stage->aggs[k].statetype);
		for (int k = 0; k < stage->nedges; k++)
		{
			for (int n = 0; n < stage->edges[k].ncolumns; n++)
				relids = add_row_types(relids, stage->edges[k].columns[n].type);
		}
	}
	return relids;
}

static char *
column_ddl(const char *name, Oid type, int32 typmod, Oid collation)
{
	StringInfoData buf;

	if (get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support values of type %s, which no table can hold",
						format_type_be(type)),
				 errhint("Use the columns themselves, or cast to a composite type.")));
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s %s", quote_identifier(name),
					 format_type_extended(type, typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	if (OidIsValid(collation) && collation != get_typcollation(type))
		appendStringInfo(&buf, " COLLATE %s", streaming_collation_name(collation));
	return buf.data;
}

/*
 * CREATE TABLE name with the columns of desc, and indexes.  updated: its rows will be.  indexed:
 * of char *, columns with a comma between them.
 */
static List *
table_ddl(List *ddl, const char *name, TupleDesc desc, bool updated, List *indexed)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TABLE %s (", qualified(name));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 column_ddl(NameStr(att->attname), att->atttypid, att->atttypmod,
									att->attcollation));
	}
	appendStringInfoChar(&buf, ')');
	if (updated)
		appendStringInfo(&buf, " WITH (fillfactor = %d)", TABLE_FILLFACTOR);
	ddl = lappend(ddl, buf.data);
	foreach(lc, indexed)
	{
		char	   *first = pstrdup(lfirst(lc));
		char	   *second = strchr(first, ',');

		if (second)
			*second++ = '\0';
		ddl = lappend(ddl, psprintf("CREATE INDEX %s ON %s (%s%s%s)",
									quote_identifier(psprintf("%s_%s", name, first + 1)),
									qualified(name), quote_identifier(first),
									second ? ", " : "", second ? quote_identifier(second) : ""));
	}
	return ddl;
}

/* CREATE INDEX on the group and each ordered key. */
static List *
ordered_ddl(List *ddl, StreamingStage *stage)
{
	StringInfoData wide;

	initStringInfo(&wide);
	for (int i = bms_next_member(stage->ordered, -1); i >= 0; i = bms_next_member(stage->ordered, i))
	{
		char	   *narrow = bms_is_member(i, stage->wide) ?
			psprintf("%s.is_narrow(\"$k%d\")", STREAMING_INTERNAL_SCHEMA, i + 1) : NULL;

		ddl = lappend(ddl, psprintf("CREATE INDEX %s ON %s (\"$group\", \"$k%d\")%s%s",
									quote_identifier(psprintf("%s_group_$k%d", stage->table, i + 1)),
									qualified(stage->table), i + 1, narrow ? " WHERE " : "",
									narrow ? narrow : ""));
		if (narrow)
			appendStringInfo(&wide, "%s%s", wide.len > 0 ? " AND " : "", narrow);
	}
	if (wide.len > 0)
		ddl = lappend(ddl, psprintf("CREATE INDEX %s ON %s (\"$group\") WHERE NOT (%s)",
									quote_identifier(psprintf("%s_wide", stage->table)),
									qualified(stage->table), wide.data));
	return ddl;
}

static List *
stage_ddl(List *ddl, StreamingStage *stage)
{
	List	   *indexed = NIL;

	if (stage->table == NULL)
		return ddl;
	if (stage->kind == STREAMING_STAGE_SESSION)
		indexed = list_make1("$hash,$closes");
	if (stage->evicts)
		indexed = lappend(indexed, "$closes");
	if (stage->suffix)
	{
		int			order = stage->suffix->keys[stage->suffix->npartition];
		int			i = stage->keys[order].attno - 1;

		indexed = lappend(indexed, psprintf("$group,%s",
											NameStr(TupleDescAttr(stage->table_desc, i)->attname)));
	}
	return ordered_ddl(table_ddl(ddl, stage->table, stage->table_desc, stage->hash_attno != 0, indexed),
					   stage);
}

/* The rows of the inputs of a stage that keeps them. */
static List *
edges_ddl(List *ddl, StreamingStage *stage)
{
	for (int i = 0; i < stage->nedges; i++)
	{
		StreamingEdge *edge = &stage->edges[i];
		List	   *indexed = stage->suffix ?
			list_make1(psprintf("$group,c%d", stage->suffix->columns[stage->suffix->npartition])) :
			streaming_maps_partitions(stage, edge) || (stage->whole && edge->nkeys == 0) ? NIL :
			list_make1("$group");

		if (edge->closes)
			indexed = lappend(indexed, "$closes");
		if (edge->table)
			ddl = table_ddl(ddl, edge->table, edge->desc, edge->weighted, indexed);
	}
	return ddl;
}

static List *
bag_ddl(List *ddl, StreamingStage *stage)
{
	List	   *indexed = list_make1("$group");

	if (stage->bag_table == NULL)
		return ddl;
	if (stage->bag_closes_attno)
		indexed = lappend(indexed, "$closes");
	return table_ddl(ddl, stage->bag_table, stage->bag_desc, true, indexed);
}

char *
streaming_memory_table(int32 id)
{
	return psprintf("memory_%d", id);
}

/* All tables are emptied by a crash, or none; the one more tells that they were. */
static List *
unlogged_ddl(List *ddl, int32 id)
{
	static const char create[] = "CREATE TABLE ";
	ListCell   *lc;

	ddl = lappend(ddl, psprintf("%s%s (batch_id pg_catalog.int8)", create,
								qualified(streaming_memory_table(id))));
	foreach(lc, ddl)
	{
		char	   *sql = lfirst(lc);

		if (strncmp(sql, create, strlen(create)) == 0)
			lfirst(lc) = psprintf("CREATE UNLOGGED TABLE %s", sql + strlen(create));
	}
	return ddl;
}

List *
streaming_layout_ddl(StreamingProgram *program)
{
	List	   *ddl = NIL;

	for (int i = 0; i < program->nstages; i++)
	{
		ddl = stage_ddl(ddl, &program->stages[i]);
		ddl = bag_ddl(ddl, &program->stages[i]);
		ddl = edges_ddl(ddl, &program->stages[i]);
		if (program->stages[i].result_desc)
			ddl = table_ddl(ddl, program->stages[i].result_table,
							program->stages[i].result_desc, false, NIL);
	}
	return program->sink.kind == STREAMING_SINK_MEMORY ? unlogged_ddl(ddl, program->id) : ddl;
}

char *
streaming_layout_temporary_ddl(StreamingProgram *program, const char *name)
{
	StreamingStage *last = streaming_last_stage(program);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TEMPORARY TABLE pg_temp.%s (", quote_identifier(name));
	for (int i = 0; i < last->noutputs; i++)
	{
		StreamingValue *output = &last->outputs[i];

		appendStringInfo(&buf, "%s%s", i ? ", " : "",
						 column_ddl(output->name, output->type, output->typmod,
									output->collation));
	}
	appendStringInfoString(&buf, ") ON COMMIT DELETE ROWS");
	return buf.data;
}

char *
streaming_layout_result_query(StreamingProgram *program, bool for_users)
{
	StreamingStage *last = streaming_last_stage(program);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < last->noutputs; i++)
	{
		StreamingValue *output = &last->outputs[i];

		appendStringInfo(&buf, "%s%s", i ? ", " : "", quote_identifier(output->column));
		if (for_users && strcmp(output->column, output->name) != 0)
			appendStringInfo(&buf, " AS %s", quote_identifier(output->name));
	}
	appendStringInfo(&buf, " FROM %s", qualified(last->result_table));
	if (last->count_attno && !last->emits_closed)
		appendStringInfoString(&buf, ", pg_catalog.generate_series(1::pg_catalog.int8, \"$count\")");
	if (last->shown_attno)
		appendStringInfoString(&buf, " WHERE \"$shown\"");
	return buf.data;
}

/* What users read where results are kept nowhere: an error that says so. */
static char *
no_result_query(StreamingStage *last)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < last->noutputs; i++)
	{
		StreamingValue *output = &last->outputs[i];

		appendStringInfo(&buf, "%sNULL::%s AS %s", i ? ", " : "",
						 format_type_extended(output->type, output->typmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
						 quote_identifier(output->name));
	}
	appendStringInfo(&buf, " FROM %s.no_result()", STREAMING_INTERNAL_SCHEMA);
	return buf.data;
}

/* What the view of users is made with. */
char *
streaming_layout_view_query(StreamingProgram *program)
{
	StreamingStage *last = streaming_last_stage(program);
	StringInfoData buf;
	const char *order_by = program->order_by ? program->order_by : "";

	if (program->sink.kind != STREAMING_SINK_RELATION)
		return program->keeps_result ?
			psprintf("%s%s", streaming_layout_result_query(program, true), order_by) :
			no_result_query(last);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < last->noutputs; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", quote_identifier(last->outputs[i].name));
	appendStringInfo(&buf, " FROM %s%s", streaming_qualified_name(program->sink.relid), order_by);
	return buf.data;
}

/* The stream that carries a view's changes to the views that read it. */
char *
streaming_change_stream_ddl(StreamingView *upstream)
{
	Relation	rel = relation_open(upstream->view, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE FOREIGN TABLE %s (",
					 qualified(streaming_change_stream_name(upstream->id)));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&buf, "%s, ", column_ddl(streaming_column_name(NameStr(att->attname), i + 1),
												  att->atttypid, att->atttypmod, att->attcollation));
	}
	appendStringInfoString(&buf, "\"$sign\" pg_catalog.int2) SERVER streaming");
	relation_close(rel, NoLock);
	return buf.data;
}

StreamingViewSpec *
streaming_query_spec(Query *query, int32 id, List *tables, const StreamingSinkSpec *sink,
					 int mode)
{
	StreamingViewSpec *spec = palloc0(sizeof(StreamingViewSpec));
	StreamingProgram *program = streaming_compile(query, GetUserId(), id, tables, sink, mode);

	for (int i = 0; i < program->ninputs; i++)
		spec->streams = lappend_oid(spec->streams, program->inputs[i].relid);
	spec->output_mode = program->output_mode;
	spec->tables = streaming_layout_ddl(program);
	if (program->keeps_result)
		spec->result_name = psprintf("result_%d", id);
	for (int i = 0; i < program->ninputs; i++)
	{
		StreamingView *upstream;

		if (!program->inputs[i].is_loaded || program->inputs[i].is_table || OidIsValid(program->inputs[i].scan))
			continue;
		upstream = streaming_catalog_view(program->inputs[i].relid, false);
		spec->upstreams = lappend_oid(spec->upstreams, upstream->view);
		spec->change_streams = lappend(spec->change_streams, streaming_change_stream_ddl(upstream));
		spec->change_stream_names = lappend(spec->change_stream_names,
											streaming_change_stream_name(upstream->id));
	}
	(void) streaming_program_grows(program, &spec->growth, &spec->growth_hint);
	spec->view_query = streaming_layout_view_query(program);
	return spec;
}
