/*
 * fuzz_avro.c
 *		The walk over Avro records, by types that the input says, against a slow one.
 *
 * The input begins with a type: a byte for each of its nodes, the parts of a node
 * behind it; a byte beyond those of the kinds is the record that is around it, so
 * that types contain themselves.  What is left is the record.  The two walks must
 * agree on what is valid and on where the values are.  The record ends where a page
 * that cannot be read begins.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/avro.h"

#define MAX_INPUT	65536
#define MAX_NODES	64
#define NVALUES		8

static StreamingAvroType nodes[MAX_NODES];
static StreamingAvroField fields[MAX_NODES][4];
static StreamingAvroType *parts[MAX_NODES][4];
static const char *symbols[] = {"A", NULL, "C"};
static int	nnodes;

static StreamingAvroType *
make_type(const uint8_t **data, const uint8_t *end, StreamingAvroType *around, int depth)
{
	int			number = nnodes;
	StreamingAvroType *type;
	uint8_t		byte;

	if (nnodes == MAX_NODES || depth > 6 || *data == end)
	{
		static StreamingAvroType none = {.kind = STREAMING_AVRO_INT, .min_size = 1};

		return &none;
	}
	byte = *(*data)++;
	if (byte % 16 == 15 && around)
		return around;
	type = &nodes[nnodes++];
	memset(type, 0, sizeof(*type));
	type->kind = byte % 15;
	type->name = "never";
	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
		case STREAMING_AVRO_NEVER:
			break;
		case STREAMING_AVRO_FLOAT:
			type->min_size = 4;
			break;
		case STREAMING_AVRO_DOUBLE:
			type->min_size = 8;
			break;
		case STREAMING_AVRO_FIXED:
			type->min_size = type->size = byte >> 4;
			break;
		case STREAMING_AVRO_ENUM:
			type->n = 3;
			type->symbols = symbols;
			type->min_size = 1;
			break;
		case STREAMING_AVRO_RECORD:
			type->fields = fields[number];
			memset(fields[number], 0, sizeof(fields[number]));
			for (int i = 0; i < 1 + (byte >> 4) % 4; i++)
			{
				type->fields[i].name = "f";
				type->fields[i].type = make_type(data, end, type, depth + 1);
				type->min_size += type->fields[i].type->min_size;
			}
			type->n = 1 + (byte >> 4) % 4;
			break;
		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
		case STREAMING_AVRO_UNION:
			type->types = parts[number];
			type->n = type->kind == STREAMING_AVRO_UNION ? 1 + (byte >> 4) % 4 : 1;
			for (int i = 0; i < type->n; i++)
				type->types[i] = make_type(data, end, around, depth + 1);
			type->min_size = 1;
			break;
		default:
			type->min_size = 1;
			break;
	}
	return type;
}

/* ---- The slow walk: numbers bit by bit, nothing is counted but values ---- */

typedef struct Slow
{
	const uint8_t *p;
	const uint8_t *end;
	uint64_t	values;
	uint64_t	limit;
	bool		exceeded;
} Slow;

static bool
slow_long(Slow *slow, int64_t *value)
{
	unsigned __int128 bits = 0;

	for (int i = 0; i < 10; i++)
	{
		uint8_t		byte;

		if (slow->p == slow->end)
			return false;
		byte = *slow->p++;
		bits += (unsigned __int128) (byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (bits >> 64)
			return false;
		*value = bits % 2 ? -(int64_t) (bits / 2) - 1 : (int64_t) (bits / 2);
		return true;
	}
	return false;
}

static bool
slow_bytes(Slow *slow)
{
	int64_t		length;

	if (!slow_long(slow, &length) || length < 0 || length > slow->end - slow->p)
		return false;
	slow->p += length;
	return true;
}

static bool
slow_value(Slow *slow, const StreamingAvroType *type, int depth, StreamingAvroValue *values)
{
	int64_t		number;
	size_t		size = 0;

	if (++slow->values > slow->limit)
		return !(slow->exceeded = true);
	if (type->kind == STREAMING_AVRO_UNION)
	{
		if (!slow_long(slow, &number) || number < 0 || number >= type->n)
			return false;
		type = type->types[number];
	}
	switch (type->kind)
	{
		case STREAMING_AVRO_NULL:
			return true;
		case STREAMING_AVRO_BOOLEAN:
			return slow->p < slow->end && *slow->p++ < 2;
		case STREAMING_AVRO_INT:
			return slow_long(slow, &number) && number == (int32_t) number;
		case STREAMING_AVRO_LONG:
			return slow_long(slow, &number);
		case STREAMING_AVRO_ENUM:
			return slow_long(slow, &number) && number >= 0 && number < 3 && symbols[number];
		case STREAMING_AVRO_BYTES:
		case STREAMING_AVRO_STRING:
			return slow_bytes(slow);
		case STREAMING_AVRO_DOUBLE:
			size = 4;
			/* FALLTHROUGH */
		case STREAMING_AVRO_FLOAT:
			size += 4;
			/* FALLTHROUGH */
		case STREAMING_AVRO_FIXED:
			size += type->size;
			if (size > (size_t) (slow->end - slow->p))
				return false;
			slow->p += size;
			return true;
		case STREAMING_AVRO_RECORD:
			if (depth == STREAMING_AVRO_MAX_DEPTH)
				return !(slow->exceeded = true);
			for (int i = 0; i < type->n; i++)
			{
				const uint8_t *begin = slow->p;

				if (!slow_value(slow, type->fields[i].type, depth + 1, NULL))
					return false;
				if (values)
				{
					values[i].data = begin;
					values[i].length = slow->p - begin;
				}
			}
			return true;
		case STREAMING_AVRO_ARRAY:
		case STREAMING_AVRO_MAP:
			if (depth == STREAMING_AVRO_MAX_DEPTH)
				return !(slow->exceeded = true);
			for (;;)
			{
				int64_t		size_said = -1;
				const uint8_t *begin;

				if (!slow_long(slow, &number))
					return false;
				if (number == 0)
					return true;
				if (number < 0 && (!slow_long(slow, &size_said) || size_said < 0 || number == INT64_MIN))
					return false;
				begin = slow->p;
				for (uint64_t i = number < 0 ? -number : number; i > 0; i--)
				{
					if (type->kind == STREAMING_AVRO_MAP && !slow_bytes(slow))
						return false;
					if (!slow_value(slow, type->types[0], depth + 1, NULL))
						return false;
				}
				if (size_said >= 0 && slow->p - begin != size_said)
					return false;
			}
		default:
			return false;
	}
}

/* A copy of the input that ends at a page that cannot be touched. */
static const uint8_t *
at_page_end(const uint8_t *data, size_t size)
{
	static uint8_t *page;

	if (page == NULL)
	{
		page = mmap(NULL, MAX_INPUT + sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(page != MAP_FAILED);
		REQUIRE(mprotect(page + MAX_INPUT, sysconf(_SC_PAGESIZE), PROT_NONE) == 0);
	}
	if (size > 0)
		memcpy(page + MAX_INPUT - size, data, size);
	return page + MAX_INPUT - size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int	numbers[] = {0, 1, 2, 3};
	static StreamingAvroWant **nested[4];
	StreamingAvroWant want = {numbers, nested};
	StreamingAvroWant *wants[] = {&want, NULL, NULL, NULL};
	StreamingAvroValue values[NVALUES];
	StreamingAvroValue slow_values[NVALUES];
	StreamingAvroError error = {0};
	StreamingAvroType *type;
	Slow		slow = {0};
	const uint8_t *end = data + size;
	bool		valid;

	if (size > MAX_INPUT)
		return 0;
	nnodes = 0;
	type = make_type(&data, end, NULL, 0);
	if (type->kind == STREAMING_AVRO_UNION && type->types[0]->kind == STREAMING_AVRO_UNION)
		return 0;
	size = end - data;
	data = at_page_end(data, size);
	slow.p = data;
	slow.end = data + size;
	slow.limit = STREAMING_AVRO_MAX_VALUES(size);
	memset(slow_values, 0, sizeof(slow_values));
	valid = slow_value(&slow, type, 0, slow_values) && slow.p == slow.end;
	REQUIRE(streaming_avro_read(type, wants, data, size, values, NVALUES, &error) == valid);
	if (!valid)
	{
		REQUIRE(error.message != NULL);
		REQUIRE(error.offset <= size);
		return 0;
	}
	if (type->kind != STREAMING_AVRO_RECORD)
		return 0;
	for (int i = 0; i < type->n; i++)
	{
		StreamingAvroCursor cursor = {values[i].data, data + size};

		REQUIRE(values[i].type != NULL);
		/* A union's branch is found, behind its number. */
		REQUIRE(values[i].data + values[i].length == slow_values[i].data + slow_values[i].length);
		streaming_avro_skip(&cursor, values[i].type);
		REQUIRE(cursor.p == values[i].data + values[i].length);
	}
	return 0;
}
