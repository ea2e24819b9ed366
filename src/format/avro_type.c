/*
 * avro_type.c
 *		Which type of PostgreSQL takes all values of an Avro type, as avro_value.c reads them.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/avro_schema.h"
#include "miscadmin.h"

static const char *type_of_union(const StreamingAvroType *type);
static const char *wider(const char *a, const char *b);

const char *
streaming_avro_sql_type(const StreamingAvroType *type)
{
	const char *item;

	check_stack_depth();
	switch (type->logical)
	{
		case STREAMING_AVRO_PLAIN:
			break;
		case STREAMING_AVRO_DECIMAL:
			return "numeric";
		case STREAMING_AVRO_UUID:
			return "uuid";
		case STREAMING_AVRO_DATE:
			return "date";
		case STREAMING_AVRO_TIME:
			return "time without time zone";
		case STREAMING_AVRO_TIMESTAMP:
			return "timestamp with time zone";
		case STREAMING_AVRO_LOCAL_TIMESTAMP:
			return "timestamp without time zone";
		case STREAMING_AVRO_DURATION:
			return "interval";
		case STREAMING_AVRO_JSON:
			return "jsonb";
	}
	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
		case STREAMING_AVRO_STRING:
		case STREAMING_AVRO_ENUM:
		case STREAMING_AVRO_NEVER:
			break;
		case STREAMING_AVRO_BOOLEAN:
			return "boolean";
		case STREAMING_AVRO_INT:
			return "integer";
		case STREAMING_AVRO_LONG:
			return "bigint";
		case STREAMING_AVRO_FLOAT:
			return "real";
		case STREAMING_AVRO_DOUBLE:
			return "double precision";
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_FIXED:
			return "bytea";
		case STREAMING_AVRO_RECORD:
		case STREAMING_AVRO_MAP:
			return "jsonb";
		case STREAMING_AVRO_ARRAY:
			/* An array of arrays has one length for all of them, Avro's need not. */
			item = streaming_avro_sql_type(type->types[0]);
			return strcmp(item, "jsonb") == 0 || strchr(item, '[') ? "jsonb" : psprintf("%s[]", item);
		case STREAMING_AVRO_UNION:
			return type_of_union(type);
	}
	return "text";
}

/* Of its branches but null the type that takes all. */
static const char *
type_of_union(const StreamingAvroType *type)
{
	const char *result = NULL;

	for (int i = 0; i < type->n; i++)
	{
		const char *branch;

		if (type->types[i]->kind == STREAMING_AVRO_NULL)
			continue;
		branch = streaming_avro_sql_type(type->types[i]);
		result = result ? wider(result, branch) : branch;
	}
	return result ? result : "text";
}

static const char *
wider(const char *a, const char *b)
{
	static const char *const numbers[] = {"integer", "bigint", "numeric", "real", "double precision"};
	int			of_a = -1;
	int			of_b = -1;

	if (strcmp(a, b) == 0)
		return a;
	for (int i = 0; i < lengthof(numbers); i++)
	{
		of_a = strcmp(a, numbers[i]) == 0 ? i : of_a;
		of_b = strcmp(b, numbers[i]) == 0 ? i : of_b;
	}
	if (of_a < 0 || of_b < 0)
		return strcmp(a, "jsonb") == 0 || strcmp(b, "jsonb") == 0 || strchr(a, '[') || strchr(b, '[') ? "jsonb" : "text";
	/* A real has too few digits for an integer. */
	return Max(of_a, of_b) >= 3 ? "double precision" : numbers[Max(of_a, of_b)];
}
