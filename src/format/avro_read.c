/*
 * avro_read.c
 *		The walk over the bytes of an Avro record.
 *
 * Needs no server, and fails by returning false.
 */
#include "format/avro.h"
#include "format/varint.h"

#include <string.h>

typedef struct Walk
{
	StreamingAvroCursor at;
	const uint8_t *start;
	uint64_t	left;			/* values that may still come */
	int			depth;
	StreamingAvroValue *values;
	StreamingAvroError *error;
} Walk;

static bool walk_value(Walk *walk, const StreamingAvroType *type,
					   StreamingAvroWant *const *want, StreamingAvroValue *found);
static bool walk_record(Walk *walk, const StreamingAvroType *type, const StreamingAvroWant *want);
static bool walk_constant(Walk *walk, const StreamingAvroField *field,
						  StreamingAvroWant *const *want, StreamingAvroValue *found);
static bool walk_items(Walk *walk, const StreamingAvroType *type);
static bool walk_sized(Walk *walk);
static bool walk_bytes(Walk *walk, uint64_t length);
static bool read_long(Walk *walk, int64_t *value);
static bool fail(Walk *walk, const char *message);
static bool exceed(Walk *walk, const char *message);

bool
streaming_avro_read(const StreamingAvroType *type, StreamingAvroWant *const *want,
					const uint8_t *data, size_t length,
					StreamingAvroValue *values, int nvalues, StreamingAvroError *error)
{
	Walk		walk = {
		.at = {data, data + length},
		.start = data,
		.left = STREAMING_AVRO_MAX_VALUES(length),
		.values = values,
		.error = error
	};

	for (int i = 0; i < nvalues; i++)
		values[i].type = NULL;
	if (!walk_value(&walk, type, want, NULL))
		return false;
	if (walk.at.p != walk.at.end)
		return fail(&walk, "bytes are left behind the record");
	return true;
}

bool
streaming_avro_measure(const StreamingAvroType *type, const uint8_t *data, size_t available,
					   size_t *length, StreamingAvroError *error)
{
	Walk		walk = {
		.at = {data, data + available},
		.start = data,
		.left = STREAMING_AVRO_MAX_VALUES(available),
		.error = error
	};

	if (!walk_value(&walk, type, NULL, NULL))
		return false;
	*length = walk.at.p - data;
	return true;
}

bool
streaming_avro_long(StreamingAvroCursor *cursor, int64_t *value)
{
	uint64_t	bits = 0;
	const uint8_t *p = streaming_varint_at_once(cursor->p, cursor->end, &bits);

	if (p)
	{
		*value = (int64_t) ((bits >> 1) ^ (0 - (bits & 1)));
		cursor->p = p;
		return true;
	}
	p = cursor->p;
	for (int shift = 0; shift < 70 && p < cursor->end; shift += 7)
	{
		uint8_t		byte = *p++;

		/* The tenth byte has the last bit. */
		if (shift == 63 && byte > 1)
			return false;
		bits |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			*value = (int64_t) ((bits >> 1) ^ (0 - (bits & 1)));
			cursor->p = p;
			return true;
		}
	}
	return false;
}

void
streaming_avro_skip(StreamingAvroCursor *cursor, const StreamingAvroType *type)
{
	StreamingAvroError error;
	Walk		walk = {
		.at = *cursor,
		.start = cursor->p,
		.left = UINT64_MAX,
		.error = &error
	};

	(void) walk_value(&walk, type, NULL, NULL);
	*cursor = walk.at;
}

/* Of a union the branch is found. */
static bool
walk_value(Walk *walk, const StreamingAvroType *type,
		   StreamingAvroWant *const *want, StreamingAvroValue *found)
{
	const uint8_t *begin;
	int64_t		number;
	int			branch = 0;

	if (walk->left-- == 0)
		return exceed(walk, "the record has too many values for its length");
	if (type->kind == STREAMING_AVRO_UNION)
	{
		if (!read_long(walk, &number))
			return false;
		if (number < 0 || number >= type->n)
			return fail(walk, "a union has no such branch");
		branch = (int) number;
		type = type->types[branch];
	}
	begin = walk->at.p;
	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
			break;

		case STREAMING_AVRO_BOOLEAN:
			if (walk->at.p == walk->at.end)
				return fail(walk, "the record ends too early");
			if (*walk->at.p > 1)
				return fail(walk, "a boolean is neither 0 nor 1");
			walk->at.p++;
			break;

		case STREAMING_AVRO_INT:
			if (!read_long(walk, &number))
				return false;
			if (number < INT32_MIN || number > INT32_MAX)
				return fail(walk, "an int has more than 32 bits");
			break;

		case STREAMING_AVRO_LONG:
			if (!read_long(walk, &number))
				return false;
			break;

		case STREAMING_AVRO_FLOAT:
			if (!walk_bytes(walk, 4))
				return false;
			break;

		case STREAMING_AVRO_DOUBLE:
			if (!walk_bytes(walk, 8))
				return false;
			break;

		case STREAMING_AVRO_FIXED:
			if (!walk_bytes(walk, type->size))
				return false;
			break;

		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_STRING:
			if (!walk_sized(walk))
				return false;
			break;

		case STREAMING_AVRO_ENUM:
			if (!read_long(walk, &number))
				return false;
			if (number < 0 || number >= type->n)
				return fail(walk, "an enum has no such symbol");
			if (type->symbols[number] == NULL)
				return fail(walk, "the reader's schema has no such symbol of an enum");
			break;

		case STREAMING_AVRO_RECORD:
			if (walk->depth == STREAMING_AVRO_MAX_DEPTH)
				return exceed(walk, "values are nested too deeply");
			walk->depth++;
			if (!walk_record(walk, type, want ? want[branch] : NULL))
				return false;
			walk->depth--;
			break;

		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
			if (walk->depth == STREAMING_AVRO_MAX_DEPTH)
				return exceed(walk, "values are nested too deeply");
			walk->depth++;
			if (!walk_items(walk, type))
				return false;
			walk->depth--;
			break;

		case STREAMING_AVRO_UNION:
			return fail(walk, "a union is directly in a union");

		case STREAMING_AVRO_NEVER:
			return fail(walk, type->name);
	}
	if (found)
	{
		found->type = type;
		found->data = begin;
		found->length = walk->at.p - begin;
	}
	return true;
}

static bool
walk_record(Walk *walk, const StreamingAvroType *type, const StreamingAvroWant *want)
{
	for (int i = 0; i < type->n; i++)
	{
		const StreamingAvroField *field = &type->fields[i];
		int			number = want ? want->values[i] : -1;
		StreamingAvroValue *found = number < 0 ? NULL : &walk->values[number];
		StreamingAvroWant *const *nested = want ? want->nested[i] : NULL;

		if (field->constant == NULL)
		{
			if (!walk_value(walk, field->type, nested, found))
				return false;
		}
		else if ((found || nested) && !walk_constant(walk, field, nested, found))
			return false;
	}
	return true;
}

static bool
walk_constant(Walk *walk, const StreamingAvroField *field,
			  StreamingAvroWant *const *want, StreamingAvroValue *found)
{
	StreamingAvroCursor at = walk->at;
	bool		good;

	walk->at.p = field->constant;
	walk->at.end = field->constant + field->constant_length;
	good = walk_value(walk, field->type, want, found);
	walk->at = at;
	return good;
}

/* Blocks of items, each with their number; the last one has none. */
static bool
walk_items(Walk *walk, const StreamingAvroType *type)
{
	size_t		min_size = type->types[0]->min_size + (type->kind == STREAMING_AVRO_MAP);

	for (;;)
	{
		int64_t		count;
		int64_t		size = -1;
		const uint8_t *begin;

		if (!read_long(walk, &count))
			return false;
		if (count == 0)
			return true;
		if (count < 0)
		{
			if (!read_long(walk, &size))
				return false;
			if (count == INT64_MIN || size < 0 || size > walk->at.end - walk->at.p)
				return fail(walk, "a block is longer than the record");
			count = -count;
		}
		if (min_size > 0 && (uint64_t) count > (size_t) (walk->at.end - walk->at.p) / min_size)
			return fail(walk, "an array or a map has more items than the record has bytes");
		begin = walk->at.p;
		for (; count > 0; count--)
		{
			if (type->kind == STREAMING_AVRO_MAP && !walk_sized(walk))
				return false;
			if (!walk_value(walk, type->types[0], NULL, NULL))
				return false;
		}
		if (size >= 0 && walk->at.p - begin != size)
			return fail(walk, "a block has another length than it says");
	}
}

static bool
walk_sized(Walk *walk)
{
	int64_t		length;

	if (!read_long(walk, &length))
		return false;
	if (length < 0)
		return fail(walk, "a length is negative");
	return walk_bytes(walk, (uint64_t) length);
}

static bool
walk_bytes(Walk *walk, uint64_t length)
{
	if (length > (uint64_t) (walk->at.end - walk->at.p))
		return fail(walk, "the record ends too early");
	walk->at.p += length;
	return true;
}

static bool
read_long(Walk *walk, int64_t *value)
{
	if (walk->at.p < walk->at.end && *walk->at.p < 0x80)
	{
		uint8_t		byte = *walk->at.p++;

		*value = (byte >> 1) ^ -(int64_t) (byte & 1);
		return true;
	}
	if (!streaming_avro_long(&walk->at, value))
		return fail(walk, walk->at.end - walk->at.p < 10 ? "the record ends too early" :
					"a number is longer than 64 bits");
	return true;
}

static bool
fail(Walk *walk, const char *message)
{
	walk->error->message = message;
	walk->error->limit = false;
	walk->error->offset = walk->at.p >= walk->start ? walk->at.p - walk->start : 0;
	return false;
}

static bool
exceed(Walk *walk, const char *message)
{
	(void) fail(walk, message);
	walk->error->limit = true;
	return false;
}
