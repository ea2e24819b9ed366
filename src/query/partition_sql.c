/*
 * partition_sql.c
 *		The statements of a stage that computes its partitions anew.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "query/partition.h"
#include "streaming.h"

/*
 * The row of a leaf as a whole, which has all its columns.  A record has their names, too;
 * "r" alone would be its column of that name.  The planner, if it saw into a row with dropped
 * columns, would take these for NULL.
 */
static char *
whole_row(Leaf *leaf)
{
	bool		is_record = leaf->row_type == RECORDOID;
	char	   *type = is_record ? NULL : format_type_be_qualified(leaf->row_type);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < list_length(leaf->columns); i++)
	{
		appendStringInfo(&buf, "%st.c%d", i ? ", " : "", i + 1);
		if (is_record)
			appendStringInfo(&buf, " AS %s", quote_identifier(strVal(list_nth(leaf->names, i))));
	}
	if (is_record)
		return psprintf("(SELECT r.*::pg_catalog.record FROM (SELECT %s) r)", buf.data);
	return psprintf(leaf->dropped ? "(SELECT ROW(%s)::%s)" : "ROW(%s)::%s", buf.data, type);
}

void
streaming_append_leaf(StringInfo buf, Leaf *leaf, int i, const char *more, int nmore,
					  const char *rows)
{
	RangeTblEntry *rte = streaming_leaf_rte(leaf);
	ListCell   *lc;
	int			next = 0;
	int			ncolumns = list_length(rte->eref->colnames) - nmore;

	appendStringInfo(buf, "\"$leaf_%d\"", i + 1);
	for (int k = 0; k < list_length(rte->eref->colnames); k++)
		appendStringInfo(buf, "%s%s", k ? ", " : "(",
						 quote_identifier(strVal(list_nth(rte->eref->colnames, k))));
	appendStringInfoString(buf, rte->eref->colnames ? ") AS NOT MATERIALIZED (SELECT " :
						   " AS NOT MATERIALIZED (SELECT ");
	for (int k = 0; k < ncolumns; k++)
	{
		lc = next < list_length(leaf->columns) ? list_nth_cell(leaf->columns, next) : NULL;
		if (k)
			appendStringInfoString(buf, ", ");
		if (lc && lfirst_node(Var, lc)->varattno == k + 1)
			appendStringInfo(buf, "t.c%d", ++next);
		else if (leaf->tableoid && k == ncolumns - 1)
			appendStringInfo(buf, "%u::pg_catalog.oid", leaf->relid);
		else if (OidIsValid(leaf->row_type) && k == ncolumns - (leaf->tableoid ? 2 : 1))
			appendStringInfoString(buf, whole_row(leaf));
		else
			appendStringInfoString(buf, "NULL::pg_catalog.text");
	}
	if (nmore > 0)
		appendStringInfo(buf, "%s%s", ncolumns ? ", " : "", more);
	appendStringInfo(buf, " FROM %s)", rows);
}

char *
streaming_closing_rows(StreamingEdge *edge)
{
	return psprintf("%s.%s t WHERE t.\"$closes\" OPERATOR(pg_catalog.>) $1 AND t.\"$closes\" OPERATOR(pg_catalog.<=) $2",
					STREAMING_INTERNAL_SCHEMA, edge->table);
}

/* The rows of an edge; of the partition g, unless there is one as a whole. */
static char *
partition_rows(Partition *partition, StreamingStage *stage, StreamingEdge *edge)
{
	bool		closing = partition->by_row && edge == &stage->edges[0];
	const char *rows = closing ? streaming_closing_rows(edge) :
		psprintf("%s.%s t%s", STREAMING_INTERNAL_SCHEMA, edge->table, !edge->weighted ? "" :
				 ", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")");

	return psprintf("%s%s", rows, stage->whole ? "" : closing ?
					" AND t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\"" :
					" WHERE t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\"");
}

char *
streaming_partition_sql(Partition *partition, StreamingStage *stage, const char *query)
{
	StringInfoData buf;
	const char *columns = !partition->by_row ? stage->whole ? "0::pg_catalog.int8, q.*" :
		"g.\"$group\", q.*" : "q.*, 1::pg_catalog.int8";
	const char *groups = partition->by_row ?
		psprintf("(SELECT DISTINCT t.\"$group\" FROM %s) g",
				 streaming_closing_rows(&stage->edges[0])) :
		"pg_catalog.unnest($1) g(\"$group\")";
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s FROM ", columns);
	appendStringInfo(&buf, stage->whole ? "(" : "%s, LATERAL (", groups);
	foreach(lc, partition->leaves)
	{
		int			i = foreach_current_index(lc);

		appendStringInfoString(&buf, i ? ", " : "WITH ");
		streaming_append_leaf(&buf, lfirst(lc), i, NULL, 0,
							  partition_rows(partition, stage, &stage->edges[i]));
	}
	appendStringInfo(&buf, " SELECT * FROM (%s) r) q", query);
	return buf.data;
}

/*
 * The rows of an edge whose partitions are in $1; all of them, if the stage is whole.
 * Without statistics the planner takes partitions for large: it is not to read the
 * whole table for some.
 */
static char *
touched_rows(StreamingStage *stage, StreamingEdge *edge)
{
	char	   *rows = psprintf("%s.%s t%s", STREAMING_INTERNAL_SCHEMA, edge->table,
								edge->weighted ? ", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")" : "");

	return stage->whole ? rows :
		psprintf("pg_catalog.unnest($1) g(\"$group\"), "
				 "LATERAL (SELECT t.*, t.ctid FROM %s WHERE t.\"$group\" OPERATOR(pg_catalog.=) g.\"$group\" OFFSET 0) t",
				 rows);
}

bool
streaming_is_ordered(Partition *partition)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Query	   *query = leaf->level->query;

	return list_length(partition->leaves) == 1 &&
		list_length(partition->levels) == partition->depth + 1 &&
		(query->hasWindowFuncs || query->hasDistinctOn) && streaming_only_relation(query) == leaf->rti;
}

char *
streaming_ordered_sql(Partition *partition, StreamingStage *stage, List *columns)
{
	Leaf	   *leaf = linitial(partition->leaves);
	int			n = stage->noutputs + list_length(columns);
	StringInfoData more;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&more);
	foreach(lc, columns)
	{
		int			i = streaming_list_position(leaf->columns, lfirst(lc));

		appendStringInfo(&more, "t.c%d, ", i + 1);
		streaming_carry_column(partition->query, partition->depth, psprintf("$c%d", i + 1),
							   lfirst_node(Var, lc)->vartype);
	}
	appendStringInfoString(&more, "t.\"$group\"");
	streaming_carry_column(partition->query, partition->depth, "$group", INT8OID);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT q.\"$group\"");
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, ", q.c%d", i + 1);
	appendStringInfoString(&buf, " FROM (WITH ");
	streaming_append_leaf(&buf, leaf, 0, more.data, list_length(columns) + 1,
						  stage->edges[0].kept_keys ? "\"$touched\" t" : touched_rows(stage, &stage->edges[0]));
	appendStringInfo(&buf, " %s) q(", streaming_deparse(partition->query));
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "c%d, ", i + 1);
	appendStringInfoString(&buf, "\"$group\")");
	return buf.data;
}

Query *
streaming_partition_behind(Partition *partition, StreamingStage *stage, int64 *most)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Level	   *above = list_length(partition->levels) > 1 ?
		list_nth(partition->levels, list_length(partition->levels) - 2) : NULL;
	Query	   *query = leaf->level->query;

	if (list_length(partition->leaves) > 1 || stage->edges[0].is_signed ||
		streaming_only_relation(query) != leaf->rti ||
		list_length(partition->levels) != partition->depth + 1)
		return NULL;
	return streaming_rows_behind(query, above ? above->query : NULL, most);
}

char *
streaming_prune_sql(Partition *partition, StreamingStage *stage)
{
	Leaf	   *leaf = linitial(partition->leaves);
	Level		level = *leaf->level;
	Leaf		behind = *leaf;
	StringInfoData buf;
	int64		most;

	level.query = streaming_partition_behind(partition, stage, &most);
	if (level.query == NULL)
		return NULL;
	behind.level = &level;
	(void) streaming_carry_column(level.query, 0, "$tid", TIDOID);
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT q.tid FROM (WITH ");
	streaming_append_leaf(&buf, &behind, 0, "t.ctid", 1, touched_rows(stage, &stage->edges[0]));
	appendStringInfo(&buf, " %s) q(n, tid) WHERE q.n OPERATOR(pg_catalog.>) (" INT64_FORMAT ")::pg_catalog.int8",
					 streaming_deparse(level.query), most);
	return buf.data;
}

char *
streaming_prune_rows(Partition *partition, StreamingStage *stage, const char *sql)
{
	Leaf	   *leaf = linitial(partition->leaves);
	StreamingEdge *edge = &stage->edges[0];
	int			ncolumns = edge->ncolumns + edge->nkeys;
	Level		level = *leaf->level;
	Leaf		behind = *leaf;
	StringInfoData columns;
	StringInfoData buf;
	int64		most;

	level.query = sql ? streaming_partition_behind(partition, stage, &most) : NULL;
	if (level.query == NULL)
		return (char *) sql;
	behind.level = &level;
	initStringInfo(&columns);
	for (int i = 0; i < ncolumns; i++)
	{
		bool		is_key = i >= edge->ncolumns;
		char	   *name = psprintf("%c%d", is_key ? 'k' : 'c', is_key ? i - edge->ncolumns + 1 : i + 1);
		StreamingValue *value = is_key ? &edge->keys[i - edge->ncolumns] : &edge->columns[i];

		appendStringInfo(&columns, "%st.%s", i ? ", " : "", name);
		(void) streaming_carry_column(level.query, 0, psprintf("$%s", name), value->type);
	}
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(&buf, "%sq.v%d", i ? ", " : "", i + 1);
	appendStringInfoString(&buf, " FROM (WITH ");
	streaming_append_leaf(&buf, &behind, 0, columns.data, ncolumns, psprintf("(%s) t", sql));
	appendStringInfo(&buf, " %s) q(n", streaming_deparse(level.query));
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(&buf, ", v%d", i + 1);
	appendStringInfo(&buf, ") WHERE q.n OPERATOR(pg_catalog.<=) (" INT64_FORMAT ")::pg_catalog.int8", most);
	return buf.data;
}
