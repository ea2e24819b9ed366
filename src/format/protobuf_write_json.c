/*
 * protobuf_write_json.c
 *		jsonb -> google.protobuf.Value.
 *
 *		Value {1 null, 2 double, 3 string, 4 bool, 5 Struct, 6 ListValue}
 *		Struct {1 entries {1 key, 2 Value}}		ListValue {1 Values}
 */
#include "postgres.h"

#include "streaming.h"

#include "format/protobuf_write.h"
#include "format/protobuf_write_json.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

typedef struct Writer
{
	StringInfo	buf;
	const char *column;
	int			depth;			/* of messages */
} Writer;

static void write_value(Writer *writer, const JsonbValue *value);
static void write_container(Writer *writer, JsonbContainer *container);
static void write_number(Writer *writer, Numeric number);
static void write_string(StringInfo buf, int32 field, const char *data, int length);
static void begin(Writer *writer, int32 field, int *start);
static void end(Writer *writer, int start);

void
streaming_protobuf_write_json(StringInfo buf, Jsonb *json, const char *column)
{
	Writer		writer = {buf, column, 0};

	if (JB_ROOT_IS_SCALAR(json))
	{
		JsonbValue	value;

		(void) JsonbExtractScalar(&json->root, &value);
		write_value(&writer, &value);
	}
	else
		write_container(&writer, &json->root);
}

static void
write_value(Writer *writer, const JsonbValue *value)
{
	StringInfo	buf = writer->buf;

	switch (value->type)
	{
		case jbvNull:
			streaming_protobuf_put_tag(buf, 1, STREAMING_PROTOBUF_VARINT);
			streaming_protobuf_put_varint(buf, 0);
			break;
		case jbvNumeric:
			write_number(writer, value->val.numeric);
			break;
		case jbvString:
			write_string(buf, 3, value->val.string.val, value->val.string.len);
			break;
		case jbvBool:
			streaming_protobuf_put_tag(buf, 4, STREAMING_PROTOBUF_VARINT);
			streaming_protobuf_put_varint(buf, value->val.boolean);
			break;
		case jbvBinary:
			write_container(writer, value->val.binary.data);
			break;
		default:
			elog(ERROR, "unexpected type of jsonb value: %d", value->type);
	}
}

static void
write_container(Writer *writer, JsonbContainer *container)
{
	bool		object = JsonContainerIsObject(container);
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	item;
	JsonbIteratorToken token;
	int			whole;
	int			entry = 0;
	int			value;

	check_stack_depth();
	begin(writer, object ? 5 : 6, &whole);
	(void) JsonbIteratorNext(&iterator, &item, true);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) == WJB_KEY ||
		   token == WJB_VALUE || token == WJB_ELEM)
	{
		if (token == WJB_KEY)
		{
			begin(writer, 1, &entry);
			write_string(writer->buf, 1, item.val.string.val, item.val.string.len);
			continue;
		}
		begin(writer, object ? 2 : 1, &value);
		write_value(writer, &item);
		end(writer, value);
		if (object)
			end(writer, entry);
	}
	end(writer, whole);
}

static void
write_number(Writer *writer, Numeric number)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	Datum		value = DirectFunctionCall1(float8in, CStringGetDatum(text));
	Datum		back = DirectFunctionCall3(numeric_in, DirectFunctionCall1(float8out, value),
										   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	float8		held = DatumGetFloat8(value);
	uint64		bits;

	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number), back)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number %s in \"%s\" has more digits than a google.protobuf.Value holds", text, writer->column),
				 errhint("Write the column as text.")));
	memcpy(&bits, &held, sizeof(bits));
	streaming_protobuf_put_tag(writer->buf, 2, STREAMING_PROTOBUF_I64);
	streaming_protobuf_put_number(writer->buf, STREAMING_PROTOBUF_I64, bits);
}

static void
write_string(StringInfo buf, int32 field, const char *data, int length)
{
	char	   *converted = pg_server_to_any(data, length, PG_UTF8);

	if (converted != data)
		length = strlen(converted);
	streaming_protobuf_put_tag(buf, field, STREAMING_PROTOBUF_LEN);
	streaming_protobuf_put_varint(buf, length);
	appendBinaryStringInfo(buf, converted, length);
}

/* A message in it; readers have a limit, too. */
static void
begin(Writer *writer, int32 field, int *start)
{
	if (++writer->depth >= STREAMING_PROTOBUF_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value in \"%s\" is nested too deeply for Protobuf", writer->column),
				 errdetail("Messages may be at most %d deep.", STREAMING_PROTOBUF_MAX_DEPTH)));
	streaming_protobuf_put_tag(writer->buf, field, STREAMING_PROTOBUF_LEN);
	*start = writer->buf->len;
}

static void
end(Writer *writer, int start)
{
	streaming_protobuf_put_length(writer->buf, start);
	writer->depth--;
}
