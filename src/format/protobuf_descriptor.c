/*
 * protobuf_descriptor.c
 *		Descriptors, as protoc --descriptor_set_out --include_imports writes them.
 *
 * A FileDescriptorSet is a Protobuf message of google/protobuf/descriptor.proto, whose
 * numbers are given here.  What does not say how values are read is stepped over.
 *
 * Needs no server.
 */
#include "format/protobuf.h"

#include <string.h>

/* Messages inside of each other; protoc's own limit is 32. */
#define MAX_NESTING		50

#define LABEL_REQUIRED	2
#define LABEL_REPEATED	3

typedef struct Describer
{
	StreamingProtobufSchema *schema;
	StreamingProtobufFile *file;
	int			depth;
} Describer;

static void describe_file(Describer *describer, const StreamingProtobufItem *bytes);
static void describe_message(Describer *describer, StreamingProtobufMessage *parent,
							 const StreamingProtobufItem *bytes);
static void describe_field(StreamingProtobufMessage *message, const StreamingProtobufItem *bytes);
static void describe_options(StreamingProtobufField *field, const StreamingProtobufItem *bytes);
static void describe_enum(Describer *describer, StreamingProtobufMessage *parent,
						  const StreamingProtobufItem *bytes);
static void describe_symbol(StreamingProtobufEnum *symbols, const StreamingProtobufItem *bytes);
static bool next(StreamingProtobufCursor *cursor, StreamingProtobufItem *item);
static StreamingProtobufCursor inside(const StreamingProtobufItem *bytes);
static bool is(const StreamingProtobufItem *item, uint32_t number, StreamingProtobufWire wire);
static char *string_of(const StreamingProtobufItem *item);
static char *name_in(const StreamingProtobufItem *bytes);
static bool flag_in(const StreamingProtobufItem *bytes, uint32_t field, uint32_t option);

void
streaming_protobuf_describe(StreamingProtobufSchema *schema, const uint8_t *data, size_t length)
{
	StreamingProtobufCursor cursor = {data, data + length};
	StreamingProtobufItem item;
	Describer	describer = {.schema = schema};

	if (length > STREAMING_PROTOBUF_MAX_SCHEMA)
		streaming_protobuf_refuse(true, "It is longer than %d bytes.", STREAMING_PROTOBUF_MAX_SCHEMA);
	while (next(&cursor, &item))
		if (is(&item, 1, STREAMING_PROTOBUF_LEN))
			describe_file(&describer, &item);
}

static void
describe_file(Describer *describer, const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufFile *file = streaming_protobuf_add_file(describer->schema);

	/* Types are called by the package, wherever that stands. */
	while (next(&cursor, &item))
	{
		if (is(&item, 1, STREAMING_PROTOBUF_LEN))
			file->name = string_of(&item);
		else if (is(&item, 2, STREAMING_PROTOBUF_LEN))
			file->package = string_of(&item);
		else if (is(&item, 3, STREAMING_PROTOBUF_LEN))
			streaming_protobuf_add_import(file, string_of(&item));
		else if (is(&item, 12, STREAMING_PROTOBUF_LEN))
		{
			char	   *syntax = string_of(&item);

			if (strcmp(syntax, "proto2") != 0 && strcmp(syntax, "proto3") != 0)
				streaming_protobuf_refuse(false, "Its syntax is neither proto2 nor proto3.");
			file->proto3 = strcmp(syntax, "proto3") == 0;
		}
	}
	describer->file = file;
	cursor = inside(bytes);
	while (next(&cursor, &item))
	{
		if (is(&item, 4, STREAMING_PROTOBUF_LEN))
			describe_message(describer, NULL, &item);
		else if (is(&item, 5, STREAMING_PROTOBUF_LEN))
			describe_enum(describer, NULL, &item);
	}
}

static void
describe_message(Describer *describer, StreamingProtobufMessage *parent,
				 const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufMessage *message =
		streaming_protobuf_add_message(describer->schema, describer->file, parent, name_in(bytes));

	streaming_protobuf_breathe();
	if (++describer->depth > MAX_NESTING)
		streaming_protobuf_refuse(true, "Messages are nested more than %d deep.", MAX_NESTING);
	message->map_entry = flag_in(bytes, 7, 7);
	while (next(&cursor, &item))
	{
		if (is(&item, 2, STREAMING_PROTOBUF_LEN))
			describe_field(message, &item);
		else if (is(&item, 3, STREAMING_PROTOBUF_LEN))
			describe_message(describer, message, &item);
		else if (is(&item, 4, STREAMING_PROTOBUF_LEN))
			describe_enum(describer, message, &item);
		else if (is(&item, 8, STREAMING_PROTOBUF_LEN))
			message->noneofs++;
	}
	describer->depth--;
}

static void
describe_field(StreamingProtobufMessage *message, const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufField *field = streaming_protobuf_add_field(message);

	field->name = "";
	while (next(&cursor, &item))
	{
		if (is(&item, 1, STREAMING_PROTOBUF_LEN))
			field->name = string_of(&item);
		else if (is(&item, 3, STREAMING_PROTOBUF_VARINT))
			field->number = (int32_t) item.bits;
		else if (is(&item, 4, STREAMING_PROTOBUF_VARINT))
		{
			field->repeated = item.bits == LABEL_REPEATED;
			field->required = item.bits == LABEL_REQUIRED;
		}
		else if (is(&item, 5, STREAMING_PROTOBUF_VARINT))
			field->kind = (StreamingProtobufKind) (item.bits > STREAMING_PROTOBUF_SINT64 ? 0 : item.bits);
		else if (is(&item, 6, STREAMING_PROTOBUF_LEN))
			field->type_name = string_of(&item);
		else if (is(&item, 8, STREAMING_PROTOBUF_LEN))
			describe_options(field, &item);
		else if (is(&item, 9, STREAMING_PROTOBUF_VARINT))
			field->oneof = item.bits > INT32_MAX ? INT32_MAX : (int) item.bits;
		else if (is(&item, 17, STREAMING_PROTOBUF_VARINT))
			field->optional = item.bits != 0;
	}
}

static void
describe_options(StreamingProtobufField *field, const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;

	while (next(&cursor, &item))
	{
		if (!is(&item, 2, STREAMING_PROTOBUF_VARINT))
			continue;
		field->packed_said = true;
		field->packed = item.bits != 0;
	}
}

static void
describe_enum(Describer *describer, StreamingProtobufMessage *parent,
			  const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufEnum *symbols =
		streaming_protobuf_add_enum(describer->schema, describer->file, parent, name_in(bytes));

	streaming_protobuf_breathe();
	while (next(&cursor, &item))
		if (is(&item, 2, STREAMING_PROTOBUF_LEN))
			describe_symbol(symbols, &item);
}

static void
describe_symbol(StreamingProtobufEnum *symbols, const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	int32_t		number = 0;

	while (next(&cursor, &item))
		if (is(&item, 2, STREAMING_PROTOBUF_VARINT))
			number = (int32_t) item.bits;
	streaming_protobuf_add_symbol(symbols, name_in(bytes), number);
}

/* ---- Bytes of a descriptor ---- */

static bool
next(StreamingProtobufCursor *cursor, StreamingProtobufItem *item)
{
	StreamingProtobufError error = {0};

	if (streaming_protobuf_next(cursor, item, &error))
		return true;
	if (error.message)
		streaming_protobuf_refuse(error.limit, "It is no FileDescriptorSet: %s.", error.message);
	return false;
}

static StreamingProtobufCursor
inside(const StreamingProtobufItem *bytes)
{
	return (StreamingProtobufCursor) {bytes->data, bytes->data + bytes->length};
}

static bool
is(const StreamingProtobufItem *item, uint32_t number, StreamingProtobufWire wire)
{
	return item->number == number && item->wire == wire;
}

static char *
string_of(const StreamingProtobufItem *item)
{
	return streaming_protobuf_copy((const char *) item->data, item->length);
}

/* Field 1 of all that have a name. */
static char *
name_in(const StreamingProtobufItem *bytes)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufItem name = {.data = (const uint8_t *) ""};

	while (next(&cursor, &item))
		if (is(&item, 1, STREAMING_PROTOBUF_LEN))
			name = item;
	return string_of(&name);
}

static bool
flag_in(const StreamingProtobufItem *bytes, uint32_t field, uint32_t option)
{
	StreamingProtobufCursor cursor = inside(bytes);
	StreamingProtobufItem item;
	StreamingProtobufItem inner;
	bool		flag = false;

	while (next(&cursor, &item))
	{
		StreamingProtobufCursor options = inside(&item);

		if (!is(&item, field, STREAMING_PROTOBUF_LEN))
			continue;
		while (next(&options, &inner))
			if (is(&inner, option, STREAMING_PROTOBUF_VARINT))
				flag = inner.bits != 0;
	}
	return flag;
}
