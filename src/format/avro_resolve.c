/*
 * avro_resolve.c
 *		A type that reads what one schema has written, and gives what another says.
 *
 * As the Avro specification resolves schemas, with what decides about bytes from
 * the writer and what decides about meaning from the reader.  Numbers are not
 * converted to the reader's type, since the column's decides in the end.
 *
 * Records that contain themselves are resolved once for each pair of them; the
 * number of pairs is bounded, and what they have together, since a writer's schema may
 * come from anywhere: each of its many records may ask for all defaults of the reader's.
 */
#include "postgres.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "format/avro_schema.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"

/* Pairs of records. */
#define MAX_PAIRS	10000

/* Fields and bytes of defaults of all of them. */
#define MAX_PARTS	(4 * STREAMING_AVRO_MAX_SCHEMA)

/* Bytes that are shown of why something is never read. */
#define MAX_MESSAGE	300

typedef struct Pair
{
	StreamingAvroType *writer;
	StreamingAvroType *reader;
	StreamingAvroType *resolved;
} Pair;

typedef struct Resolution
{
	List	   *pairs;			/* of Pair */
	int64		nparts;
} Resolution;

static StreamingAvroType *resolve(Resolution *resolution, StreamingAvroType *writer,
								  StreamingAvroType *reader);
static StreamingAvroType *resolve_branches(Resolution *resolution, StreamingAvroType *writer,
										   StreamingAvroType *reader);
static StreamingAvroType *choose_branch(StreamingAvroType *writer, StreamingAvroType *reader);
static StreamingAvroType *resolve_record(Resolution *resolution, StreamingAvroType *writer,
										 StreamingAvroType *reader);
static void count_parts(Resolution *resolution, int64 n);
static void add_constant(Resolution *resolution, StreamingAvroType *record, const StreamingAvroField *field);
static StreamingAvroType *resolve_enum(StreamingAvroType *writer, StreamingAvroType *reader);
static bool is_compatible(const StreamingAvroType *writer, const StreamingAvroType *reader);
static bool same_name(const StreamingAvroType *writer, const StreamingAvroType *reader);
static bool has_alias(const char **aliases, int naliases, const char *name);
static const char *last_name(const char *name);
static StreamingAvroType *copy_type(const StreamingAvroType *type);
static StreamingAvroType *never(const char *message);

StreamingAvroType *
streaming_avro_resolve(StreamingAvroType *writer, StreamingAvroType *reader)
{
	Resolution	resolution = {NIL, 0};

	return resolve(&resolution, writer, reader);
}

static StreamingAvroType *
resolve(Resolution *resolution, StreamingAvroType *writer, StreamingAvroType *reader)
{
	StreamingAvroType *resolved;

	check_stack_depth();
	if (writer->kind == STREAMING_AVRO_UNION)
		return resolve_branches(resolution, writer, reader);
	if (reader->kind == STREAMING_AVRO_UNION)
	{
		StreamingAvroType *branch = choose_branch(writer, reader);

		return branch ? resolve(resolution, writer, branch) :
			never(psprintf("the reader's union has no place for type %s",
						   streaming_avro_type_name(writer)));
	}
	if (!is_compatible(writer, reader))
		return never(psprintf("type %s cannot be read as the reader's %s",
							  streaming_avro_type_name(writer), streaming_avro_type_name(reader)));

	switch (writer->kind)
	{
		case STREAMING_AVRO_RECORD:
			return resolve_record(resolution, writer, reader);
		case STREAMING_AVRO_ENUM:
			return resolve_enum(writer, reader);
		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
			resolved = copy_type(writer);
			resolved->types = palloc(sizeof(StreamingAvroType *));
			resolved->types[0] = resolve(resolution, writer->types[0], reader->types[0]);
			return resolved;
		default:
			break;
	}
	resolved = copy_type(writer);
	if (writer->kind == STREAMING_AVRO_BYTES || writer->kind == STREAMING_AVRO_STRING)
		resolved->kind = reader->kind;	/* their bytes are alike */
	if (writer->logical != STREAMING_AVRO_DECIMAL)
	{
		resolved->logical = reader->logical;
		resolved->unit = reader->unit;
		resolved->scale = reader->scale;
		resolved->precision = reader->precision;
	}
	else if (reader->logical != STREAMING_AVRO_DECIMAL)
		resolved->logical = reader->logical;
	return resolved;
}

static StreamingAvroType *
resolve_branches(Resolution *resolution, StreamingAvroType *writer, StreamingAvroType *reader)
{
	StreamingAvroType *resolved = copy_type(writer);

	resolved->types = palloc(sizeof(StreamingAvroType *) * Max(writer->n, 1));
	for (int i = 0; i < writer->n; i++)
		resolved->types[i] = resolve(resolution, writer->types[i], reader);
	return resolved;
}

/* The same type, or the first that can take its values; or NULL. */
static StreamingAvroType *
choose_branch(StreamingAvroType *writer, StreamingAvroType *reader)
{
	StreamingAvroType *found = NULL;

	for (int i = 0; i < reader->n; i++)
	{
		StreamingAvroType *branch = reader->types[i];

		if (!is_compatible(writer, branch))
			continue;
		if (branch->kind == writer->kind && (writer->name == NULL || same_name(writer, branch)))
			return branch;
		if (found == NULL)
			found = branch;
	}
	return found;
}

static StreamingAvroType *
resolve_record(Resolution *resolution, StreamingAvroType *writer, StreamingAvroType *reader)
{
	StreamingAvroType *resolved;
	bool	   *used;
	Pair	   *pair;
	ListCell   *lc;

	foreach(lc, resolution->pairs)
	{
		pair = lfirst(lc);
		if (pair->writer == writer && pair->reader == reader)
			return pair->resolved;
	}
	CHECK_FOR_INTERRUPTS();
	count_parts(resolution, (int64) writer->n + reader->n);

	resolved = copy_type(writer);
	pair = palloc(sizeof(Pair));
	pair->writer = writer;
	pair->reader = reader;
	pair->resolved = resolved;
	resolution->pairs = lappend(resolution->pairs, pair);

	resolved->name = reader->name;
	resolved->n = 0;
	resolved->fields = palloc0(sizeof(StreamingAvroField) * Max(writer->n + reader->n, 1));
	used = palloc0(sizeof(bool) * Max(reader->n, 1));
	for (int i = 0; i < writer->n; i++)
	{
		StreamingAvroField *field = &resolved->fields[resolved->n++];
		int			k = 0;

		*field = writer->fields[i];
		field->name = NULL;
		while (k < reader->n && strcmp(reader->fields[k].name, writer->fields[i].name) != 0)
			k++;
		for (int a = 0; k == reader->n && a < reader->n; a++)
			if (has_alias(reader->fields[a].aliases, reader->fields[a].naliases,
						  writer->fields[i].name))
				k = a;
		if (k == reader->n || used[k])
			continue;
		used[k] = true;
		field->name = reader->fields[k].name;
		field->type = resolve(resolution, field->type, reader->fields[k].type);
	}
	for (int k = 0; k < reader->n; k++)
		if (!used[k])
			add_constant(resolution, resolved, &reader->fields[k]);
	return resolved;
}

static void
count_parts(Resolution *resolution, int64 n)
{
	resolution->nparts += n;
	if (list_length(resolution->pairs) >= MAX_PAIRS || resolution->nparts > MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("Avro schemas are too complex to be resolved")));
}

/* A field that the writer does not know has its default. */
static void
add_constant(Resolution *resolution, StreamingAvroType *record, const StreamingAvroField *field)
{
	StreamingAvroField *constant = &record->fields[record->n++];
	StringInfoData bytes;

	*constant = *field;
	if (field->default_value == NULL)
	{
		/* It would be read at this place, which fails. */
		constant->type = never(psprintf("field \"%s\" is not in the record, and has no default in the reader's schema",
										field->name));
		return;
	}
	initStringInfo(&bytes);
	streaming_avro_constant(&bytes, field->type, field->default_value);
	count_parts(resolution, bytes.len);
	constant->constant = memcpy(palloc(Max(bytes.len, 1)), bytes.data, bytes.len);
	constant->constant_length = bytes.len;
	pfree(bytes.data);
}

static StreamingAvroType *
resolve_enum(StreamingAvroType *writer, StreamingAvroType *reader)
{
	StreamingAvroType *resolved = copy_type(writer);

	resolved->symbols = palloc(sizeof(char *) * Max(writer->n, 1));
	for (int i = 0; i < writer->n; i++)
		resolved->symbols[i] = has_alias(reader->symbols, reader->n, writer->symbols[i]) ?
			writer->symbols[i] : reader->default_symbol;
	return resolved;
}

/* May values of one be read as the other, as far as can be told without their parts? */
static bool
is_compatible(const StreamingAvroType *writer, const StreamingAvroType *reader)
{
	switch (writer->kind)
	{
		case STREAMING_AVRO_INT:
			return reader->kind == STREAMING_AVRO_INT || reader->kind == STREAMING_AVRO_LONG ||
				reader->kind == STREAMING_AVRO_FLOAT || reader->kind == STREAMING_AVRO_DOUBLE;
		case STREAMING_AVRO_LONG:
			return reader->kind == STREAMING_AVRO_LONG ||
				reader->kind == STREAMING_AVRO_FLOAT || reader->kind == STREAMING_AVRO_DOUBLE;
		case STREAMING_AVRO_FLOAT:
			return reader->kind == STREAMING_AVRO_FLOAT || reader->kind == STREAMING_AVRO_DOUBLE;
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_STRING:
			return reader->kind == STREAMING_AVRO_BYTES || reader->kind == STREAMING_AVRO_STRING;
		case STREAMING_AVRO_FIXED:
			return reader->kind == STREAMING_AVRO_FIXED && reader->size == writer->size &&
				same_name(writer, reader);
		case STREAMING_AVRO_ENUM:
			return reader->kind == STREAMING_AVRO_ENUM && same_name(writer, reader);
		default:
			/* Records are told apart by name only where there is a choice. */
			return reader->kind == writer->kind;
	}
}

/* Namespaces do not count. */
static bool
same_name(const StreamingAvroType *writer, const StreamingAvroType *reader)
{
	const char *name = last_name(writer->name);

	if (strcmp(name, last_name(reader->name)) == 0)
		return true;
	for (int i = 0; i < reader->naliases; i++)
		if (strcmp(name, last_name(reader->aliases[i])) == 0)
			return true;
	return false;
}

static bool
has_alias(const char **aliases, int naliases, const char *name)
{
	for (int i = 0; i < naliases; i++)
		if (strcmp(aliases[i], name) == 0)
			return true;
	return false;
}

static const char *
last_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

static StreamingAvroType *
copy_type(const StreamingAvroType *type)
{
	StreamingAvroType *copy = palloc(sizeof(StreamingAvroType));

	*copy = *type;
	return copy;
}

static StreamingAvroType *
never(const char *message)
{
	StreamingAvroType *type = palloc0(sizeof(StreamingAvroType));

	type->kind = STREAMING_AVRO_NEVER;
	type->name = streaming_clean_copy(message, MAX_MESSAGE);
	return type;
}
