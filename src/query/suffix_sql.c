/*
 * suffix_sql.c
 *		The statements of a stage that computes the ends of its partitions anew: suffix.c.
 *
 *	WITH "$from" AS (<partition and first key of the first row of "$touched">),
 *		 "$carry" AS (<... where rows begin to be read, and what is carried there>),
 *		 "$raw" AS (WITH "$leaf_1" AS (<rows from there on>) <the window functions>)
 *	SELECT <outputs> FROM "$raw"
 *
 * NULLs are at the end of the order, and are computed whenever there is something: where
 * nothing but NULLs has been touched, from the last value on.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "query/partition.h"
#include "streaming.h"

#define EQUAL "OPERATOR(pg_catalog.=)"

static const char *
before(StreamingSuffix *suffix)
{
	return suffix->descending ? "OPERATOR(pg_catalog.>)" : "OPERATOR(pg_catalog.<)";
}

static const char *
not_before(StreamingSuffix *suffix)
{
	return suffix->descending ? "OPERATOR(pg_catalog.<=)" : "OPERATOR(pg_catalog.>=)";
}

static const char *
forwards(StreamingSuffix *suffix)
{
	return suffix->descending ? "DESC" : "ASC";
}

static const char *
backwards(StreamingSuffix *suffix)
{
	return suffix->descending ? "ASC" : "DESC";
}

static char *
qualified(const char *table)
{
	return psprintf("%s.%s", STREAMING_INTERNAL_SCHEMA, quote_identifier(table));
}

/* The column of the stage's table that a key is. */
static const char *
key_column(StreamingStage *stage, int key)
{
	return quote_identifier(NameStr(TupleDescAttr(stage->table_desc, stage->keys[key].attno - 1)->attname));
}

/* Is a kept row t of the partition of a row of other, whose columns are called prefix<n>? */
static char *
row_in_partition(StreamingSuffix *suffix, const char *other, bool touched)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "t.\"$group\" " EQUAL " %s.\"$group\"", other);
	for (int i = 0; i < suffix->npartition; i++)
		appendStringInfo(&buf, " AND t.c%d IS NOT DISTINCT FROM %s.%c%d", suffix->columns[i], other,
						 touched ? 'c' : 'p', touched ? suffix->columns[i] : i + 1);
	return buf.data;
}

/* Is a row t of the stage's table of the partition f? */
static char *
output_in_partition(StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "t.\"$group\" " EQUAL " f.\"$group\"");
	for (int i = 0; i < suffix->npartition; i++)
		appendStringInfo(&buf, " AND t.%s IS NOT DISTINCT FROM f.p%d", key_column(stage, suffix->keys[i]),
						 i + 1);
	return buf.data;
}

static int
order_column(StreamingSuffix *suffix)
{
	return suffix->columns[suffix->npartition];
}

char *
streaming_suffix_carried(StreamingSuffix *suffix)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "f.\"$group\", f.o, f.has");
	for (int i = 0; i < suffix->ncarried; i++)
		appendStringInfo(&buf, ", f.x%d", i + 1);
	return buf.data;
}

char *
streaming_suffix_rows(StreamingSuffix *suffix, StreamingEdge *edge)
{
	char	   *table = qualified(edge->table);
	char	   *partition = row_in_partition(suffix, "f", false);

	return psprintf("\"$carry\" f, LATERAL (SELECT t.* FROM %s t WHERE %s AND t.c%d %s f.s "
					"UNION ALL SELECT t.* FROM %s t WHERE %s AND t.c%d IS NULL OFFSET 0) t%s",
					table, partition, order_column(suffix), not_before(suffix), table, partition,
					order_column(suffix), !edge->weighted ? "" :
					", pg_catalog.generate_series(1::pg_catalog.int8, t.\"$count\")");
}

/* The partitions that have been touched, and the first key of the first row. */
static void
append_from(StringInfo buf, StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	int			order = order_column(suffix);
	StringInfoData columns;
	StringInfoData named;

	initStringInfo(&columns);
	initStringInfo(&named);
	appendStringInfoString(&columns, "e.\"$group\"");
	appendStringInfoString(&named, "e.\"$group\"");
	for (int i = 0; i < suffix->npartition; i++)
	{
		appendStringInfo(&columns, ", e.c%d", suffix->columns[i]);
		appendStringInfo(&named, ", e.c%d AS p%d", suffix->columns[i], i + 1);
	}
	appendStringInfo(buf, "WITH \"$from\" AS MATERIALIZED (SELECT DISTINCT ON (%s) %s, "
					 "COALESCE(e.c%d, (SELECT t.c%d FROM %s t WHERE %s AND t.c%d IS NOT NULL "
					 "ORDER BY t.c%d %s LIMIT 1)) AS o FROM \"$touched\" e ORDER BY %s, e.c%d %s NULLS LAST)",
					 columns.data, named.data, order, order, qualified(stage->edges[0].table),
					 row_in_partition(suffix, "e", true), order, order, backwards(suffix),
					 columns.data, order, forwards(suffix));
}

/*
 * Where rows begin to be read: so many rows before the first; or with the partition, if it
 * has fewer.
 */
static char *
begin_sql(StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	int			order = order_column(suffix);
	char	   *rows = psprintf("SELECT t.c%d FROM %s t WHERE %s AND t.c%d %s f.o ORDER BY t.c%d", order,
								qualified(stage->edges[0].table),
								row_in_partition(suffix, "f", false), order, before(suffix), order);

	if (suffix->rows_before == 0)
		return "f.o";
	return psprintf("COALESCE((%s %s OFFSET " INT64_FORMAT " LIMIT 1), (%s %s LIMIT 1), f.o)", rows,
					backwards(suffix), suffix->rows_before - 1, rows, forwards(suffix));
}

/* The last row of the outputs before that, of those with its first key the last. */
static char *
last_sql(StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	const char *order = key_column(stage, suffix->keys[suffix->npartition]);
	char	   *last = psprintf("%s t WHERE %s AND t.%s %s s.s ORDER BY t.%s %s LIMIT 1",
								qualified(stage->table), output_in_partition(stage), order, before(suffix),
								order, backwards(suffix));
	StringInfoData buf;

	initStringInfo(&buf);
	if (suffix->ncarried == 0)
		return "SELECT NULL::pg_catalog.bool AS has";
	appendStringInfoString(&buf, "SELECT true AS has");
	for (int i = 0; i < suffix->ncarried; i++)
		appendStringInfo(&buf, ", t.%s AS x%d", key_column(stage, suffix->carried[i]), i + 1);
	if (suffix->last_key < 0)
		appendStringInfo(&buf, " FROM %s", last);
	else
		appendStringInfo(&buf, " FROM (SELECT t.%s AS o FROM %s) l, %s t WHERE %s AND t.%s " EQUAL
						 " l.o ORDER BY t.%s DESC LIMIT 1", order, last, qualified(stage->table), output_in_partition(stage), order,
						 key_column(stage, suffix->last_key));
	return buf.data;
}

char *
streaming_suffix_sql(StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	StringInfoData buf;

	initStringInfo(&buf);
	append_from(&buf, stage);
	appendStringInfo(&buf, ", \"$carry\" AS MATERIALIZED (SELECT f.*, s.s, b.* FROM \"$from\" f, "
					 "LATERAL (SELECT %s AS s OFFSET 0) s LEFT JOIN LATERAL (%s) b ON true), "
					 "\"$raw\" AS (SELECT * FROM (%s) q(",
					 begin_sql(stage), last_sql(stage), suffix->raw_sql);
	for (int i = 0; i < suffix->nraw; i++)
		appendStringInfo(&buf, "%sr%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&buf, ')');
	if (suffix->rows_before > 0)
		appendStringInfo(&buf, " WHERE (q.r%d %s q.r%d) IS NOT TRUE", order_column(suffix), before(suffix),
						 suffix->first_column);
	appendStringInfo(&buf, ") %s", suffix->result_sql);
	return buf.data;
}

char *
streaming_suffix_stored_sql(StreamingStage *stage)
{
	StreamingSuffix *suffix = stage->suffix;
	const char *order = key_column(stage, suffix->keys[suffix->npartition]);
	char	   *table = qualified(stage->table);
	char	   *partition = output_in_partition(stage);
	StringInfoData buf;

	initStringInfo(&buf);
	append_from(&buf, stage);
	appendStringInfoString(&buf, " SELECT t.\"$group\"");
	for (int i = 0; i < stage->nkeys; i++)
		appendStringInfo(&buf, ", t.%s", key_column(stage, i));
	appendStringInfo(&buf, ", - t.\"$count\" FROM \"$from\" f, "
					 "LATERAL (SELECT t.* FROM %s t WHERE %s AND t.%s %s f.o "
					 "UNION ALL SELECT t.* FROM %s t WHERE %s AND t.%s IS NULL OFFSET 0) t",
					 table, partition, order, not_before(suffix), table, partition, order);
	return buf.data;
}
