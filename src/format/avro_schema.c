/*
 * avro_schema.c
 *		From an Avro schema, which is JSON, to types.
 *
 * The JSON is read by the server's own parser.  A named type may be used again by
 * its name, also inside of itself, so types are a graph; its names are looked up in
 * a hash table.  Whatever a schema says, the graph is no larger than its text.
 *
 * What a schema says of a logical type counts only if it fits the type's bytes, as
 * the specification has it; otherwise the value is what it is without.
 */
#include "postgres.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "format/avro_schema.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"

/* Names, in bytes; and what is shown of a schema that is none. */
#define MAX_NAME		512
#define MAX_DETAIL		300

/* Digits that a numeric column can be declared with. */
#define MAX_PRECISION	1000

/* Longer values of type fixed are of no use, and overflow sums. */
#define MAX_FIXED		(256 * 1024 * 1024)

/* Bytes that values have at least are not counted further. */
#define MAX_MIN_SIZE	(1024 * 1024)

typedef struct NamedType
{
	char		name[MAX_NAME]; /* key */
	StreamingAvroType *type;
} NamedType;

typedef struct Parser
{
	HTAB	   *named;
} Parser;

static const struct
{
	const char *name;
	StreamingAvroKind kind;
	size_t		min_size;
}			primitives[] = {
	{"null", STREAMING_AVRO_NULL, 0},
	{"boolean", STREAMING_AVRO_BOOLEAN, 1},
	{"int", STREAMING_AVRO_INT, 1},
	{"long", STREAMING_AVRO_LONG, 1},
	{"float", STREAMING_AVRO_FLOAT, 4},
	{"double", STREAMING_AVRO_DOUBLE, 8},
	{"bytes", STREAMING_AVRO_BYTES, 1},
	{"string", STREAMING_AVRO_STRING, 1},
};

static const struct
{
	const char *name;
	StreamingAvroLogical logical;
	int			unit;
	StreamingAvroKind kind;
}			logicals[] = {
	{"date", STREAMING_AVRO_DATE, 0, STREAMING_AVRO_INT},
	{"time-millis", STREAMING_AVRO_TIME, 1000, STREAMING_AVRO_INT},
	{"time-micros", STREAMING_AVRO_TIME, 1000000, STREAMING_AVRO_LONG},
	{"timestamp-millis", STREAMING_AVRO_TIMESTAMP, 1000, STREAMING_AVRO_LONG},
	{"timestamp-micros", STREAMING_AVRO_TIMESTAMP, 1000000, STREAMING_AVRO_LONG},
	{"timestamp-nanos", STREAMING_AVRO_TIMESTAMP, 1000000000, STREAMING_AVRO_LONG},
	{"local-timestamp-millis", STREAMING_AVRO_LOCAL_TIMESTAMP, 1000, STREAMING_AVRO_LONG},
	{"local-timestamp-micros", STREAMING_AVRO_LOCAL_TIMESTAMP, 1000000, STREAMING_AVRO_LONG},
	{"local-timestamp-nanos", STREAMING_AVRO_LOCAL_TIMESTAMP, 1000000000, STREAMING_AVRO_LONG},
	{"uuid", STREAMING_AVRO_UUID, 0, STREAMING_AVRO_STRING},
	{"uuid", STREAMING_AVRO_UUID, 16, STREAMING_AVRO_FIXED},
	{"json", STREAMING_AVRO_JSON, 0, STREAMING_AVRO_STRING},
	{"duration", STREAMING_AVRO_DURATION, 12, STREAMING_AVRO_FIXED},
};

static StreamingAvroType *parse_schema(const char *json);
static void parse_references(Parser *parser, JsonbValue *json);
static void check_root(const StreamingAvroType *type);
static StreamingAvroType *parse_type(Parser *parser, const JsonbValue *json, const char *space);
static StreamingAvroType *parse_name(Parser *parser, const char *name, const char *space);
static StreamingAvroType *parse_object(Parser *parser, JsonbContainer *object, const char *space);
static StreamingAvroType *parse_union(Parser *parser, JsonbContainer *array, const char *space);
static void parse_record(Parser *parser, StreamingAvroType *type, JsonbContainer *object,
						 const char *space);
static void parse_field(Parser *parser, StreamingAvroField *field, const JsonbValue *json,
						const char *space);
static void parse_enum(StreamingAvroType *type, JsonbContainer *object);
static void parse_fixed(StreamingAvroType *type, JsonbContainer *object);
static void parse_logical(StreamingAvroType *type, JsonbContainer *object);
static void parse_decimal(StreamingAvroType *type, JsonbContainer *object);
static const char **parse_aliases(JsonbContainer *object, int *n);
static const char *name_type(Parser *parser, StreamingAvroType *type, JsonbContainer *object,
							 const char *space);
static StreamingAvroType *make_type(StreamingAvroKind kind);
static bool member(JsonbContainer *object, const char *name, JsonbValue *value);
static const char *string_member(JsonbContainer *object, const char *name);
static bool number_member(JsonbContainer *object, const char *name, int64 max, int64 *number);
static const char *string_of(const JsonbValue *value);
static JsonbContainer *nested(const JsonbValue *value, bool array);
static const char *qualified(const char *name, const char *space);
pg_noreturn static void invalid(const char *detail);

StreamingAvroType *
streaming_avro_schema(const char *json)
{
	StreamingAvroType *type = parse_schema(json);

	check_root(type);
	return type;
}

StreamingAvroType *
streaming_avro_key_schema(const char *json)
{
	StreamingAvroType *type = make_type(STREAMING_AVRO_RECORD);

	type->name = "key";
	type->n = 1;
	type->fields = palloc0(sizeof(StreamingAvroField));
	type->fields[0].name = "key";
	type->fields[0].type = parse_schema(json);
	type->min_size = type->fields[0].type->min_size;
	return type;
}

/* A type of any kind. */
static StreamingAvroType *
parse_schema(const char *json)
{
	HASHCTL		control = {.keysize = MAX_NAME, .entrysize = sizeof(NamedType), .hcxt = CurrentMemoryContext};
	Parser		parser;
	Jsonb	   *jsonb;
	JsonbValue	value;
	StreamingAvroType *type;
	size_t		length = strlen(json);
	bool		is_json;

	if (length > STREAMING_AVRO_MAX_SCHEMA)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("Avro schema is too long"),
				 errdetail("It has %zu bytes; at most %d are allowed.",
						   length, STREAMING_AVRO_MAX_SCHEMA)));

	/* A schema may be but the name of a type, without the quotes of JSON. */
	is_json = strpbrk(json, "{[\"") != NULL;
	parser.named = hash_create("types of an Avro schema", 16, &control,
							   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	if (is_json)
	{
		jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
		if (JB_ROOT_IS_SCALAR(jsonb))
		{
			JsonbValue *scalar = getIthJsonbValueFromContainer(&jsonb->root, 0);

			value = *scalar;
		}
		else
		{
			value.type = jbvBinary;
			value.val.binary.data = &jsonb->root;
			value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
		}
	}
	else
	{
		value.type = jbvString;
		value.val.string.val = pstrdup(json);
		value.val.string.len = length;
	}
	parse_references(&parser, &value);
	type = parse_type(&parser, &value, "");
	hash_destroy(parser.named);
	return type;
}

/* If json is a schema with those that it uses, it becomes the schema alone. */
static void
parse_references(Parser *parser, JsonbValue *json)
{
	JsonbContainer *object = nested(json, false);
	JsonbContainer *array;
	JsonbValue	value;

	if (object == NULL || !member(object, STREAMING_AVRO_REFERENCES, &value))
		return;
	array = nested(&value, true);
	if (array == NULL || !member(object, STREAMING_AVRO_SCHEMA, json))
		invalid("It has references, but no schema.");
	for (int i = 0; i < JsonContainerSize(array); i++)
		(void) parse_type(parser, getIthJsonbValueFromContainer(array, i), "");
}

/* A row is made of a record. */
static void
check_root(const StreamingAvroType *type)
{
	const char *name = streaming_avro_type_name(type);
	bool		found = type->kind == STREAMING_AVRO_RECORD;

	for (int i = 0; type->kind == STREAMING_AVRO_UNION && i < type->n; i++)
		found = found || type->types[i]->kind == STREAMING_AVRO_RECORD;
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("Avro schema is of type %s, not of records",
						streaming_clean_copy(name, MAX_DETAIL)),
				 errhint("A stream takes records, and unions of records.")));
}

const char *
streaming_avro_type_name(const StreamingAvroType *type)
{
	for (int i = 0; i < lengthof(primitives); i++)
		if (primitives[i].kind == type->kind)
			return primitives[i].name;
	switch (type->kind)
	{
		case STREAMING_AVRO_ARRAY:
			return "array";
		case STREAMING_AVRO_MAP:
			return "map";
		case STREAMING_AVRO_UNION:
			return "union";
		default:
			return type->name;
	}
}

/* space: the namespace around it, "" if there is none */
static StreamingAvroType *
parse_type(Parser *parser, const JsonbValue *json, const char *space)
{
	JsonbContainer *container;

	check_stack_depth();
	if (json->type == jbvString)
		return parse_name(parser, string_of(json), space);
	container = nested(json, false);
	if (container)
		return parse_object(parser, container, space);
	container = nested(json, true);
	if (container)
		return parse_union(parser, container, space);
	invalid("A type is neither a name, nor an object, nor an array.");
}

static StreamingAvroType *
parse_name(Parser *parser, const char *name, const char *space)
{
	NamedType  *named;

	for (int i = 0; i < lengthof(primitives); i++)
	{
		if (strcmp(primitives[i].name, name) == 0)
		{
			StreamingAvroType *type = make_type(primitives[i].kind);

			type->min_size = primitives[i].min_size;
			return type;
		}
	}
	named = hash_search(parser->named, qualified(name, space), HASH_FIND, NULL);
	if (named == NULL)
		named = hash_search(parser->named, qualified(name, ""), HASH_FIND, NULL);
	if (named == NULL)
		invalid(psprintf("There is no type \"%s\".", name));
	return named->type;
}

static StreamingAvroType *
parse_object(Parser *parser, JsonbContainer *object, const char *space)
{
	static const struct
	{
		const char *name;
		StreamingAvroKind kind;
	}			complex[] = {
		{"record", STREAMING_AVRO_RECORD},
		{"error", STREAMING_AVRO_RECORD},
		{"enum", STREAMING_AVRO_ENUM},
		{"fixed", STREAMING_AVRO_FIXED},
		{"array", STREAMING_AVRO_ARRAY},
		{"map", STREAMING_AVRO_MAP},
	};
	StreamingAvroType *type = NULL;
	JsonbValue	value;
	const char *name;

	if (!member(object, "type", &value))
		invalid("An object lacks \"type\".");
	name = value.type == jbvString ? string_of(&value) : NULL;
	for (int i = 0; name && i < lengthof(complex); i++)
		if (strcmp(complex[i].name, name) == 0)
			type = make_type(complex[i].kind);
	if (type == NULL)
	{
		/* {"type": {...}}, {"type": "long", "logicalType": ...} */
		type = parse_type(parser, &value, space);
		if (name != NULL && type->name == NULL)
			parse_logical(type, object);
		return type;
	}

	switch (type->kind)
	{
		case STREAMING_AVRO_RECORD:
			space = name_type(parser, type, object, space);
			parse_record(parser, type, object, space);
			break;
		case STREAMING_AVRO_ENUM:
			(void) name_type(parser, type, object, space);
			parse_enum(type, object);
			break;
		case STREAMING_AVRO_FIXED:
			(void) name_type(parser, type, object, space);
			parse_fixed(type, object);
			parse_logical(type, object);
			break;
		default:
			if (!member(object, type->kind == STREAMING_AVRO_MAP ? "values" : "items", &value))
				invalid(psprintf("Type \"%s\" does not say of what.", name));
			type->n = 1;
			type->types = palloc(sizeof(StreamingAvroType *));
			type->types[0] = parse_type(parser, &value, space);
			type->min_size = 1;
			break;
	}
	return type;
}

static StreamingAvroType *
parse_union(Parser *parser, JsonbContainer *array, const char *space)
{
	StreamingAvroType *type = make_type(STREAMING_AVRO_UNION);
	size_t		min_size = MAX_MIN_SIZE;

	type->n = JsonContainerSize(array);
	type->types = palloc(sizeof(StreamingAvroType *) * Max(type->n, 1));
	for (int i = 0; i < type->n; i++)
	{
		type->types[i] = parse_type(parser, getIthJsonbValueFromContainer(array, i), space);
		if (type->types[i]->kind == STREAMING_AVRO_UNION)
			invalid("A union is directly in a union.");
		min_size = Min(min_size, type->types[i]->min_size);
	}
	type->min_size = Min(1 + min_size, MAX_MIN_SIZE);
	return type;
}

static void
parse_record(Parser *parser, StreamingAvroType *type, JsonbContainer *object, const char *space)
{
	JsonbValue	value;
	JsonbContainer *fields = member(object, "fields", &value) ? nested(&value, true) : NULL;
	size_t		min_size = 0;
	int			n;

	if (fields == NULL)
		invalid(psprintf("Record \"%s\" has no fields.", type->name));
	n = JsonContainerSize(fields);
	type->fields = palloc0(sizeof(StreamingAvroField) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		parse_field(parser, &type->fields[i], getIthJsonbValueFromContainer(fields, i), space);
		min_size = Min(min_size + type->fields[i].type->min_size, MAX_MIN_SIZE);
	}
	/* Inside of itself a record counts as one without bytes. */
	type->n = n;
	type->min_size = min_size;
}

static void
parse_field(Parser *parser, StreamingAvroField *field, const JsonbValue *json, const char *space)
{
	JsonbContainer *object = nested(json, false);
	JsonbValue	value;

	field->name = object ? string_member(object, "name") : NULL;
	if (field->name == NULL || !member(object, "type", &value))
		invalid("A field lacks \"name\" or \"type\".");
	field->type = parse_type(parser, &value, space);

	/* {"name": ..., "type": "long", "logicalType": ...}: a mistake that is common */
	if (value.type == jbvString && field->type->name == NULL)
		parse_logical(field->type, object);
	field->aliases = parse_aliases(object, &field->naliases);
	if (member(object, "default", &value))
	{
		field->default_value = palloc(sizeof(JsonbValue));
		memcpy(field->default_value, &value, sizeof(JsonbValue));
	}
}

static void
parse_enum(StreamingAvroType *type, JsonbContainer *object)
{
	JsonbValue	value;
	JsonbContainer *symbols = member(object, "symbols", &value) ? nested(&value, true) : NULL;

	if (symbols == NULL)
		invalid(psprintf("Enum \"%s\" has no symbols.", type->name));
	type->n = JsonContainerSize(symbols);
	type->symbols = palloc(sizeof(char *) * Max(type->n, 1));
	for (int i = 0; i < type->n; i++)
	{
		JsonbValue *symbol = getIthJsonbValueFromContainer(symbols, i);

		if (symbol->type != jbvString)
			invalid(psprintf("A symbol of enum \"%s\" is no string.", type->name));
		type->symbols[i] = string_of(symbol);
	}
	type->default_symbol = string_member(object, "default");
	type->min_size = 1;
}

static void
parse_fixed(StreamingAvroType *type, JsonbContainer *object)
{
	int64		size;

	if (!number_member(object, "size", MAX_FIXED, &size))
		invalid(psprintf("Fixed \"%s\" has no size, or one above %d.", type->name, MAX_FIXED));
	type->size = size;
	type->min_size = Min(size, MAX_MIN_SIZE);
}

static void
parse_logical(StreamingAvroType *type, JsonbContainer *object)
{
	const char *name = string_member(object, "logicalType");

	if (name == NULL)
		return;
	if (strcmp(name, "decimal") == 0)
		parse_decimal(type, object);
	for (int i = 0; i < lengthof(logicals); i++)
	{
		if (strcmp(logicals[i].name, name) != 0 || logicals[i].kind != type->kind ||
			(type->kind == STREAMING_AVRO_FIXED && logicals[i].unit != type->size))
			continue;
		type->logical = logicals[i].logical;
		type->unit = logicals[i].unit;
	}
}

static void
parse_decimal(StreamingAvroType *type, JsonbContainer *object)
{
	int64		precision;
	int64		scale = 0;
	JsonbValue	value;

	if ((type->kind != STREAMING_AVRO_BYTES && type->kind != STREAMING_AVRO_FIXED) ||
		!number_member(object, "precision", MAX_PRECISION, &precision) || precision == 0)
		return;
	if (member(object, "scale", &value) && !number_member(object, "scale", precision, &scale))
		return;
	type->logical = STREAMING_AVRO_DECIMAL;
	type->precision = precision;
	type->scale = scale;
}

static const char **
parse_aliases(JsonbContainer *object, int *n)
{
	JsonbValue	value;
	JsonbContainer *array = member(object, "aliases", &value) ? nested(&value, true) : NULL;
	const char **aliases;

	*n = 0;
	if (array == NULL)
		return NULL;
	aliases = palloc(sizeof(char *) * Max(JsonContainerSize(array), 1));
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *alias = getIthJsonbValueFromContainer(array, i);

		if (alias->type == jbvString)
			aliases[(*n)++] = string_of(alias);
	}
	return aliases;
}

/* Returns the namespace inside of it. */
static const char *
name_type(Parser *parser, StreamingAvroType *type, JsonbContainer *object, const char *space)
{
	const char *name = string_member(object, "name");
	const char *own = string_member(object, "namespace");
	const char *dot;
	NamedType  *named;
	bool		found;

	if (name == NULL || name[0] == '\0')
		invalid("A record, enum or fixed has no name.");
	type->name = qualified(name, own ? own : space);
	type->aliases = parse_aliases(object, &type->naliases);
	named = hash_search(parser->named, type->name, HASH_ENTER, &found);
	if (found)
		invalid(psprintf("There are two types \"%s\".", type->name));
	named->type = type;
	dot = strrchr(type->name, '.');
	return dot ? pnstrdup(type->name, dot - type->name) : "";
}

static StreamingAvroType *
make_type(StreamingAvroKind kind)
{
	StreamingAvroType *type = palloc0(sizeof(StreamingAvroType));

	type->kind = kind;
	return type;
}

/* ---- JSON ---- */

static bool
member(JsonbContainer *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), value) != NULL;
}

static const char *
string_member(JsonbContainer *object, const char *name)
{
	JsonbValue	value;

	return member(object, name, &value) && value.type == jbvString ? string_of(&value) : NULL;
}

/* A whole number from 0 to max. */
static bool
number_member(JsonbContainer *object, const char *name, int64 max, int64 *number)
{
	JsonbValue	value;
	char	   *text;
	char	   *end;

	if (!member(object, name, &value) || value.type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
	if (text[0] < '0' || text[0] > '9' || strlen(text) > 15)
		return false;
	*number = strtoll(text, &end, 10);
	return *end == '\0' && *number <= max;
}

static const char *
string_of(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* NULL if it is no array, or object. */
static JsonbContainer *
nested(const JsonbValue *value, bool array)
{
	JsonbContainer *container;

	if (value->type != jbvBinary)
		return NULL;
	container = value->val.binary.data;
	return (array ? JsonContainerIsArray(container) : JsonContainerIsObject(container)) ? container : NULL;
}

static const char *
qualified(const char *name, const char *space)
{
	if (strlen(name) + strlen(space) + 1 >= MAX_NAME)
		invalid("A name is too long.");
	if (strchr(name, '.') != NULL || space[0] == '\0')
		return name;
	return psprintf("%s.%s", space, name);
}

static void
invalid(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid Avro schema"),
			 errdetail("%s", streaming_clean_copy(detail, MAX_DETAIL))));
}
