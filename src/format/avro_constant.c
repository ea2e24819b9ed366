/*
 * avro_constant.c
 *		Defaults of an Avro schema, which are JSON, as the bytes of a record.
 *
 * So a field that has its default is read as any other.  A default may leave members out,
 * which have their own, so a short schema may ask for very many values: they are counted.
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "format/avro_schema.h"
#include "format/avro_write.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* What a default may still become. */
typedef struct Constant
{
	StringInfo	buf;
	int64		left;			/* values and bytes of strings */
} Constant;

#define MAX_CONSTANT	(4 * STREAMING_AVRO_MAX_SCHEMA)

static void append_value(Constant *constant, const StreamingAvroType *type, const JsonbValue *value);
static void count(Constant *constant, int64 n);
static int64 whole_number(const StreamingAvroType *type, const JsonbValue *value);
static double any_number(const StreamingAvroType *type, const JsonbValue *value);
static void append_bytes(Constant *constant, const StreamingAvroType *type, const JsonbValue *value);
static void append_symbol(Constant *constant, const StreamingAvroType *type, const JsonbValue *value);
static void append_record(Constant *constant, const StreamingAvroType *type, const JsonbValue *value);
static void append_items(Constant *constant, const StreamingAvroType *type, const JsonbValue *value);
static JsonbContainer *container_of(const StreamingAvroType *type, const JsonbValue *value, bool array);
pg_noreturn static void unfit(const StreamingAvroType *type);

void
streaming_avro_constant(StringInfo buf, const StreamingAvroType *type, const JsonbValue *value)
{
	Constant	constant = {buf, MAX_CONSTANT};

	append_value(&constant, type, value);
}

static void
count(Constant *constant, int64 n)
{
	constant->left -= n;
	if (constant->left < 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a default of an Avro schema is too large"),
				 errdetail("At most %d values and bytes are allowed.", MAX_CONSTANT)));
}

static void
append_value(Constant *constant, const StreamingAvroType *type, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	count(constant, 1);
	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
			if (value->type != jbvNull)
				unfit(type);
			break;
		case STREAMING_AVRO_BOOLEAN:
			if (value->type != jbvBool)
				unfit(type);
			appendStringInfoChar(constant->buf, value->val.boolean);
			break;
		case STREAMING_AVRO_INT:
		case STREAMING_AVRO_LONG:
			streaming_avro_put_long(constant->buf, whole_number(type, value));
			break;
		case STREAMING_AVRO_FLOAT:
			streaming_avro_put_float(constant->buf, any_number(type, value));
			break;
		case STREAMING_AVRO_DOUBLE:
			streaming_avro_put_double(constant->buf, any_number(type, value));
			break;
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_STRING:
		case STREAMING_AVRO_FIXED:
			append_bytes(constant, type, value);
			break;
		case STREAMING_AVRO_ENUM:
			append_symbol(constant, type, value);
			break;
		case STREAMING_AVRO_RECORD:
			append_record(constant, type, value);
			break;
		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
			append_items(constant, type, value);
			break;
		case STREAMING_AVRO_UNION:

			/* A union's default is of its first branch; null may be any. */
			for (int i = 0; i < type->n; i++)
			{
				if (i > 0 && (value->type == jbvNull) != (type->types[i]->kind == STREAMING_AVRO_NULL))
					continue;
				if (i == 0 && value->type == jbvNull && type->types[0]->kind != STREAMING_AVRO_NULL)
					continue;
				streaming_avro_put_long(constant->buf, i);
				append_value(constant, type->types[i], value);
				return;
			}
			unfit(type);
		case STREAMING_AVRO_NEVER:
			unfit(type);
	}
}

static int64
whole_number(const StreamingAvroType *type, const JsonbValue *value)
{
	Datum		number;

	if (value->type != jbvNumeric)
		unfit(type);
	number = NumericGetDatum(value->val.numeric);
	if (type->kind == STREAMING_AVRO_INT)
		return DatumGetInt32(DirectFunctionCall1(numeric_int4, number));
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

static double
any_number(const StreamingAvroType *type, const JsonbValue *value)
{
	if (value->type == jbvString)
	{
		const char *string = pnstrdup(value->val.string.val, value->val.string.len);

		if (strcmp(string, "NaN") == 0)
			return NAN;
		if (strcmp(string, "Infinity") == 0)
			return INFINITY;
		if (strcmp(string, "-Infinity") == 0)
			return -INFINITY;
	}
	if (value->type != jbvNumeric)
		unfit(type);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

/* Bytes are characters, U+0000 to U+00FF. */
static void
append_bytes(Constant *constant, const StreamingAvroType *type, const JsonbValue *value)
{
	const char *string;
	size_t		length;

	if (value->type != jbvString)
		unfit(type);
	string = pnstrdup(value->val.string.val, value->val.string.len);
	string = pg_server_to_any(string, strlen(string),
							  type->kind == STREAMING_AVRO_STRING ? PG_UTF8 : PG_LATIN1);
	length = strlen(string);
	count(constant, length);
	if (type->kind == STREAMING_AVRO_FIXED && length != type->size)
		unfit(type);
	if (type->kind != STREAMING_AVRO_FIXED)
		streaming_avro_put_long(constant->buf, length);
	appendBinaryStringInfo(constant->buf, string, length);
}

static void
append_symbol(Constant *constant, const StreamingAvroType *type, const JsonbValue *value)
{
	if (value->type != jbvString)
		unfit(type);
	for (int i = 0; i < type->n; i++)
	{
		if (strlen(type->symbols[i]) == value->val.string.len &&
			memcmp(type->symbols[i], value->val.string.val, value->val.string.len) == 0)
		{
			streaming_avro_put_long(constant->buf, i);
			return;
		}
	}
	unfit(type);
}

/* What the default of a record leaves out has its own default. */
static void
append_record(Constant *constant, const StreamingAvroType *type, const JsonbValue *value)
{
	JsonbContainer *object = container_of(type, value, false);

	for (int i = 0; i < type->n; i++)
	{
		const StreamingAvroField *field = &type->fields[i];
		JsonbValue	member;

		if (getKeyJsonValueFromContainer(object, field->name, strlen(field->name), &member))
			append_value(constant, field->type, &member);
		else if (field->default_value)
			append_value(constant, field->type, field->default_value);
		else
			unfit(type);
	}
}

static void
append_items(Constant *constant, const StreamingAvroType *type, const JsonbValue *value)
{
	bool		array = type->kind == STREAMING_AVRO_ARRAY;
	JsonbContainer *container = container_of(type, value, array);
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	item;

	if (JsonContainerSize(container) > 0)
		streaming_avro_put_long(constant->buf, JsonContainerSize(container));
	(void) JsonbIteratorNext(&iterator, &item, true);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			StreamingAvroType key = {.kind = STREAMING_AVRO_STRING};

			append_bytes(constant, &key, &item);
		}
		else if (token == WJB_ELEM || token == WJB_VALUE)
			append_value(constant, type->types[0], &item);
	}
	streaming_avro_put_long(constant->buf, 0);
}

static JsonbContainer *
container_of(const StreamingAvroType *type, const JsonbValue *value, bool array)
{
	JsonbContainer *container = value->type == jbvBinary ? value->val.binary.data : NULL;

	if (container == NULL ||
		!(array ? JsonContainerIsArray(container) : JsonContainerIsObject(container)))
		unfit(type);
	return container;
}

static void
unfit(const StreamingAvroType *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid Avro schema"),
			 errdetail("A default is no value of type %s.", streaming_avro_type_name(type))));
}
