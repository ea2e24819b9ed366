/*
 * protobuf_read.c
 *		The walk over the bytes of a Protobuf message.
 *
 * Needs no server, and fails by returning false.
 */
#include "format/protobuf.h"
#include "format/varint.h"

#include <string.h>

typedef struct Walk
{
	StreamingProtobufValue *values;
	StreamingProtobufPieces *pieces;
	StreamingProtobufError *error;
} Walk;

static bool walk_message(Walk *walk, const StreamingProtobufWant *want,
						 const uint8_t *data, size_t length);
static const uint8_t *take_plain(StreamingProtobufValue *values, const StreamingProtobufWant *want,
								 const uint8_t *p, const uint8_t *end);
static bool take(Walk *walk, const StreamingProtobufWant *want,
				 const StreamingProtobufWantField *wanted, const StreamingProtobufItem *item);
static inline void set_value(StreamingProtobufValue *value, const StreamingProtobufField *field,
							 uint64_t bits, const uint8_t *data, size_t length);
static void set_member(Walk *walk, const StreamingProtobufWant *want,
					   const StreamingProtobufWantField *wanted);
static bool add_piece(Walk *walk, StreamingProtobufValue *value, const StreamingProtobufItem *item);
static bool next_item(StreamingProtobufCursor *cursor, StreamingProtobufItem *item,
					  StreamingProtobufError *error);
static bool skip_group(StreamingProtobufCursor *cursor, uint32_t number,
					   StreamingProtobufItem *item, StreamingProtobufError *error);
static bool fail(StreamingProtobufError *error, const uint8_t *at, const char *message);
static inline const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *value);
static inline uint64_t little(const uint8_t *p, int n);

bool
streaming_protobuf_read(const StreamingProtobufWant *want, const uint8_t *data, size_t length,
						StreamingProtobufValue *values, StreamingProtobufPieces *pieces,
						StreamingProtobufError *error)
{
	Walk		walk = {.values = values, .pieces = pieces, .error = error};

	error->message = NULL;
	error->limit = false;
	return walk_message(&walk, want, data, length);
}

/* As deep as the wants are, which follow the columns. */
static bool
walk_message(Walk *walk, const StreamingProtobufWant *want, const uint8_t *data, size_t length)
{
	StreamingProtobufCursor cursor = {data, data + length};
	StreamingProtobufItem item;

	for (;;)
	{
		const StreamingProtobufWantField *wanted;

		cursor.p = take_plain(walk->values, want, cursor.p, cursor.end);
		if (!next_item(&cursor, &item, walk->error))
			return walk->error->message == NULL;
		wanted = streaming_protobuf_wanted(want, item.number);
		if (wanted && !take(walk, want, wanted, &item))
			return false;
	}
}

/*
 * Takes the fields that come first, as far as they are what most are: wanted, and of
 * numbers and lengths that take a byte.  Returns where they end; what is there next, a
 * mistake included, is for next_item.
 */
static const uint8_t *
take_plain(StreamingProtobufValue *values, const StreamingProtobufWant *want,
		   const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p < 0x80 && *p >> 3 < want->ndense)
	{
		const StreamingProtobufWantField *wanted = want->dense[*p >> 3];
		const uint8_t *at = p + 1;
		const uint8_t *next;
		uint64_t	bits;

		if (wanted == NULL || !wanted->plain || wanted->wire != (*p & 7))
			break;
		switch (wanted->wire)
		{
			case STREAMING_PROTOBUF_VARINT:
				next = read_varint(at, end, &bits);
				if (next == NULL)
					return p;
				break;

			case STREAMING_PROTOBUF_I64:
				if (end - at < 8)
					return p;
				bits = little(at, 8);
				next = at + 8;
				break;

			case STREAMING_PROTOBUF_LEN:
				if (at == end || *at >= 0x80 || *at > end - at - 1)
					return p;
				bits = *at++;
				next = at + bits;
				break;

			default:
				return p;
		}
		set_value(&values[wanted->value], wanted->field, bits, at, next - at);
		p = next;
	}
	return p;
}

/* A field of another wire type than its own is an unknown one; numbers may be packed. */
static bool
take(Walk *walk, const StreamingProtobufWant *want, const StreamingProtobufWantField *wanted,
	 const StreamingProtobufItem *item)
{
	const StreamingProtobufField *field = wanted->field;
	StreamingProtobufWire wire = wanted->wire;
	StreamingProtobufValue *value;

	if (item->wire != wire &&
		!(field->repeated && item->wire == STREAMING_PROTOBUF_LEN && wire != STREAMING_PROTOBUF_BEGIN))
		return true;
	if (field->kind == STREAMING_PROTOBUF_ENUM && field->symbols->closed &&
		item->wire == wire && streaming_protobuf_symbol(field->symbols, (int32_t) item->bits) < 0)
		return true;
	if (wanted->oneof >= 0)
		set_member(walk, want, wanted);
	if (wanted->nested)
	{
		if (wanted->nested->seen >= 0)
			walk->values[wanted->nested->seen].field = field;
		if (!walk_message(walk, wanted->nested, item->data, item->length))
			return false;
	}
	if (wanted->value < 0)
		return true;

	value = &walk->values[wanted->value];
	if (value->field && (field->repeated || wire == STREAMING_PROTOBUF_BEGIN ||
						 field->kind == STREAMING_PROTOBUF_MESSAGE))
		return add_piece(walk, value, item);
	set_value(value, field, item->bits, item->data, item->length);
	return true;
}

static inline void
set_value(StreamingProtobufValue *value, const StreamingProtobufField *field, uint64_t bits,
		  const uint8_t *data, size_t length)
{
	value->field = field;
	value->bits = bits;
	value->data = data;
	value->length = (uint32_t) length;
	value->next = -1;
}

/* Setting a member of a oneof takes back the one that was set before. */
static void
set_member(Walk *walk, const StreamingProtobufWant *want, const StreamingProtobufWantField *wanted)
{
	StreamingProtobufValue *current = &walk->values[wanted->oneof];

	if (current->field == wanted->field)
		return;
	if (current->field)
	{
		const StreamingProtobufWantField *before =
			streaming_protobuf_wanted(want, (uint32_t) current->field->number);

		for (int i = 0; i < before->nowned; i++)
			walk->values[before->owned[i]].field = NULL;
	}
	current->field = wanted->field;
}

static bool
add_piece(Walk *walk, StreamingProtobufValue *value, const StreamingProtobufItem *item)
{
	StreamingProtobufPieces *pieces = walk->pieces;
	StreamingProtobufPiece *piece;

	if (pieces->n == pieces->allocated)
	{
		if (pieces->n >= STREAMING_PROTOBUF_MAX_PIECES)
		{
			walk->error->limit = true;
			return fail(walk->error, item->data, "the record has too many values");
		}
		pieces->items = streaming_protobuf_resize(pieces->items,
												  sizeof(StreamingProtobufPiece) * pieces->allocated * 2);
		pieces->allocated *= 2;
	}
	piece = &pieces->items[pieces->n];
	piece->data = item->data;
	piece->length = (uint32_t) item->length;
	piece->next = -1;
	if (value->next < 0)
		value->next = pieces->n;
	else
		pieces->items[value->last].next = pieces->n;
	value->last = pieces->n++;
	return true;
}

bool
streaming_protobuf_next(StreamingProtobufCursor *cursor, StreamingProtobufItem *item,
						StreamingProtobufError *error)
{
	return next_item(cursor, item, error);
}

static inline bool
next_item(StreamingProtobufCursor *cursor, StreamingProtobufItem *item,
		  StreamingProtobufError *error)
{
	const uint8_t *begin = cursor->p;
	uint64_t	tag;

	if (begin == cursor->end)
		return false;
	if (*begin < 0x80)
	{
		tag = *begin;
		cursor->p++;
	}
	else if (!streaming_protobuf_varint(cursor, &tag) || tag > UINT32_MAX)
		return fail(error, begin, "there is no field where one should begin");
	item->number = (uint32_t) tag >> 3;
	item->wire = (StreamingProtobufWire) (tag & 7);
	if (item->number == 0)
		return fail(error, begin, "a field has the number 0");
	item->data = cursor->p;
	switch (item->wire)
	{
		case STREAMING_PROTOBUF_VARINT:
			if (cursor->p < cursor->end && *cursor->p < 0x80)
				item->bits = *cursor->p++;
			else if (!streaming_protobuf_varint(cursor, &item->bits))
				return fail(error, cursor->p, cursor->end - cursor->p < 10 ?
							"the record ends too early" : "a number is longer than 64 bits");
			item->length = cursor->p - item->data;
			return true;

		case STREAMING_PROTOBUF_I64:
			if (cursor->end - cursor->p < 8)
				return fail(error, begin, "the record ends too early");
			item->bits = little(cursor->p, 8);
			item->length = 8;
			cursor->p += 8;
			return true;

		case STREAMING_PROTOBUF_I32:
			if (cursor->end - cursor->p < 4)
				return fail(error, begin, "the record ends too early");
			item->bits = little(cursor->p, 4);
			item->length = 4;
			cursor->p += 4;
			return true;

		case STREAMING_PROTOBUF_LEN:
			if (cursor->p < cursor->end && *cursor->p < 0x80)
				item->bits = *cursor->p++;
			else if (!streaming_protobuf_varint(cursor, &item->bits))
				return fail(error, begin, "the record ends too early");
			if (item->bits > (uint64_t) (cursor->end - cursor->p) || item->bits > INT32_MAX)
				return fail(error, begin, "the record ends too early");
			item->data = cursor->p;
			item->length = (size_t) item->bits;
			cursor->p += item->length;
			return true;

		case STREAMING_PROTOBUF_BEGIN:
			return skip_group(cursor, item->number, item, error);

		case STREAMING_PROTOBUF_END:
			return fail(error, begin, "a group ends that has not begun");
	}
	return fail(error, begin, "a field has an unknown wire type");
}

/* The group's fields are the item's bytes. */
static bool
skip_group(StreamingProtobufCursor *cursor, uint32_t number, StreamingProtobufItem *item,
		   StreamingProtobufError *error)
{
	const uint8_t *begin = cursor->p;
	uint32_t	open[STREAMING_PROTOBUF_MAX_DEPTH];
	int			depth = 1;

	open[0] = number;
	for (;;)
	{
		const uint8_t *at = cursor->p;
		uint64_t	tag;

		if (!streaming_protobuf_varint(cursor, &tag) || tag > UINT32_MAX)
			return fail(error, at, at == cursor->end ? "the record ends too early" :
						"there is no field where one should begin");
		if ((tag & 7) == STREAMING_PROTOBUF_BEGIN)
		{
			if (depth == STREAMING_PROTOBUF_MAX_DEPTH)
			{
				error->limit = true;
				return fail(error, at, "groups are nested too deeply");
			}
			if (tag >> 3 == 0)
				return fail(error, at, "a field has the number 0");
			open[depth++] = (uint32_t) tag >> 3;
		}
		else if ((tag & 7) == STREAMING_PROTOBUF_END)
		{
			if (open[--depth] != (uint32_t) tag >> 3)
				return fail(error, at, "a group ends that has not begun");
			if (depth == 0)
			{
				item->number = number;
				item->wire = STREAMING_PROTOBUF_BEGIN;
				item->data = begin;
				item->length = at - begin;
				return true;
			}
		}
		else
		{
			/* No group: this goes no deeper. */
			cursor->p = at;
			if (!next_item(cursor, item, error))
				return false;
		}
	}
}

bool
streaming_protobuf_varint(StreamingProtobufCursor *cursor, uint64_t *value)
{
	const uint8_t *next = read_varint(cursor->p, cursor->end, value);

	if (next == NULL)
		return false;
	cursor->p = next;
	return true;
}

/* Returns its end, or NULL if there is none. */
static inline const uint8_t *
read_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
	uint64_t	bits = 0;
	const uint8_t *next = streaming_varint_at_once(p, end, value);

	if (next)
		return next;
	for (int shift = 0; shift < 70 && p < end; shift += 7)
	{
		uint8_t		byte = *p++;

		bits |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			*value = bits;
			return p;
		}
	}
	return NULL;
}

bool
streaming_protobuf_number(StreamingProtobufCursor *cursor, StreamingProtobufKind kind,
						  uint64_t *bits)
{
	int			size;

	switch (streaming_protobuf_wire(kind))
	{
		case STREAMING_PROTOBUF_VARINT:
			return streaming_protobuf_varint(cursor, bits);
		case STREAMING_PROTOBUF_I64:
			size = 8;
			break;
		case STREAMING_PROTOBUF_I32:
			size = 4;
			break;
		default:
			return false;
	}
	if (cursor->end - cursor->p < size)
		return false;
	*bits = little(cursor->p, size);
	cursor->p += size;
	return true;
}

StreamingProtobufWire
streaming_protobuf_wire(StreamingProtobufKind kind)
{
	static const uint8_t wires[] = {
		[STREAMING_PROTOBUF_DOUBLE] = STREAMING_PROTOBUF_I64,
		[STREAMING_PROTOBUF_FLOAT] = STREAMING_PROTOBUF_I32,
		[STREAMING_PROTOBUF_FIXED64] = STREAMING_PROTOBUF_I64,
		[STREAMING_PROTOBUF_FIXED32] = STREAMING_PROTOBUF_I32,
		[STREAMING_PROTOBUF_STRING] = STREAMING_PROTOBUF_LEN,
		[STREAMING_PROTOBUF_GROUP] = STREAMING_PROTOBUF_BEGIN,
		[STREAMING_PROTOBUF_MESSAGE] = STREAMING_PROTOBUF_LEN,
		[STREAMING_PROTOBUF_BYTES] = STREAMING_PROTOBUF_LEN,
		[STREAMING_PROTOBUF_SFIXED32] = STREAMING_PROTOBUF_I32,
		[STREAMING_PROTOBUF_SFIXED64] = STREAMING_PROTOBUF_I64,
		[STREAMING_PROTOBUF_SINT64] = STREAMING_PROTOBUF_VARINT
	};

	return (StreamingProtobufWire) wires[kind];
}

int
streaming_protobuf_symbol(const StreamingProtobufEnum *symbols, int32_t number)
{
	int			low = 0;
	int			high = symbols->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (symbols->numbers[symbols->sorted[middle]] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < symbols->n && symbols->numbers[symbols->sorted[low]] == number ?
		symbols->sorted[low] : -1;
}

StreamingProtobufWantField *
streaming_protobuf_wanted(const StreamingProtobufWant *want, uint32_t number)
{
	int			low = 0;
	int			high = want->n;

	if (number < want->ndense)
		return want->dense[number];
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if ((uint32_t) want->fields[middle].field->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < want->n && (uint32_t) want->fields[low].field->number == number ?
		&want->fields[low] : NULL;
}

static bool
fail(StreamingProtobufError *error, const uint8_t *at, const char *message)
{
	error->message = message;
	error->at = at;
	return false;
}

/* The lowest byte first. */
static inline uint64_t
little(const uint8_t *p, int n)
{
	uint64_t	bits = 0;

	for (int i = n - 1; i >= 0; i--)
		bits = bits << 8 | p[i];
	return bits;
}
