/*
 * columnar_type.c
 *		Arrow's types, as its C data interface writes them.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/columnar.h"
#include "mb/pg_wchar.h"

/* What the types of one schema have come to. */
typedef struct Parse
{
	int			fields;
	int			depth;
} Parse;

static StreamingArrowType *make_type(Parse *parse, const struct ArrowSchema *schema);
static void read_format(StreamingArrowType *type, const char *format);
static void read_time(StreamingArrowType *type, const char *format);
static void read_decimal(StreamingArrowType *type, const char *format);
static bool is_extension(const struct ArrowSchema *schema, const char *name);
static int	unit_of(char letter);

StreamingArrowType *
streaming_arrow_type(const struct ArrowSchema *schema)
{
	Parse		parse = {0};

	return make_type(&parse, schema);
}

static StreamingArrowType *
make_type(Parse *parse, const struct ArrowSchema *schema)
{
	StreamingArrowType *type = palloc0(sizeof(StreamingArrowType));
	const char *name = schema->name ? schema->name : "";

	if (++parse->fields > STREAMING_ARROW_MAX_FIELDS || ++parse->depth > STREAMING_ARROW_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("schema is too large"),
				 errdetail("At most %d fields are read, nested at most %d deep.",
						   STREAMING_ARROW_MAX_FIELDS, STREAMING_ARROW_MAX_DEPTH)));
	type->name = pstrdup(pg_any_to_server(name, strlen(name), PG_UTF8));
	type->format = pstrdup(schema->format);
	read_format(type, schema->format);
	if (schema->dictionary)
		type->values = make_type(parse, schema->dictionary);

	type->n = schema->n_children;
	type->types = palloc(sizeof(StreamingArrowType *) * Max(type->n, 1));
	for (int i = 0; i < type->n; i++)
		type->types[i] = make_type(parse, schema->children[i]);

	if (type->kind == STREAMING_ARROW_MAP &&
		(type->n != 1 || type->types[0]->kind != STREAMING_ARROW_STRUCT || type->types[0]->n != 2))
		type->kind = STREAMING_ARROW_UNKNOWN;
	if (type->kind == STREAMING_ARROW_LIST && type->n != 1)
		type->kind = STREAMING_ARROW_UNKNOWN;
	if (type->kind == STREAMING_ARROW_BYTES && type->layout == STREAMING_ARROW_FIXED &&
		type->size == 16 && is_extension(schema, "arrow.uuid"))
		type->kind = STREAMING_ARROW_UUID;
	if (type->kind == STREAMING_ARROW_TEXT && is_extension(schema, "arrow.json"))
		type->kind = STREAMING_ARROW_JSON;
	parse->depth--;
	return type;
}

static void
read_format(StreamingArrowType *type, const char *format)
{
	static const struct
	{
		const char *format;
		StreamingArrowTypeKind kind;
		StreamingArrowLayout layout;
		int			size;
	}			known[] = {
		{"n", STREAMING_ARROW_NULL, 0, 0},
		{"b", STREAMING_ARROW_BOOL, 0, 0},
		{"c", STREAMING_ARROW_INT, 0, 1},
		{"s", STREAMING_ARROW_INT, 0, 2},
		{"i", STREAMING_ARROW_INT, 0, 4},
		{"l", STREAMING_ARROW_INT, 0, 8},
		{"C", STREAMING_ARROW_UINT, 0, 1},
		{"S", STREAMING_ARROW_UINT, 0, 2},
		{"I", STREAMING_ARROW_UINT, 0, 4},
		{"L", STREAMING_ARROW_UINT, 0, 8},
		{"e", STREAMING_ARROW_FLOAT, 0, 2},
		{"f", STREAMING_ARROW_FLOAT, 0, 4},
		{"g", STREAMING_ARROW_FLOAT, 0, 8},
		{"z", STREAMING_ARROW_BYTES, STREAMING_ARROW_OFFSETS, 0},
		{"Z", STREAMING_ARROW_BYTES, STREAMING_ARROW_LONG_OFFSETS, 0},
		{"vz", STREAMING_ARROW_BYTES, STREAMING_ARROW_VIEWS, 0},
		{"u", STREAMING_ARROW_TEXT, STREAMING_ARROW_OFFSETS, 0},
		{"U", STREAMING_ARROW_TEXT, STREAMING_ARROW_LONG_OFFSETS, 0},
		{"vu", STREAMING_ARROW_TEXT, STREAMING_ARROW_VIEWS, 0},
		{"+s", STREAMING_ARROW_STRUCT, 0, 0},
		{"+l", STREAMING_ARROW_LIST, STREAMING_ARROW_OFFSETS, 0},
		{"+L", STREAMING_ARROW_LIST, STREAMING_ARROW_LONG_OFFSETS, 0},
		{"+m", STREAMING_ARROW_MAP, STREAMING_ARROW_OFFSETS, 0},
		{"tiM", STREAMING_ARROW_MONTHS, 0, 4},
		{"tiD", STREAMING_ARROW_DAYS, 0, 8},
		{"tin", STREAMING_ARROW_INTERVAL, 0, 16}
	};

	type->kind = STREAMING_ARROW_UNKNOWN;
	for (int i = 0; i < lengthof(known); i++)
	{
		if (strcmp(known[i].format, format) != 0)
			continue;
		type->kind = known[i].kind;
		type->layout = known[i].layout;
		type->size = known[i].size;
		return;
	}
	if (strncmp(format, "w:", 2) == 0 || strncmp(format, "+w:", 3) == 0)
	{
		type->kind = format[0] == 'w' ? STREAMING_ARROW_BYTES : STREAMING_ARROW_LIST;
		type->layout = STREAMING_ARROW_FIXED;
		type->size = atoi(strchr(format, ':') + 1);
		if (type->size < 0)
			type->kind = STREAMING_ARROW_UNKNOWN;
	}
	else if (strncmp(format, "d:", 2) == 0)
		read_decimal(type, format + 2);
	else if (format[0] == 't' && strlen(format) >= 3)
		read_time(type, format + 1);
}

/* Without the t that they all begin with. */
static void
read_time(StreamingArrowType *type, const char *format)
{
	type->unit = unit_of(format[1]);
	if (type->unit == 0 && strcmp(format, "dD") != 0)
		return;
	type->size = 8;
	switch (format[0])
	{
		case 'd':
			type->kind = STREAMING_ARROW_DATE;
			if (format[1] == 'D')
				type->size = 4;
			break;
		case 't':
			type->kind = STREAMING_ARROW_TIME;
			if (type->unit <= 1000)
				type->size = 4;
			break;
		case 's':
			/* A zone says how to show a moment, and that it is one. */
			type->kind = format[2] == ':' && format[3] != '\0' ? STREAMING_ARROW_TIMESTAMP :
				STREAMING_ARROW_LOCAL_TIMESTAMP;
			break;
		case 'D':
			type->kind = STREAMING_ARROW_DURATION;
			break;
	}
}

/* precision,scale and the width in bits, 128 if it is not told */
static void
read_decimal(StreamingArrowType *type, const char *format)
{
	int			bits = 128;
	int			n = sscanf(format, "%d,%d,%d", &type->precision, &type->scale, &bits);

	if (n < 2 || (bits != 32 && bits != 64 && bits != 128 && bits != 256) ||
		type->precision < 1 || type->precision > 76 || abs(type->scale) > 1000)
		return;
	type->kind = STREAMING_ARROW_DECIMAL;
	type->size = bits / 8;
}

static int
unit_of(char letter)
{
	switch (letter)
	{
		case 's':
			return 1;
		case 'm':
			return 1000;
		case 'u':
			return 1000000;
		case 'n':
			return 1000000000;
		default:
			return 0;
	}
}

/* Metadata: how many pairs, then of each its key and value, each behind its length. */
static bool
is_extension(const struct ArrowSchema *schema, const char *name)
{
	static const char key[] = "ARROW:extension:name";
	const char *at = schema->metadata;
	int32		n;

	if (at == NULL)
		return false;
	memcpy(&n, at, sizeof(n));
	at += sizeof(n);
	for (; n > 0; n--)
	{
		int32		length;
		bool		found;

		memcpy(&length, at, sizeof(length));
		at += sizeof(length);
		found = length == strlen(key) && memcmp(at, key, length) == 0;
		at += length;
		memcpy(&length, at, sizeof(length));
		at += sizeof(length);
		if (found)
			return length == strlen(name) && memcmp(at, name, length) == 0;
		at += length;
	}
	return false;
}

const char *
streaming_arrow_type_name(const StreamingArrowType *type)
{
	const char *item;

	while (type->values)
		type = type->values;
	switch (type->kind)
	{
		case STREAMING_ARROW_BOOL:
			return "boolean";
		case STREAMING_ARROW_INT:
			return type->size <= 2 ? "smallint" : type->size == 4 ? "integer" : "bigint";
		case STREAMING_ARROW_UINT:
			return type->size == 1 ? "smallint" : type->size == 2 ? "integer" :
				type->size == 4 ? "bigint" : "numeric";
		case STREAMING_ARROW_FLOAT:
			return type->size <= 4 ? "real" : "double precision";
		case STREAMING_ARROW_DECIMAL:
			return "numeric";
		case STREAMING_ARROW_DATE:
			return "date";
		case STREAMING_ARROW_TIME:
			return "time without time zone";
		case STREAMING_ARROW_TIMESTAMP:
			return "timestamp with time zone";
		case STREAMING_ARROW_LOCAL_TIMESTAMP:
			return "timestamp without time zone";
		case STREAMING_ARROW_DURATION:
		case STREAMING_ARROW_MONTHS:
		case STREAMING_ARROW_DAYS:
		case STREAMING_ARROW_INTERVAL:
			return "interval";
		case STREAMING_ARROW_BYTES:
			return "bytea";
		case STREAMING_ARROW_UUID:
			return "uuid";
		case STREAMING_ARROW_NULL:
		case STREAMING_ARROW_TEXT:
			return "text";
		case STREAMING_ARROW_JSON:
		case STREAMING_ARROW_STRUCT:
		case STREAMING_ARROW_MAP:
			return "jsonb";
		case STREAMING_ARROW_LIST:
			item = streaming_arrow_type_name(type->types[0]);
			if (item == NULL)
				return NULL;
			/* An array of arrays has one length for all of them, lists need not. */
			return strcmp(item, "jsonb") == 0 || strchr(item, '[') ? "jsonb" : psprintf("%s[]", item);
		case STREAMING_ARROW_UNKNOWN:
			break;
	}
	return NULL;
}
