/*
 * protobuf_type.c
 *		Which type of PostgreSQL takes all values of a Protobuf field, as protobuf_value.c
 *		reads them.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/protobuf_value.h"

static const char *type_of_kind(const StreamingProtobufField *field);
static const char *type_of_message(const StreamingProtobufMessage *message);

const char *
streaming_protobuf_sql_type(const StreamingProtobufField *field)
{
	const char *item;

	if (field->message && field->message->map_entry)
		return "jsonb";
	item = type_of_kind(field);
	if (!field->repeated)
		return item;
	return strcmp(item, "jsonb") == 0 ? item : psprintf("%s[]", item);
}

static const char *
type_of_kind(const StreamingProtobufField *field)
{
	if (field->message)
		return type_of_message(field->message);
	switch (field->kind)
	{
		case STREAMING_PROTOBUF_DOUBLE:
			return "double precision";
		case STREAMING_PROTOBUF_FLOAT:
			return "real";
		case STREAMING_PROTOBUF_BOOL:
			return "boolean";
		case STREAMING_PROTOBUF_INT32:
		case STREAMING_PROTOBUF_SINT32:
		case STREAMING_PROTOBUF_SFIXED32:
			return "integer";
		case STREAMING_PROTOBUF_UINT32:
		case STREAMING_PROTOBUF_FIXED32:
		case STREAMING_PROTOBUF_INT64:
		case STREAMING_PROTOBUF_SINT64:
		case STREAMING_PROTOBUF_SFIXED64:
			return "bigint";
		case STREAMING_PROTOBUF_UINT64:
		case STREAMING_PROTOBUF_FIXED64:
			return "numeric";
		case STREAMING_PROTOBUF_BYTES:
			return "bytea";
		default:
			return "text";		/* strings, names of enums */
	}
}

static const char *
type_of_message(const StreamingProtobufMessage *message)
{
	switch (message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
			return "timestamp with time zone";
		case STREAMING_PROTOBUF_DURATION:
			return "interval";
		case STREAMING_PROTOBUF_DATE:
			return "date";
		case STREAMING_PROTOBUF_DECIMAL:
		case STREAMING_PROTOBUF_BINARY_DECIMAL:
			return "numeric";
		case STREAMING_PROTOBUF_WRAPPER:
			return message->n == 1 ? type_of_kind(&message->fields[0]) : "jsonb";
		default:
			return "jsonb";
	}
}
