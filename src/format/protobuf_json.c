/*
 * protobuf_json.c
 *		Values of Protobuf messages -> JSON.
 *
 * As Protobuf's own mapping to JSON has it, with fields without presence always there,
 * but for what PostgreSQL reads better otherwise: members are called as in the schema,
 * numbers of 64 bits are numbers, and bytes are hexadecimal.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/direct_value.h"
#include "format/protobuf_value.h"
#include "miscadmin.h"

/* JSON of one value; jsonb takes no more anyway. */
#define MAX_JSON		(256 * 1024 * 1024)

typedef struct Writer
{
	StringInfo	buf;
	StreamingProtobufPieces *pieces;
	int			depth;			/* of messages */
} Writer;

static void write_value(Writer *writer, const StreamingProtobufValue *value);
static void write_items(Writer *writer, const StreamingProtobufValue *value);
static void write_numbers(Writer *writer, const StreamingProtobufValue *item, char *before);
static void write_entry(Writer *writer, const StreamingProtobufValue *item);
static void write_single(Writer *writer, const StreamingProtobufValue *value);
static void write_scalar(Writer *writer, const StreamingProtobufValue *value, bool quoted);
static void write_message(Writer *writer, const StreamingProtobufValue *value);
static void write_fields(Writer *writer, const StreamingProtobufMessage *message,
						 const StreamingProtobufValue *parts, char before);
static void write_variant(Writer *writer, const StreamingProtobufMessage *message,
						  const StreamingProtobufValue *parts);
static void write_any(Writer *writer, const StreamingProtobufMessage *message,
					  const StreamingProtobufValue *parts);

void
streaming_protobuf_json(StringInfo buf, const StreamingProtobufValue *value,
						StreamingProtobufPieces *pieces)
{
	Writer		writer = {buf, pieces, 0};

	write_value(&writer, value);
}

static void
write_value(Writer *writer, const StreamingProtobufValue *value)
{
	if (value->field->repeated)
		write_items(writer, value);
	else
		write_single(writer, value);
}

/* Of a map the items are its entries. */
static void
write_items(Writer *writer, const StreamingProtobufValue *value)
{
	const StreamingProtobufField *field = value->field;
	bool		map = field->message && field->message->map_entry;
	bool		numbers = streaming_protobuf_wire(field->kind) != STREAMING_PROTOBUF_LEN && !field->message;
	char		before = map ? '{' : '[';
	StreamingProtobufValue item = *value;
	int32		next = value->next;

	item.next = -1;
	/* data NULL: there is none */
	while (item.data)
	{
		CHECK_FOR_INTERRUPTS();
		if (numbers)
			write_numbers(writer, &item, &before);
		else
		{
			appendStringInfoChar(writer->buf, before);
			before = ',';
			if (map)
				write_entry(writer, &item);
			else
				write_single(writer, &item);
		}
		if (next < 0)
			break;
		item.data = writer->pieces->items[next].data;
		item.length = writer->pieces->items[next].length;
		next = writer->pieces->items[next].next;
	}
	if (before != ',')
		appendStringInfoChar(writer->buf, before);
	appendStringInfoChar(writer->buf, map ? '}' : ']');
}

static void
write_numbers(Writer *writer, const StreamingProtobufValue *item, char *before)
{
	StreamingProtobufCursor cursor = {item->data, item->data + item->length};
	StreamingProtobufValue number = *item;

	while (cursor.p < cursor.end)
	{
		if (!streaming_protobuf_number(&cursor, item->field->kind, &number.bits))
			streaming_protobuf_broken(&(StreamingProtobufError) {"the record ends too early"});
		if (item->field->kind == STREAMING_PROTOBUF_ENUM && item->field->symbols->closed &&
			streaming_protobuf_symbol(item->field->symbols, (int32) number.bits) < 0)
			continue;
		appendStringInfoChar(writer->buf, *before);
		*before = ',';
		write_single(writer, &number);
	}
}

static void
write_entry(Writer *writer, const StreamingProtobufValue *item)
{
	int			npieces = writer->pieces->n;
	StreamingProtobufValue *parts = streaming_protobuf_parts(item->field->message, item, writer->pieces);

	write_scalar(writer, &parts[0], true);
	appendStringInfoChar(writer->buf, ':');
	write_single(writer, &parts[1]);
	pfree(parts);
	writer->pieces->n = npieces;
}

static void
write_single(Writer *writer, const StreamingProtobufValue *value)
{
	if (writer->buf->len > MAX_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long as JSON"),
				 errdetail("At most %d bytes are allowed.", MAX_JSON)));
	if (value->field->message)
		write_message(writer, value);
	else
		write_scalar(writer, value, false);
}

/* quoted: also what needs no quotes */
static void
write_scalar(Writer *writer, const StreamingProtobufValue *value, bool quoted)
{
	StringInfo	buf = writer->buf;
	int			start = buf->len;

	if (value->field->kind == STREAMING_PROTOBUF_STRING)
	{
		streaming_append_json_string(buf, (const char *) value->data, value->length);
		return;
	}
	/* Nothing in it has to be escaped but the backslash of bytes. */
	appendStringInfoString(buf, value->field->kind == STREAMING_PROTOBUF_BYTES ? "\"\\" : "\"");
	if (streaming_protobuf_text(buf, value->field, value) || quoted)
	{
		appendStringInfoChar(buf, '"');
		return;
	}
	memmove(buf->data + start, buf->data + start + 1, buf->len - start);
	buf->len--;
}

static void
write_message(Writer *writer, const StreamingProtobufValue *value)
{
	const StreamingProtobufMessage *message = value->field->message;
	int			npieces = writer->pieces->n;
	StreamingProtobufValue *parts;

	check_stack_depth();
	if (++writer->depth > STREAMING_PROTOBUF_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("invalid Protobuf record"),
				 errdetail("Messages are nested more than %d deep.", STREAMING_PROTOBUF_MAX_DEPTH)));
	switch (message->logical)
	{
		case STREAMING_PROTOBUF_TIMESTAMP:
		case STREAMING_PROTOBUF_DURATION:
		case STREAMING_PROTOBUF_DATE:
			appendStringInfoChar(writer->buf, '"');
			(void) streaming_protobuf_logical_text(writer->buf, value, writer->pieces);
			appendStringInfoChar(writer->buf, '"');
			break;
		case STREAMING_PROTOBUF_BINARY_DECIMAL:
			(void) streaming_protobuf_logical_text(writer->buf, value, writer->pieces);
			break;
		default:
			parts = streaming_protobuf_parts(message, value, writer->pieces);
			if (message->logical == STREAMING_PROTOBUF_WRAPPER || message->logical == STREAMING_PROTOBUF_DECIMAL)
				write_single(writer, &parts[0]);
			else if (message->logical == STREAMING_PROTOBUF_VALUE)
				write_variant(writer, message, parts);
			else if (message->logical == STREAMING_PROTOBUF_ANY)
				write_any(writer, message, parts);
			else if (message->logical == STREAMING_PROTOBUF_STRUCT || message->logical == STREAMING_PROTOBUF_LIST)
			{
				parts[0].field = &message->fields[0];
				write_items(writer, &parts[0]);
			}
			else
				write_fields(writer, message, parts, '{');
			pfree(parts);
			break;
	}
	writer->pieces->n = npieces;
	writer->depth--;
}

/* Of those that are not there only the repeated ones are written, as empty. */
static void
write_fields(Writer *writer, const StreamingProtobufMessage *message,
			 const StreamingProtobufValue *parts, char before)
{
	for (int i = 0; i < message->n; i++)
	{
		StreamingProtobufValue part = parts[i];

		if (part.field == NULL && !message->fields[i].repeated)
			continue;
		part.field = &message->fields[i];
		appendStringInfo(writer->buf, "%c\"%s\":", before, part.field->name);
		before = ',';
		write_value(writer, &part);
	}
	appendStringInfoString(writer->buf, before == '{' ? "{}" : "}");
}

/* A google.protobuf.Value: the one that is set; the first is null. */
static void
write_variant(Writer *writer, const StreamingProtobufMessage *message,
			  const StreamingProtobufValue *parts)
{
	for (int i = 1; i < message->n; i++)
	{
		if (parts[i].field)
		{
			write_single(writer, &parts[i]);
			return;
		}
	}
	appendStringInfoString(writer->buf, "null");
}

/* Its members stand beside its type where the schema knows it, else its bytes do. */
static void
write_any(Writer *writer, const StreamingProtobufMessage *message,
		  const StreamingProtobufValue *parts)
{
	size_t		length = parts[0].length;
	const char *url = streaming_utf8_to_server((const char *) parts[0].data, &length);
	char	   *name = pnstrdup(url, length);
	const char *slash = strrchr(name, '/');
	StreamingProtobufField field = {.name = "value", .kind = STREAMING_PROTOBUF_MESSAGE};
	StreamingProtobufValue value = parts[1];

	appendStringInfoString(writer->buf, "{\"@type\":");
	write_single(writer, &parts[0]);
	field.message = streaming_protobuf_find(message->file->schema, slash ? slash + 1 : name);
	pfree(name);
	if (field.message)
		value.field = &field;
	if (field.message && field.message->logical == STREAMING_PROTOBUF_PLAIN)
	{
		StreamingProtobufValue *inner;

		if (++writer->depth > STREAMING_PROTOBUF_MAX_DEPTH)
			streaming_protobuf_broken(&(StreamingProtobufError) {"messages are nested too deeply", .limit = true});
		inner = streaming_protobuf_parts(field.message, &value, writer->pieces);
		write_fields(writer, field.message, inner, ',');
		pfree(inner);
		writer->depth--;
		return;
	}
	appendStringInfoString(writer->buf, ",\"value\":");
	write_single(writer, &value);
	appendStringInfoChar(writer->buf, '}');
}
