/*
 * sink_table_sql.c
 *		The statements that write a user's table, see sink_table_sql.h.
 *
 * Rows are told apart as GROUP BY tells them: by the default equality of the
 * sink's type, under the collation of the sink's column, after the cast to that
 * type; a NULL is the equal of a NULL.  Joins say so with
 *
 *	s.k = c.k				where the column is NOT NULL, or c.k is
 *	ARRAY[s.k] = ARRAY[c.k] elsewhere: NULLs in arrays are equal
 *
 * because these, unlike IS NOT DISTINCT FROM, can be hashed or, the first, looked
 * up in an index.  Keys with a NULL are few, and have a statement of their own.
 *
 * Output mode complete groups the rows of the result and of the sink together
 * and counts them, the sink's negatively: one pass over each, which goes to disk
 * when it is large, and NULLs and duplicates need no care.  Where the sink has a
 * key, rows that differ are upserted, so that columns the view does not know of
 * stay as they are, and those whose key is gone are deleted.  Where it has none,
 * surplus copies are deleted by their place in the table.
 *
 * Foreign tables have no arbiter index.  There the rows whose key is there are
 * updated and the others inserted.  "s.k = ANY (keys of the batch)" is what
 * postgres_fdw can send to the other server; without it, it would fetch the
 * whole table to join it here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/object_name.h"
#include "sink/sink.h"
#include "sink/sink_table_sql.h"
#include "streaming.h"

/* The column of the sink for an output. */
typedef struct SinkColumn
{
	const char *name;			/* quoted */
	const char *change;			/* ditto, of the output: it has a name of its own if that
								 * is like those of ours */
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		not_null;
	bool		key;
	const char *value;			/* c.<change> as the column would hold it */
} SinkColumn;

typedef struct SinkTable
{
	StreamingProgram *program;
	const char *name;			/* qualified */
	bool		foreign;
	int			ncolumns;
	SinkColumn *columns;
} SinkTable;

/* What a list of columns is made of. */
typedef const char *(*ColumnText) (const SinkColumn *column);

static const char *
cast_to(const char *expr, const SinkColumn *column, Oid collation)
{
	const char *cast = psprintf("%s::%s", expr,
								format_type_extended(column->type, column->typmod,
													 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));

	if (!OidIsValid(column->collation) || column->collation == collation)
		return cast;
	return psprintf("%s COLLATE %s", cast, streaming_collation_name(column->collation));
}

static void
read_column(SinkTable *table, int i)
{
	StreamingValue *output = &streaming_last_stage(table->program)->outputs[i];
	SinkColumn *column = &table->columns[i];
	HeapTuple	tuple = SearchSysCacheAttName(table->program->sink.relid, output->name);
	Form_pg_attribute att;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for column \"%s\" of relation %u", output->name,
			 table->program->sink.relid);
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	column->name = quote_identifier(output->name);
	column->change = quote_identifier(output->column);
	column->type = att->atttypid;
	column->typmod = att->atttypmod;
	column->collation = att->attcollation;
	column->not_null = att->attnotnull;
	column->key = list_member_int(table->program->sink_key, i);
	ReleaseSysCache(tuple);
	column->value = cast_to(psprintf("c.%s", column->change), column, output->collation);
}

static SinkTable *
read_table(StreamingProgram *program)
{
	SinkTable  *table = palloc0(sizeof(SinkTable));

	table->program = program;
	table->name = streaming_qualified_name(program->sink.relid);
	table->foreign = get_rel_relkind(program->sink.relid) == RELKIND_FOREIGN_TABLE;
	table->ncolumns = streaming_last_stage(program)->noutputs;
	table->columns = palloc0(sizeof(SinkColumn) * Max(table->ncolumns, 1));
	for (int i = 0; i < table->ncolumns; i++)
		read_column(table, i);
	return table;
}

/* ---- Parts of statements ---- */

static const char *
bare_name(const SinkColumn *column)
{
	return column->name;
}

static const char *
new_name(const SinkColumn *column)
{
	return psprintf("c.%s", column->change);
}

static const char *
sink_name(const SinkColumn *column)
{
	return psprintf("s.%s", column->name);
}

static const char *
new_value(const SinkColumn *column)
{
	return psprintf("%s AS %s", column->value, column->change);
}

/* A list of all columns, or of the key's. */
static char *
list_of(SinkTable *table, bool keys, ColumnText text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!keys || table->columns[i].key)
			appendStringInfo(&buf, "%s%s", buf.len ? ", " : "", text(&table->columns[i]));
	}
	return buf.data;
}

/* left = right, both of the column's type. */
static void
append_equal(StringInfo buf, const SinkColumn *column, const char *left, const char *right)
{
	TypeCacheEntry *entry = lookup_type_cache(column->type, TYPECACHE_EQ_OPR);

	generate_operator_clause(buf, left, column->type, entry->eq_opr, right, column->type);
}

/* left = right, or both are NULL; for a hash join. */
static void
append_same(StringInfo buf, const SinkColumn *column, const char *left, const char *right)
{
	if (OidIsValid(get_array_type(column->type)))
		appendStringInfo(buf, "ARRAY[%s] OPERATOR(pg_catalog.=) ARRAY[%s]", left, right);
	else if (type_is_array(column->type))
	{
		/* an array of arrays would not tell an empty one from NULL */
		append_equal(buf, column, psprintf("coalesce(%s, '{}')", left),
					 psprintf("coalesce(%s, '{}')", right));
		appendStringInfo(buf, " AND (%s IS NULL) = (%s IS NULL)", left, right);
	}
	else
	{
		appendStringInfoChar(buf, '(');
		append_equal(buf, column, left, right);
		appendStringInfo(buf, " OR (%s IS NULL AND %s IS NULL))", left, right);
	}
}

/*
 * " AND s.k = c.k" for the columns of the key, or all.  nulls: a NULL in c meets
 * its equal; without, c has none where that matters.
 */
static void
append_match(StringInfo buf, SinkTable *table, bool keys, bool nulls, const char *right)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		SinkColumn *column = &table->columns[i];
		const char *left = psprintf("s.%s", column->name);
		const char *value = right ? psprintf("%s.%s", right, column->change) : column->value;

		if (keys && !column->key)
			continue;
		appendStringInfoString(buf, " AND ");
		if (nulls && !column->not_null)
		{
			append_same(buf, column, left, value);
			/* says nothing new, but an index can be asked for it */
			if (keys && !table->foreign)
			{
				appendStringInfoString(buf, " AND (");
				append_equal(buf, column, left, value);
				appendStringInfo(buf, " OR (%s IS NULL AND %s IS NULL))", left, value);
			}
		}
		else
			append_equal(buf, column, left, value);
	}
}

/* OPERATOR(...) of a type's default equality. */
static const char *
equality_name(Oid type)
{
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

/* " AND s.k = ANY (keys of the batch)": what a foreign server can look up. */
static void
append_key_filter(StringInfo buf, SinkTable *table)
{
	for (int i = 0; table->foreign && i < table->ncolumns; i++)
	{
		SinkColumn *column = &table->columns[i];

		if (!column->key || !OidIsValid(get_array_type(column->type)))
			continue;
		appendStringInfo(buf, " AND (s.%s %s ANY (ARRAY(SELECT %s FROM changes c))",
						 column->name, equality_name(column->type), column->value);
		if (!column->not_null)
			appendStringInfo(buf, " OR s.%s IS NULL", column->name);
		appendStringInfoChar(buf, ')');
	}
}

static bool
has_nullable_key(SinkTable *table)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (table->columns[i].key && !table->columns[i].not_null)
			return true;
	}
	return false;
}

/*
 * "a = EXCLUDED.a, b = EXCLUDED.b" of the columns that are not key, or "a = c.a, b = c.b";
 * "": none.
 */
static char *
assignments(SinkTable *table, bool excluded)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!table->columns[i].key)
			appendStringInfo(&buf, "%s%s = %s%s", buf.len ? ", " : "", table->columns[i].name,
							 excluded ? "EXCLUDED." : "c.",
							 excluded ? table->columns[i].name : table->columns[i].change);
	}
	return buf.data;
}

/*
 * ORDER BY the key, in the order of the index: neighbours in the index are then
 * upserted one after the other, which saves a third of the time.  Text would take
 * longer to sort than that, unless by bytes.
 */
static void
append_order(StringInfo buf, SinkTable *table)
{
	const char *delimiter = " ORDER BY ";
	ListCell   *lc;

	foreach(lc, table->program->sink_key)
	{
		SinkColumn *column = &table->columns[lfirst_int(lc)];

		if (OidIsValid(column->collation) && column->collation != C_COLLATION_OID)
			break;
		appendStringInfo(buf, "%s%s", delimiter, column->value);
		delimiter = ", ";
	}
}

/* ---- Statements ---- */

/* Rows to write: appended, or upserted with an arbiter index. */
static char *
insert_sql(SinkTable *table)
{
	StringInfoData buf;
	const char *set;

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s (%s) SELECT %s FROM changes c", table->name,
					 list_of(table, false, bare_name), list_of(table, false, new_name));
	if (table->program->sink_key == NIL &&
		table->program->output_mode == STREAMING_OUTPUT_COMPLETE)
		appendStringInfoString(&buf, ", pg_catalog.generate_series(1::pg_catalog.int8, c.\"$sign\")");
	appendStringInfoString(&buf, " WHERE c.\"$sign\" > 0");
	if (table->program->sink_key == NIL)
		return buf.data;

	if (table->foreign)
	{
		appendStringInfo(&buf, " AND NOT EXISTS (SELECT FROM %s s WHERE true", table->name);
		append_match(&buf, table, true, true, NULL);
		append_key_filter(&buf, table);
		appendStringInfoChar(&buf, ')');
		return buf.data;
	}
	append_order(&buf, table);
	set = assignments(table, true);
	appendStringInfo(&buf, " ON CONFLICT (%s) DO %s%s", list_of(table, true, bare_name),
					 set[0] ? "UPDATE SET " : "NOTHING", set);
	return buf.data;
}

static char *
update_sql(SinkTable *table)
{
	StringInfoData buf;
	const char *set = assignments(table, false);

	if (!table->foreign || table->program->sink_key == NIL || set[0] == '\0')
		return NULL;
	initStringInfo(&buf);
	appendStringInfo(&buf, "UPDATE %s s SET %s FROM changes c WHERE c.\"$sign\" > 0",
					 table->name, set);
	append_match(&buf, table, true, true, NULL);
	append_key_filter(&buf, table);
	return buf.data;
}

/*
 * Rows whose key is not written again.  nulls: those with a NULL in the key;
 * else those without, or all if that makes no difference.
 */
static char *
delete_sql(SinkTable *table, bool nulls)
{
	StringInfoData buf;
	bool		split = has_nullable_key(table) && !table->foreign;
	const char *delimiter = "";

	if (nulls && !split)
		return NULL;
	initStringInfo(&buf);
	appendStringInfo(&buf, "DELETE FROM %s s USING (SELECT %s FROM changes c", table->name,
					 list_of(table, true, new_value));
	if (nulls)
	{
		appendStringInfoString(&buf, " WHERE ");
		for (int i = 0; i < table->ncolumns; i++)
		{
			if (!table->columns[i].key || table->columns[i].not_null)
				continue;
			appendStringInfo(&buf, "%sc.%s IS NULL", delimiter, table->columns[i].change);
			delimiter = " OR ";
		}
		delimiter = "";
	}
	appendStringInfoString(&buf, " GROUP BY ");
	for (int i = 1; i <= list_length(table->program->sink_key); i++)
	{
		appendStringInfo(&buf, "%s%d", delimiter, i);
		delimiter = ", ";
	}
	appendStringInfoString(&buf, " HAVING pg_catalog.max(c.\"$sign\") < 0) d WHERE true");
	append_match(&buf, table, true, nulls || table->foreign, "d");
	append_key_filter(&buf, table);
	return buf.data;
}

/* Without a key: as many copies of a row as there are too many. */
static char *
delete_copies_sql(SinkTable *table)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "DELETE FROM %s s USING ("
					 "SELECT m.\"$table\", m.\"$place\" FROM ("
					 "SELECT s.tableoid AS \"$table\", s.ctid AS \"$place\", d.\"$surplus\","
					 " pg_catalog.row_number() OVER (PARTITION BY d.\"$row\") AS \"$copy\""
					 " FROM %s s, (SELECT %s, - c.\"$sign\" AS \"$surplus\","
					 " pg_catalog.row_number() OVER () AS \"$row\""
					 " FROM changes c WHERE c.\"$sign\" < 0) d WHERE true",
					 table->name, table->name, list_of(table, false, new_value));
	append_match(&buf, table, false, true, "d");
	appendStringInfoString(&buf, ") m WHERE m.\"$copy\" <= m.\"$surplus\") m"
						   " WHERE s.ctid = m.\"$place\" AND s.tableoid = m.\"$table\"");
	return buf.data;
}

static char *
difference_sql(SinkTable *table)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s, pg_catalog.sum(c.\"$sign\") AS \"$sign\" FROM ("
					 "SELECT %s, 1 AS \"$sign\" FROM (%s) c UNION ALL SELECT %s, -1 FROM %s s) c"
					 " GROUP BY ",
					 list_of(table, false, new_name), list_of(table, false, new_value),
					 streaming_layout_result_query(table->program, false),
					 list_of(table, false, sink_name), table->name);
	for (int i = 1; i <= table->ncolumns; i++)
		appendStringInfo(&buf, "%s%d", i > 1 ? ", " : "", i);
	appendStringInfoString(&buf, " HAVING pg_catalog.sum(c.\"$sign\") <> 0");
	return buf.data;
}

StreamingTableSql *
streaming_table_sql(StreamingProgram *program)
{
	StreamingTableSql *sql = palloc0(sizeof(StreamingTableSql));
	SinkTable  *table = read_table(program);

	if (program->output_mode == STREAMING_OUTPUT_COMPLETE)
		sql->difference = difference_sql(table);
	sql->update = update_sql(table);
	sql->insert = insert_sql(table);
	if (program->sink_key != NIL)
	{
		sql->delete = delete_sql(table, false);
		sql->delete_null = delete_sql(table, true);
	}
	else if (program->output_mode == STREAMING_OUTPUT_COMPLETE)
		sql->delete = delete_copies_sql(table);
	return sql;
}

TupleDesc
streaming_table_difference_desc(StreamingProgram *program)
{
	SinkTable  *table = read_table(program);
	TupleDesc	desc = CreateTemplateTupleDesc(table->ncolumns + 1);

	for (int i = 0; i < table->ncolumns; i++)
	{
		SinkColumn *column = &table->columns[i];

		TupleDescInitEntry(desc, i + 1, streaming_last_stage(program)->outputs[i].column,
						   column->type, column->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, column->collation);
	}
	TupleDescInitEntry(desc, table->ncolumns + 1, "$sign", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/*
 * DELETE of what the view has written, with its state still there; NULL: it
 * cannot be told from other rows, or its state is gone.  In output mode complete
 * all rows are its own.
 */
char *
streaming_sink_table_reset_sql(StreamingProgram *program)
{
	SinkTable  *table = read_table(program);
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData buf;
	const char *delimiter = "";

	initStringInfo(&buf);
	if (program->output_mode == STREAMING_OUTPUT_COMPLETE)
	{
		appendStringInfo(&buf, "DELETE FROM %s", table->name);
		return buf.data;
	}
	if (program->sink_key == NIL || stage->table == NULL || stage->evicts)
		return NULL;
	appendStringInfo(&buf, "DELETE FROM %s s USING (SELECT ", table->name);
	for (int i = 0; i < table->ncolumns; i++)
	{
		StreamingValue *output = &stage->outputs[i];
		AttrNumber	attno;
		Oid			state;

		if (!table->columns[i].key)
			continue;
		state = get_relname_relid(stage->table, streaming_internal_namespace());
		attno = stage->keys[output->key].attno;
		appendStringInfo(&buf, "%s%s AS %s", delimiter,
						 cast_to(psprintf("t.%s", quote_identifier(get_attname(state, attno, false))),
								 &table->columns[i], output->collation),
						 table->columns[i].change);
		delimiter = ", ";
	}
	appendStringInfo(&buf, " FROM %s.%s t) d WHERE true", STREAMING_INTERNAL_SCHEMA,
					 quote_identifier(stage->table));
	append_match(&buf, table, true, true, "d");
	return buf.data;
}
