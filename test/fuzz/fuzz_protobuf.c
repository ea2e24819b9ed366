/*
 * fuzz_protobuf.c
 *		Readers of Protobuf schemas, and the walk over messages against a slow one.
 *
 * The first byte says what the rest is: the text of a .proto file, a descriptor, or a
 * message of a type that is given here.  The two walks must agree on what is valid, and
 * on the values and pieces of each field.  The message ends where a page that cannot be
 * read begins.  What a schema takes is freed behind each input.
 */
#include "fuzz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/protobuf.h"

#define MAX_INPUT	65536
#define MAX_ITEMS	40000

/* Bytes that the schema of an input may take, for each of its own. */
#define MAX_FACTOR	2000

static const char *const given =
	"syntax = \"proto2\"; message M { optional int32 a = 1; optional fixed64 b = 2; repeated sint64 c = 3;"
	" optional M d = 4; repeated string e = 5; oneof o { int32 f = 6; M g = 7; float h = 8; } optional E i = 9;"
	" repeated group G = 10 { optional bool x = 1; } enum E { X = 1; Y = -1; } optional bytes far = 9999; }";

/* ---- What the readers ask for ---- */

typedef struct Block
{
	struct Block *next;
	size_t		size;
	max_align_t data[];
} Block;

static Block *blocks;
static size_t allocated;
static size_t allowed;
static jmp_buf refused;

void *
streaming_protobuf_allocate(size_t size)
{
	Block	   *block = calloc(1, sizeof(Block) + size);

	REQUIRE(block != NULL);
	allocated += size;
	REQUIRE(allocated <= allowed);
	block->size = size;
	block->next = blocks;
	blocks = block;
	return block->data;
}

/* The old one stays until all go. */
void *
streaming_protobuf_resize(void *old, size_t size)
{
	Block	   *block = (Block *) ((char *) old - offsetof(Block, data));
	void	   *new = streaming_protobuf_allocate(size);

	REQUIRE(size >= block->size);
	return memcpy(new, old, block->size);
}

void
streaming_protobuf_refuse(bool limit, const char *format,...)
{
	char		detail[4096];
	va_list		args;

	(void) limit;
	va_start(args, format);
	REQUIRE(vsnprintf(detail, sizeof(detail), format, args) < (int) sizeof(detail));
	va_end(args);
	longjmp(refused, 1);
}

void
streaming_protobuf_breathe(void)
{
}

static void
free_all(void)
{
	while (blocks)
	{
		Block	   *next = blocks->next;

		free(blocks);
		blocks = next;
	}
	allocated = 0;
}

/* ---- The slow walk: fields one by one, kept in a list ---- */

typedef struct Slow
{
	const uint8_t *p;
	const uint8_t *end;
} Slow;

static StreamingProtobufItem items[MAX_ITEMS];
static int	nitems;

static bool
slow_varint(Slow *slow, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 10; i++)
	{
		uint8_t		byte;

		if (slow->p == slow->end)
			return false;
		byte = *slow->p++;
		for (int bit = 0; bit < 7; bit++)
			if (i * 7 + bit < 64 && (byte >> bit & 1))
				*value |= UINT64_C(1) << (i * 7 + bit);
		if (byte < 128)
			return true;
	}
	return false;
}

/* Fields up to the end, or that of group number, which begins at *stop. */
static bool
slow_fields(Slow *slow, uint32_t group, int depth, bool keep, const uint8_t **stop)
{
	while (slow->p < slow->end)
	{
		StreamingProtobufItem item = {0};
		uint64_t	tag;
		const uint8_t *begin;
		const uint8_t *inner;

		*stop = slow->p;
		if (!slow_varint(slow, &tag) || tag > UINT32_MAX || tag < 8)
			return false;
		item.number = (uint32_t) tag / 8;
		item.wire = (StreamingProtobufWire) (tag % 8);
		begin = item.data = slow->p;
		switch (tag % 8)
		{
			case 0:
				if (!slow_varint(slow, &item.bits))
					return false;
				break;
			case 1:
			case 5:
				for (int i = 0; i < (tag % 8 == 1 ? 8 : 4); i++, slow->p++)
				{
					if (slow->p == slow->end)
						return false;
					item.bits |= (uint64_t) *slow->p << (8 * i);
				}
				break;
			case 2:
				if (!slow_varint(slow, &item.bits) || item.bits > (uint64_t) (slow->end - slow->p))
					return false;
				item.data = slow->p;
				slow->p += item.bits;
				break;
			case 3:
				if (depth == STREAMING_PROTOBUF_MAX_DEPTH || !slow_fields(slow, item.number, depth + 1, false, &inner))
					return false;
				item.length = inner - begin;
				break;
			case 4:
				return group != 0 && item.number == group;
			default:
				return false;
		}
		if (item.wire != STREAMING_PROTOBUF_BEGIN)
			item.length = slow->p - item.data;
		if (keep && nitems < MAX_ITEMS)
			items[nitems++] = item;
	}
	return group == 0;
}

/* Does the item set the field? */
static bool
sets(const StreamingProtobufField *field, const StreamingProtobufItem *item)
{
	bool		number = !field->message && field->kind != STREAMING_PROTOBUF_STRING && field->kind != STREAMING_PROTOBUF_BYTES;

	if (item->number != (uint32_t) field->number)
		return false;
	if (field->repeated && number && item->wire == STREAMING_PROTOBUF_LEN)
		return true;
	if (item->wire != streaming_protobuf_wire(field->kind))
		return false;
	return field->kind != STREAMING_PROTOBUF_ENUM || !field->symbols->closed ||
		(int32_t) item->bits == 1 || (int32_t) item->bits == -1;
}

static void
compare(const StreamingProtobufMessage *message, int i, const StreamingProtobufValue *value,
		const StreamingProtobufPieces *pieces)
{
	const StreamingProtobufField *field = &message->fields[i];
	bool		many = field->repeated || field->message;
	int			first = 0;
	int			n = 0;
	int			last = -1;
	int			next = -2;

	/* Of a oneof what stands before another member does not count. */
	for (int k = 0; k < nitems; k++)
		for (int j = 0; field->oneof >= 0 && j < message->n; j++)
			if (j != i && message->fields[j].oneof == field->oneof && sets(&message->fields[j], &items[k]))
				first = k + 1;
	for (int k = first; k < nitems; k++)
	{
		if (!sets(field, &items[k]))
			continue;
		last = k;
		n++;
		if (!many)
			continue;
		REQUIRE(value->field == field);
		if (next == -2)
		{
			REQUIRE(value->data == items[k].data && value->length == items[k].length);
			next = value->next;
		}
		else
		{
			REQUIRE(next >= 0 && next < pieces->n);
			REQUIRE(pieces->items[next].data == items[k].data && pieces->items[next].length == items[k].length);
			next = pieces->items[next].next;
		}
	}
	if (n == 0)
		REQUIRE(value->field == NULL);
	else if (many)
		REQUIRE(next == -1);
	else
	{
		REQUIRE(value->field == field && value->data == items[last].data && value->length == items[last].length);
		REQUIRE(value->bits == items[last].bits);
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

static void
fuzz_message(const uint8_t *data, size_t size)
{
	StreamingProtobufSchema schema = {0};
	StreamingProtobufMessage *message;
	StreamingProtobufValue *values;
	StreamingProtobufPieces pieces = {.allocated = 1};
	StreamingProtobufError error = {0};
	Slow		slow = {data, data + size};
	const uint8_t *stop;
	bool		valid;

	streaming_protobuf_parse(&schema, "", given);
	streaming_protobuf_link(&schema);
	message = streaming_protobuf_find(&schema, "M");
	REQUIRE(message != NULL && message->n == 12 - 1);
	values = streaming_protobuf_allocate(sizeof(StreamingProtobufValue) * message->nvalues);
	pieces.items = streaming_protobuf_allocate(sizeof(StreamingProtobufPiece));

	nitems = 0;
	valid = slow_fields(&slow, 0, 0, true, &stop);
	REQUIRE(streaming_protobuf_read(message->all, data, size, values, &pieces, &error) == valid);
	if (!valid)
	{
		REQUIRE(error.message != NULL && error.at >= data && error.at <= data + size);
		return;
	}
	for (int i = 0; i < message->n; i++)
		compare(message, i, &values[i], &pieces);
}

static void
fuzz_schema(const uint8_t *data, size_t size, bool text)
{
	StreamingProtobufSchema schema = {0};

	if (text)
	{
		char	   *copy = streaming_protobuf_copy((const char *) data, size);

		streaming_protobuf_parse(&schema, "", copy);
	}
	else
		streaming_protobuf_describe(&schema, data, size);
	if (schema.files)
		streaming_protobuf_link(&schema);

	/* What it gives is fit for a walk. */
	for (StreamingProtobufMessage *message = schema.messages; message; message = message->next)
	{
		REQUIRE(streaming_protobuf_find(&schema, message->name) == message);
		for (int i = 0; i < message->n; i++)
		{
			StreamingProtobufField *field = &message->fields[i];

			REQUIRE(streaming_protobuf_wanted(message->all, field->number)->field == field);
			REQUIRE((field->kind == STREAMING_PROTOBUF_MESSAGE || field->kind == STREAMING_PROTOBUF_GROUP) == (field->message != NULL));
			REQUIRE((field->kind == STREAMING_PROTOBUF_ENUM) == (field->symbols != NULL));
		}
	}
}

static void
fuzz(int what, const uint8_t *data, size_t size)
{
	if (what == 0)
		fuzz_message(data, size);
	else
		fuzz_schema(data, size, what == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > MAX_INPUT)
		return 0;
	allowed = 1000000 + size * MAX_FACTOR;
	if (setjmp(refused) == 0)
		fuzz(data[0] % 3, at_page_end(data + 1, size - 1), size - 1);
	else
		REQUIRE(data[0] % 3 != 0);
	free_all();
	return 0;
}
