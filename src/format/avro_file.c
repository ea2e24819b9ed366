/*
 * avro_file.c
 *		Avro object container files, taken apart.
 *
 *		"Obj" 1 | metadata: avro.schema, avro.codec | mark
 *		count, size | records, compressed as a whole | mark
 *		...
 *
 * A block is kept until its records have been taken, so its size is bounded; buffers
 * grow with what is there and not with what is announced.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/avro_codec.h"
#include "format/avro_file.h"
#include "format/avro_schema.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAGIC			"Obj\1"
#define MAGIC_LENGTH	4
#define MARK_LENGTH		16

/* Metadata of a file that is none may go on for long. */
#define MAX_METADATA	(2 * STREAMING_AVRO_MAX_SCHEMA)

/* What a buffer begins with, and is given back to. */
#define SMALL_BUFFER	(128 * 1024)

typedef struct Buffer
{
	StreamingAvroBuffer bytes;
	size_t		start;			/* what is before has been taken */
	size_t		limit;			/* of bytes */
	MemoryContext context;
} Buffer;

struct StreamingAvroFile
{
	MemoryContext context;
	MemoryContext schema_context;	/* of type; NULL: the file's head is not read yet */
	StreamingAvroType *type;
	char		mark[MARK_LENGTH];
	StreamingAvroCodec codec;
	Buffer		in;				/* of the file */
	Buffer		out;			/* of a block, decompressed */
	const char *records;		/* of the block; in one of them */
	size_t		left;			/* bytes of it */
	int64		count;			/* records in it; -1: there is no block */
	StreamingAvroUnpacker unpacker;
};

static StreamingAvroPiece read_head(StreamingAvroFile *file, const char **schema, size_t *length,
									const char **why);
static StreamingAvroPiece read_metadata(StreamingAvroFile *file, StreamingAvroCursor *at,
										const char **schema, size_t *length, const char **why);
static bool parse_schema(StreamingAvroFile *file, const char *schema, size_t length, const char **why);
static StreamingAvroPiece read_block(StreamingAvroFile *file, const char **why);
static bool unpack_block(StreamingAvroFile *file, const char *data, size_t length, const char **why);
static StreamingAvroCursor cursor(const Buffer *buffer);
static bool get_bytes(StreamingAvroCursor *at, const char **data, size_t *length);
static bool grow(StreamingAvroBuffer *bytes, size_t size);

StreamingAvroFile *
streaming_avro_file_open(void)
{
	StreamingAvroFile *file = palloc0(sizeof(StreamingAvroFile));

	file->context = file->in.context = file->out.context = CurrentMemoryContext;
	file->in.bytes.room = file->out.bytes.room = grow;
	file->in.limit = 2 * STREAMING_AVRO_MAX_BLOCK;
	file->out.limit = STREAMING_AVRO_MAX_BLOCK + SMALL_BUFFER;	/* for the step that tells */
	return file;
}

void
streaming_avro_file_close(StreamingAvroFile *file)
{
	streaming_avro_unpacker_close(&file->unpacker);
}

void
streaming_avro_file_begin(StreamingAvroFile *file)
{
	Buffer	   *buffers[] = {&file->in, &file->out};

	for (int i = 0; i < lengthof(buffers); i++)
	{
		StreamingAvroBuffer *bytes = &buffers[i]->bytes;

		buffers[i]->start = bytes->length = 0;
		if (bytes->allocated <= 2 * SMALL_BUFFER)
			continue;
		pfree(bytes->data);
		bytes->data = NULL;
		bytes->allocated = 0;
	}
	streaming_avro_unpacker_close(&file->unpacker);
	if (file->schema_context)
		MemoryContextDelete(file->schema_context);
	file->schema_context = NULL;
	file->count = -1;
}

char *
streaming_avro_file_room(StreamingAvroFile *file, size_t size)
{
	StreamingAvroBuffer *in = &file->in.bytes;

	if (file->in.start > 0 && in->allocated - in->length < size)
	{
		Assert(file->count <= 0);	/* no records are in there */
		in->length -= file->in.start;
		memmove(in->data, in->data + file->in.start, in->length);
		file->in.start = 0;
	}
	/* A block that is too long has been refused before. */
	if (!grow(in, size))
		elog(ERROR, "block of an Avro file is too long");
	return in->data + in->length;
}

void
streaming_avro_file_add(StreamingAvroFile *file, size_t size)
{
	file->in.bytes.length += size;
}

StreamingAvroPiece
streaming_avro_file_next(StreamingAvroFile *file, const char **data, size_t *length,
						 bool *is_schema, const char **why)
{
	StreamingAvroError error;

	*is_schema = file->schema_context == NULL;
	if (*is_schema)
		return read_head(file, data, length, why);
	while (file->count <= 0)
	{
		StreamingAvroPiece piece;

		if (file->count == 0 && file->left > 0)
		{
			*why = "bytes are left behind the records of a block";
			return STREAMING_AVRO_PIECE_DAMAGE;
		}
		piece = read_block(file, why);
		if (piece != STREAMING_AVRO_PIECE)
			return piece;
	}

	*data = file->records;
	if (!streaming_avro_measure(file->type, (const uint8_t *) file->records, file->left, length, &error))
	{
		/* Where the next record begins is not known, but where the next block is. */
		*length = file->left;
		file->count = 1;
	}
	file->records += *length;
	file->left -= *length;
	file->count--;
	return STREAMING_AVRO_PIECE;
}

/* ---- The head ---- */

static StreamingAvroPiece
read_head(StreamingAvroFile *file, const char **schema, size_t *length, const char **why)
{
	StreamingAvroCursor at = cursor(&file->in);
	size_t		available = at.end - at.p;
	StreamingAvroPiece piece;

	if (available < MAGIC_LENGTH)
		return available == 0 ? STREAMING_AVRO_PIECE_MORE : STREAMING_AVRO_PIECE_CUT;
	if (memcmp(at.p, MAGIC, MAGIC_LENGTH) != 0)
	{
		*why = "it does not begin as an Avro object container file";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	at.p += MAGIC_LENGTH;
	piece = read_metadata(file, &at, schema, length, why);
	if (piece == STREAMING_AVRO_PIECE_CUT && available > MAX_METADATA)
	{
		*why = "its metadata are too long, or none";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	if (piece != STREAMING_AVRO_PIECE)
		return piece;
	if (*schema == NULL)
	{
		*why = "it has no schema";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	if (!parse_schema(file, *schema, *length, why))
		return STREAMING_AVRO_PIECE_DAMAGE;
	file->in.start = (const char *) at.p - file->in.bytes.data;
	return STREAMING_AVRO_PIECE;
}

/* A map of bytes, and the mark.  PIECE: all of it is there. */
static StreamingAvroPiece
read_metadata(StreamingAvroFile *file, StreamingAvroCursor *at, const char **schema, size_t *length,
			  const char **why)
{
	int64_t		count;

	*schema = NULL;
	file->codec = STREAMING_AVRO_CODEC_NULL;
	for (;;)
	{
		int64_t		size;

		if (!streaming_avro_long(at, &count))
			return STREAMING_AVRO_PIECE_CUT;
		if (count == 0)
			break;
		if (count < 0 && !streaming_avro_long(at, &size))
			return STREAMING_AVRO_PIECE_CUT;
		for (uint64 i = count < 0 ? -(uint64) count : (uint64) count; i > 0; i--)
		{
			const char *key;
			const char *value;
			size_t		key_length;
			size_t		value_length;

			if (!get_bytes(at, &key, &key_length) || !get_bytes(at, &value, &value_length))
				return STREAMING_AVRO_PIECE_CUT;
			if (key_length == strlen("avro.schema") && memcmp(key, "avro.schema", key_length) == 0)
			{
				*schema = value;
				*length = value_length;
			}
			else if (key_length == strlen("avro.codec") && memcmp(key, "avro.codec", key_length) == 0 &&
					 !streaming_avro_codec_of(value, value_length, &file->codec))
			{
				*why = "its codec is none of " STREAMING_AVRO_CODECS;
				return STREAMING_AVRO_PIECE_DAMAGE;
			}
		}
	}
	if (at->end - at->p < MARK_LENGTH)
		return STREAMING_AVRO_PIECE_CUT;
	memcpy(file->mark, at->p, MARK_LENGTH);
	at->p += MARK_LENGTH;
	return STREAMING_AVRO_PIECE;
}

/*
 * A schema that is none makes a bad file, and not trouble with reading.  The parser
 * holds nothing but memory, so that no subtransaction is needed to survive its errors.
 */
static bool
parse_schema(StreamingAvroFile *file, const char *schema, size_t length, const char **why)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(file->context, "streaming Avro file",
												  ALLOCSET_SMALL_SIZES);
	volatile bool good = false;

	PG_TRY();
	{
		char	   *text;

		MemoryContextSwitchTo(context);
		text = pnstrdup(schema, length);
		file->type = streaming_avro_schema(pg_any_to_server(text, length, PG_UTF8));
		good = true;
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		*why = error->detail ? psprintf("%s (%s)", error->message, error->detail) : error->message;
		MemoryContextDelete(context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (good)
		file->schema_context = context;
	return good;
}

/* ---- Blocks ---- */

static StreamingAvroPiece
read_block(StreamingAvroFile *file, const char **why)
{
	StreamingAvroCursor at = cursor(&file->in);
	size_t		available = at.end - at.p;
	const char *data;
	int64_t		count;
	int64_t		size;

	CHECK_FOR_INTERRUPTS();
	if (at.p == at.end)
		return STREAMING_AVRO_PIECE_MORE;
	if (!streaming_avro_long(&at, &count) || !streaming_avro_long(&at, &size))
	{
		if (available < 20)
			return STREAMING_AVRO_PIECE_CUT;
		*why = "a block does not say how long it is";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	if (count < 0 || size < 0 || size > STREAMING_AVRO_MAX_BLOCK)
	{
		*why = "a block is longer than 128 MB";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	if (at.end - at.p < size + MARK_LENGTH)
		return STREAMING_AVRO_PIECE_CUT;
	data = (const char *) at.p;
	if (memcmp(data + size, file->mark, MARK_LENGTH) != 0)
	{
		*why = "a block does not end with the mark of the file";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}

	file->records = data;
	file->left = size;
	if (file->codec != STREAMING_AVRO_CODEC_NULL)
	{
		if (!unpack_block(file, data, size, why))
			return STREAMING_AVRO_PIECE_DAMAGE;
		file->records = file->out.bytes.data;
		file->left = file->out.bytes.length;
	}
	if ((uint64) count > STREAMING_AVRO_MAX_VALUES(file->left) ||
		(file->type->min_size > 0 && (uint64) count > file->left / file->type->min_size))
	{
		*why = "a block says that it has more records than it has bytes";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	file->count = count;
	file->in.start = data + size + MARK_LENGTH - file->in.bytes.data;
	return STREAMING_AVRO_PIECE;
}

/* Into file->out. */
static bool
unpack_block(StreamingAvroFile *file, const char *data, size_t length, const char **why)
{
	file->out.bytes.length = 0;
	switch (streaming_avro_unpack(&file->unpacker, file->codec, data, length, &file->out.bytes))
	{
		case STREAMING_AVRO_UNPACKED:
			if (file->out.bytes.length <= STREAMING_AVRO_MAX_BLOCK)
				return true;
			pg_fallthrough;
		case STREAMING_AVRO_UNPACK_LONG:
			*why = "a block is longer than 128 MB";
			return false;
		case STREAMING_AVRO_UNPACK_DAMAGE:
			*why = "the compressed data of a block are damaged";
			return false;
		case STREAMING_AVRO_UNPACK_SUM:
			*why = "the data of a block do not have the CRC-32 that it says";
			return false;
		case STREAMING_AVRO_UNPACK_GREEDY:
			*why = "a block takes more than 128 MB of memory to be decompressed";
			return false;
		case STREAMING_AVRO_UNPACK_MEMORY:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory")));
}

/* ---- Bytes ---- */

/* Of what has not been taken. */
static StreamingAvroCursor
cursor(const Buffer *buffer)
{
	const uint8_t *data = (const uint8_t *) buffer->bytes.data;

	return (StreamingAvroCursor) {data + buffer->start, data + buffer->bytes.length};
}

static bool
get_bytes(StreamingAvroCursor *at, const char **data, size_t *length)
{
	int64_t		size;

	if (!streaming_avro_long(at, &size) || size < 0 || size > at->end - at->p)
		return false;
	*data = (const char *) at->p;
	*length = size;
	at->p += size;
	return true;
}

/* Room for size bytes more; false: the buffer would be longer than it may be. */
static bool
grow(StreamingAvroBuffer *bytes, size_t size)
{
	Buffer	   *buffer = (Buffer *) bytes;
	size_t		allocated = Max(bytes->allocated, SMALL_BUFFER);

	CHECK_FOR_INTERRUPTS();
	if (bytes->allocated - bytes->length >= size)
		return true;
	if (size > buffer->limit - bytes->length)
		return false;
	while (allocated - bytes->length < size)
		allocated *= 2;
	allocated = Min(allocated, buffer->limit);
	if (bytes->data)
		bytes->data = repalloc_huge(bytes->data, allocated);
	else
		bytes->data = MemoryContextAllocHuge(buffer->context, allocated);
	bytes->allocated = allocated;
	return true;
}
