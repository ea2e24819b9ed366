/*
 * import_columns.c
 *		Which columns records have, and of what types.
 *
 * Of two types that a column has had it gets the one that takes both, in this
 * order, within a line; text takes all, and jsonb what JSON can nest:
 *
 *		boolean
 *		bigint  <  numeric  <  double precision
 *		date  <  timestamp  <  timestamp with time zone
 *
 * A string of JSON is text, or a time in the form of ISO 8601, never a number.  A number
 * is double precision only where it is written with an exponent: numeric loses
 * nothing.  In CSV a number that begins with a zero is text, as codes and telephone
 * numbers are; in the name of a directory (month=05) it is a number.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/attempt.h"
#include "command/import_schema.h"
#include "format/avro_schema.h"

/* Columns of one table; PostgreSQL's limit is 1600. */
#define MAX_COLUMNS		1000

typedef enum FoundType
{
	FOUND_NULL,
	FOUND_BOOLEAN,
	FOUND_BIGINT,
	FOUND_NUMERIC,
	FOUND_DOUBLE,
	FOUND_DATE,
	FOUND_TIMESTAMP,
	FOUND_TIMESTAMPTZ,
	FOUND_JSONB,
	FOUND_TEXT
} FoundType;

static const char *const type_names[] = {
	[FOUND_NULL] = "text",
	[FOUND_BOOLEAN] = "boolean",
	[FOUND_BIGINT] = "bigint",
	[FOUND_NUMERIC] = "numeric",
	[FOUND_DOUBLE] = "double precision",
	[FOUND_DATE] = "date",
	[FOUND_TIMESTAMP] = "timestamp without time zone",
	[FOUND_TIMESTAMPTZ] = "timestamp with time zone",
	[FOUND_JSONB] = "jsonb",
	[FOUND_TEXT] = "text",
};

/* Where a column's value is. */
typedef enum FoundPlace
{
	PLACE_RECORD,
	PLACE_PATH,
	PLACE_KEY,
	PLACE_KEY_FIELD
} FoundPlace;

typedef struct FoundColumn
{
	char	   *name;			/* in the records */
	FoundType	type;
	const char *declared;		/* what schemas say of it; NULL: type counts */
	FoundPlace	place;
} FoundColumn;

struct StreamingSample
{
	MemoryContext context;
	List	   *columns;		/* of FoundColumn, in the order of appearance */
	bool		is_csv;			/* columns are known by their place */
	bool		begun;			/* its first record is known */
	bool		has_header;
};

typedef struct JsonRecord
{
	StreamingSample *sample;
	const char *payload;
	size_t		length;
} JsonRecord;

static void read_json(void *arg);
static FoundColumn *find_column(StreamingSample *sample, const char *name, FoundPlace place);
static void declare(StreamingSample *sample, const char *name, FoundPlace place, const char *type);
static FoundColumn *add_column(StreamingSample *sample, const char *name);
static List *split_csv(const char *payload, size_t length, char delimiter);
static bool is_header(List *values);
static const char *wider_declared(const char *a, const char *b);
static bool is_number(const char *type);
static FoundType wider(FoundType a, FoundType b);
static FoundType type_of_json(const char *kind, const char *value);
static FoundType type_of_number(const char *value);
static FoundType type_of_text(const char *value);
static FoundType type_of_time(const char *value);
static bool has_digits(const char **p, int n);
static char *column_name(const FoundColumn *column, int number, List *names);
static bool is_taken(const char *name, List *names);
static void append_options(StringInfo sql, const StreamingSample *sample, const FoundColumn *column,
						   const char *name);
static char *escape_field(const char *name);

StreamingSample *
streaming_sample_begin(void)
{
	StreamingSample *sample = palloc0(sizeof(StreamingSample));

	sample->context = CurrentMemoryContext;
	return sample;
}

/* ---- JSON ---- */

void
streaming_sample_json(StreamingSample *sample, const char *payload, size_t length)
{
	JsonRecord	record = {sample, payload, length};
	ErrorData  *error;

	if (payload == NULL || length == 0)
		return;
	error = streaming_attempt(read_json, &record, sample->context);
	if (error && (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
				  error->sqlerrcode == ERRCODE_OUT_OF_MEMORY))
		ReThrowError(error);
}

/* The server's own parser keeps the order of members, and the text of numbers. */
static void
read_json(void *arg)
{
	static const char *const sql =
	"SELECT key, pg_catalog.json_typeof(value), value OPERATOR(pg_catalog.#>>) '{}'"
	" FROM pg_catalog.json_each($1)";
	JsonRecord *record = arg;
	Oid			type = JSONOID;
	char	   *text = pnstrdup(record->payload, record->length);
	Datum		value = CStringGetTextDatum(pg_any_to_server(text, record->length, PG_UTF8));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(sql, 1, &type, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a record");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		FoundColumn *column = find_column(record->sample,
										  SPI_getvalue(row, SPI_tuptable->tupdesc, 1), PLACE_RECORD);

		if (column)
			column->type = wider(column->type,
								 type_of_json(SPI_getvalue(row, SPI_tuptable->tupdesc, 2),
											  SPI_getvalue(row, SPI_tuptable->tupdesc, 3)));
	}
	SPI_finish();
}

static FoundType
type_of_json(const char *kind, const char *value)
{
	switch (kind[0])
	{
		case 'b':
			return FOUND_BOOLEAN;
		case 'n':
			return strcmp(kind, "null") == 0 ? FOUND_NULL : type_of_number(value);
		case 's':
			return type_of_time(value);
		default:
			return FOUND_JSONB;
	}
}

/* ---- CSV ---- */

void
streaming_sample_csv(StreamingSample *sample, const char *payload, size_t length, char delimiter)
{
	List	   *values = split_csv(payload, length, delimiter);
	bool		first = !sample->begun;
	ListCell   *lc;

	sample->is_csv = sample->begun = true;
	if (first)
	{
		sample->has_header = is_header(values);
		foreach(lc, values)
			(void) add_column(sample, sample->has_header ? lfirst(lc) : "");
	}
	if (first && sample->has_header)
		return;
	foreach(lc, values)
	{
		int			i = foreach_current_index(lc);
		FoundColumn *column;

		if (i >= list_length(sample->columns))
			break;
		column = list_nth(sample->columns, i);
		if (((char *) lfirst(lc))[0] != '\0')
			column->type = wider(column->type, type_of_text(lfirst(lc)));
	}
}

bool
streaming_sample_has_header(const StreamingSample *sample)
{
	return sample->has_header;
}

/* Values without their quotes; of char *. */
static List *
split_csv(const char *payload, size_t length, char delimiter)
{
	List	   *values = NIL;
	StringInfoData value;
	bool		quoted = false;

	initStringInfo(&value);
	for (size_t i = 0; i <= length; i++)
	{
		if (i == length || (!quoted && payload[i] == delimiter))
		{
			CHECK_FOR_INTERRUPTS();
			values = lappend(values, pstrdup(value.data));
			resetStringInfo(&value);
		}
		else if (payload[i] != '"')
			appendStringInfoChar(&value, payload[i]);
		else if (quoted && i + 1 < length && payload[i + 1] == '"')
			appendStringInfoChar(&value, payload[i++]);
		else
			quoted = !quoted;
	}
	pfree(value.data);
	return values;
}

static bool
is_header(List *values)
{
	ListCell   *lc;
	ListCell   *other;

	/* each is compared with all */
	if (list_length(values) > MAX_COLUMNS)
		return false;
	foreach(lc, values)
	{
		const char *value = lfirst(lc);

		if (value[0] == '\0' || type_of_text(value) != FOUND_TEXT ||
			!pg_verifymbstr(value, strlen(value), true))
			return false;
		foreach(other, values)
		{
			if (lc != other && strcmp(value, lfirst(other)) == 0)
				return false;
		}
	}
	return values != NIL;
}

/* ---- Schemas ---- */

void
streaming_sample_field(StreamingSample *sample, const char *name, const char *type)
{
	declare(sample, name, PLACE_RECORD, type);
}

void
streaming_sample_avro(StreamingSample *sample, const StreamingAvroType *type)
{
	for (int branch = 0; branch < (type->kind == STREAMING_AVRO_UNION ? type->n : 1); branch++)
	{
		const StreamingAvroType *record = type->kind == STREAMING_AVRO_UNION ? type->types[branch] : type;

		for (int i = 0; record->kind == STREAMING_AVRO_RECORD && i < record->n; i++)
			declare(sample, record->fields[i].name, PLACE_RECORD, streaming_avro_sql_type(record->fields[i].type));
	}
}

void
streaming_sample_key_field(StreamingSample *sample, const char *name, const char *type)
{
	ListCell   *lc;

	foreach(lc, sample->columns)
	{
		FoundColumn *column = lfirst(lc);

		if (column->place == PLACE_RECORD && strcmp(column->name, name) == 0)
			return;
	}
	declare(sample, name, PLACE_KEY_FIELD, type);
}

void
streaming_sample_key(StreamingSample *sample, const char *type)
{
	declare(sample, "key", PLACE_KEY, type);
}

/* type NULL: of none that a column has */
static void
declare(StreamingSample *sample, const char *name, FoundPlace place, const char *type)
{
	FoundColumn *column = type ? find_column(sample, name, place) : NULL;
	MemoryContext old;

	if (column == NULL)
		return;
	old = MemoryContextSwitchTo(sample->context);
	column->declared = column->declared ? wider_declared(column->declared, type) : pstrdup(type);
	MemoryContextSwitchTo(old);
}

/* Of two files that do not agree. */
static const char *
wider_declared(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return a;
	if (is_number(a) && is_number(b))
		return a[0] == 'r' || a[0] == 'd' || b[0] == 'r' || b[0] == 'd' ? "double precision" : "numeric";
	if (strcmp(a, "jsonb") == 0 || strcmp(b, "jsonb") == 0 || strchr(a, '[') || strchr(b, '['))
		return "jsonb";
	return "text";
}

static bool
is_number(const char *type)
{
	static const char *const numbers[] = {"smallint", "integer", "bigint", "numeric", "real", "double precision"};

	for (int i = 0; i < lengthof(numbers); i++)
		if (strcmp(type, numbers[i]) == 0)
			return true;
	return false;
}

/* ---- Paths ---- */

void
streaming_sample_path_value(StreamingSample *sample, const char *name, const char *value)
{
	FoundColumn *column = find_column(sample, name, PLACE_PATH);

	if (column == NULL || value == NULL)
		return;
	if (value[strspn(value, "0123456789")] == '\0')
		while (value[0] == '0' && value[1] != '\0')
			value++;
	column->type = wider(column->type, type_of_text(value));
}

/* ---- Columns ---- */

/* NULL: there are too many. */
static FoundColumn *
find_column(StreamingSample *sample, const char *name, FoundPlace place)
{
	FoundColumn *column;
	ListCell   *lc;

	foreach(lc, sample->columns)
	{
		column = lfirst(lc);
		if (column->place == place && strcmp(column->name, name) == 0)
			return column;
	}
	column = add_column(sample, name);
	if (column)
		column->place = place;
	return column;
}

static FoundColumn *
add_column(StreamingSample *sample, const char *name)
{
	MemoryContext old;
	FoundColumn *column;

	if (list_length(sample->columns) >= MAX_COLUMNS)
		return NULL;
	old = MemoryContextSwitchTo(sample->context);
	column = palloc0(sizeof(FoundColumn));
	column->name = pstrdup(name);
	sample->columns = lappend(sample->columns, column);
	MemoryContextSwitchTo(old);
	return column;
}

bool
streaming_sample_columns(StreamingSample *sample, StringInfo sql)
{
	List	   *names = NIL;
	bool		any = false;
	ListCell   *lc;

	foreach(lc, sample->columns)
	{
		FoundColumn *column = lfirst(lc);
		char	   *name = column_name(column, foreach_current_index(lc) + 1, names);

		any = any || column->place == PLACE_RECORD;
		appendStringInfo(sql, "%s%s %s", names ? ", " : "", quote_identifier(name),
						 column->declared ? column->declared : type_names[column->type]);
		names = lappend(names, name);
		append_options(sql, sample, column, name);
	}
	if (list_length(sample->columns) == MAX_COLUMNS)
		ereport(WARNING,
				(errmsg("no more than %d columns are imported", MAX_COLUMNS),
				 errhint("Where the names are data, read the object that has them into a column of type jsonb.")));
	return any;
}

/* One that a column may have, and none of names has. */
static char *
column_name(const FoundColumn *column, int number, List *names)
{
	char	   *name = column->name[0] ? pstrdup(column->name) : psprintf("column%d", number);
	char	   *result = name;

	truncate_identifier(name, strlen(name), false);
	for (int i = 2; is_taken(result, names) || SystemAttributeByName(result) != NULL; i++)
	{
		char	   *suffix = psprintf("_%d", i);
		int			length = pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1 - strlen(suffix));

		result = psprintf("%.*s%s", length, name, suffix);
	}
	return result;
}

static bool
is_taken(const char *name, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* Where the column called name finds its value, unless that is as it is called. */
static void
append_options(StringInfo sql, const StreamingSample *sample, const FoundColumn *column, const char *name)
{
	switch (column->place)
	{
		case PLACE_RECORD:
			if (!sample->is_csv && strcmp(name, column->name) != 0 && column->name[0] != '\0')
				appendStringInfo(sql, " OPTIONS (field %s)", quote_literal_cstr(escape_field(column->name)));
			break;
		case PLACE_PATH:
			appendStringInfo(sql, " OPTIONS (metadata %s)",
							 quote_literal_cstr(psprintf(STREAMING_PATH_VALUE_PREFIX "%s", column->name)));
			break;
		case PLACE_KEY:
			appendStringInfoString(sql, " OPTIONS (metadata 'key')");
			break;
		case PLACE_KEY_FIELD:
			appendStringInfo(sql, " OPTIONS (metadata %s)",
							 quote_literal_cstr(psprintf(STREAMING_KEY_FIELD_PREFIX "%s", escape_field(column->name))));
			break;
	}
}

/* A dot in the name is no step into an object. */
static char *
escape_field(const char *name)
{
	StringInfoData field;

	initStringInfo(&field);
	for (const char *p = name; *p; p++)
	{
		if (*p == '.' || *p == '\\')
			appendStringInfoChar(&field, '\\');
		appendStringInfoChar(&field, *p);
	}
	return field.data;
}

/* ---- Types ---- */

static FoundType
wider(FoundType a, FoundType b)
{
	FoundType	low = Min(a, b);
	FoundType	high = Max(a, b);

	if (low == high || low == FOUND_NULL)
		return high;
	if (low >= FOUND_BIGINT && high <= FOUND_DOUBLE)
		return high;
	if (low >= FOUND_DATE && high <= FOUND_TIMESTAMPTZ)
		return high;
	return low == FOUND_JSONB || high == FOUND_JSONB ? FOUND_JSONB : FOUND_TEXT;
}

/* value is a number. */
static FoundType
type_of_number(const char *value)
{
	if (strpbrk(value, "eE"))
		return FOUND_DOUBLE;
	if (strchr(value, '.'))
		return FOUND_NUMERIC;
	errno = 0;
	(void) strtoll(value, NULL, 10);
	return errno == ERANGE ? FOUND_NUMERIC : FOUND_BIGINT;
}

static FoundType
type_of_text(const char *value)
{
	const char *p = value + (value[0] == '-');
	size_t		whole = strspn(p, "0123456789");
	size_t		rest;

	if (pg_strcasecmp(value, "true") == 0 || pg_strcasecmp(value, "false") == 0)
		return FOUND_BOOLEAN;
	if (whole > 0 && !(whole > 1 && p[0] == '0'))
	{
		p += whole;
		if (*p == '.' && (rest = strspn(p + 1, "0123456789")) > 0)
			p += 1 + rest;
		if ((*p == 'e' || *p == 'E') &&
			(rest = strspn(p + 1 + (p[1] == '-' || p[1] == '+'), "0123456789")) > 0)
			p += 1 + (p[1] == '-' || p[1] == '+') + rest;
		if (*p == '\0')
			return type_of_number(value);
	}
	return type_of_time(value);
}

static bool
has_digits(const char **p, int n)
{
	for (int i = 0; i < n; i++)
	{
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return false;
	}
	*p += n;
	return true;
}

/* 2026-11-30, 2026-11-30T05:00[:00[.123456]][Z|+01[:00]]; else it is text. */
static FoundType
type_of_time(const char *value)
{
	const char *p = value;

	if (!has_digits(&p, 4) || *p++ != '-' || !has_digits(&p, 2) || *p++ != '-' || !has_digits(&p, 2))
		return FOUND_TEXT;
	if (*p == '\0')
		return FOUND_DATE;
	if ((*p != 'T' && *p != ' ') || (p++, !has_digits(&p, 2)) || *p++ != ':' || !has_digits(&p, 2))
		return FOUND_TEXT;
	if (*p == ':' && (p++, !has_digits(&p, 2)))
		return FOUND_TEXT;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (*p == '\0')
		return FOUND_TIMESTAMP;
	if ((*p == 'Z' || *p == 'z') && p[1] == '\0')
		return FOUND_TIMESTAMPTZ;
	if ((*p != '+' && *p != '-') || (p++, !has_digits(&p, 2)))
		return FOUND_TEXT;
	if (*p == ':')
		p++;
	if (*p != '\0' && !has_digits(&p, 2))
		return FOUND_TEXT;
	return *p == '\0' ? FOUND_TIMESTAMPTZ : FOUND_TEXT;
}
