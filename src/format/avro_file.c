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

#include <zlib.h>
#include <zstd.h>

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

typedef enum Codec
{
	CODEC_NULL,
	CODEC_DEFLATE,
	CODEC_ZSTANDARD
} Codec;

typedef struct Buffer
{
	char	   *data;
	size_t		start;
	size_t		end;
	size_t		allocated;
} Buffer;

struct StreamingAvroFile
{
	MemoryContext context;
	MemoryContext schema_context;	/* of type; NULL: the file's head is not read yet */
	StreamingAvroType *type;
	char		mark[MARK_LENGTH];
	Codec		codec;
	Buffer		in;				/* of the file */
	Buffer		out;			/* of a block, decompressed */
	const char *records;		/* of the block; in one of them */
	size_t		left;			/* bytes of it */
	int64		count;			/* records in it; -1: there is no block */
	z_stream	zlib;
	bool		zlib_made;
	ZSTD_DCtx  *zstd;
};

static StreamingAvroPiece read_head(StreamingAvroFile *file, const char **schema, size_t *length,
									const char **why);
static StreamingAvroPiece read_metadata(StreamingAvroFile *file, StreamingAvroCursor *at,
										const char **schema, size_t *length, const char **why);
static bool parse_schema(StreamingAvroFile *file, const char *schema, size_t length, const char **why);
static StreamingAvroPiece read_block(StreamingAvroFile *file, const char **why);
static bool inflate_block(StreamingAvroFile *file, const char *data, size_t length, const char **why);
static bool unzstd_block(StreamingAvroFile *file, const char *data, size_t length, const char **why);
static bool get_bytes(StreamingAvroCursor *at, const char **data, size_t *length);
static bool grow(StreamingAvroFile *file, Buffer *buffer, size_t size);

StreamingAvroFile *
streaming_avro_file_open(void)
{
	StreamingAvroFile *file = palloc0(sizeof(StreamingAvroFile));

	file->context = CurrentMemoryContext;
	return file;
}

void
streaming_avro_file_close(StreamingAvroFile *file)
{
	if (file->zlib_made)
		(void) inflateEnd(&file->zlib);
	file->zlib_made = false;
	ZSTD_freeDCtx(file->zstd);
	file->zstd = NULL;
}

void
streaming_avro_file_begin(StreamingAvroFile *file)
{
	Buffer	   *buffers[] = {&file->in, &file->out};

	for (int i = 0; i < lengthof(buffers); i++)
	{
		buffers[i]->start = buffers[i]->end = 0;
		if (buffers[i]->allocated <= 2 * SMALL_BUFFER)
			continue;
		pfree(buffers[i]->data);
		buffers[i]->data = NULL;
		buffers[i]->allocated = 0;
	}
	if (file->schema_context)
		MemoryContextDelete(file->schema_context);
	file->schema_context = NULL;
	file->count = -1;
}

char *
streaming_avro_file_room(StreamingAvroFile *file, size_t size)
{
	Buffer	   *in = &file->in;

	if (in->start > 0 && in->allocated - in->end < size)
	{
		Assert(file->count <= 0);	/* no records are in there */
		memmove(in->data, in->data + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	/* A block that is too long has been refused before. */
	if (!grow(file, in, size))
		elog(ERROR, "block of an Avro file is too long");
	return in->data + in->end;
}

void
streaming_avro_file_add(StreamingAvroFile *file, size_t size)
{
	file->in.end += size;
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
	Buffer	   *in = &file->in;
	StreamingAvroCursor at = {(uint8_t *) in->data + in->start, (uint8_t *) in->data + in->end};
	StreamingAvroPiece piece;

	if (in->end - in->start < MAGIC_LENGTH)
		return in->end == in->start ? STREAMING_AVRO_PIECE_MORE : STREAMING_AVRO_PIECE_CUT;
	if (memcmp(at.p, MAGIC, MAGIC_LENGTH) != 0)
	{
		*why = "it does not begin as an Avro object container file";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	at.p += MAGIC_LENGTH;
	piece = read_metadata(file, &at, schema, length, why);
	if (piece == STREAMING_AVRO_PIECE_CUT && in->end - in->start > MAX_METADATA)
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
	in->start = (const char *) at.p - in->data;
	return STREAMING_AVRO_PIECE;
}

/* A map of bytes, and the mark.  PIECE: all of it is there. */
static StreamingAvroPiece
read_metadata(StreamingAvroFile *file, StreamingAvroCursor *at, const char **schema, size_t *length,
			  const char **why)
{
	int64_t		count;

	*schema = NULL;
	file->codec = CODEC_NULL;
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
			else if (key_length == strlen("avro.codec") && memcmp(key, "avro.codec", key_length) == 0)
			{
				if (value_length == strlen("deflate") && memcmp(value, "deflate", value_length) == 0)
					file->codec = CODEC_DEFLATE;
				else if (value_length == strlen("zstandard") && memcmp(value, "zstandard", value_length) == 0)
					file->codec = CODEC_ZSTANDARD;
				else if (value_length != strlen("null") || memcmp(value, "null", value_length) != 0)
				{
					*why = "its codec is none of null, deflate and zstandard";
					return STREAMING_AVRO_PIECE_DAMAGE;
				}
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
	Buffer	   *in = &file->in;
	StreamingAvroCursor at = {(uint8_t *) in->data + in->start, (uint8_t *) in->data + in->end};
	const char *data;
	int64_t		count;
	int64_t		size;

	CHECK_FOR_INTERRUPTS();
	if (at.p == at.end)
		return STREAMING_AVRO_PIECE_MORE;
	if (!streaming_avro_long(&at, &count) || !streaming_avro_long(&at, &size))
	{
		if (in->end - in->start < 20)
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
	if (file->codec != CODEC_NULL)
	{
		file->out.end = 0;
		if (file->codec == CODEC_DEFLATE ? !inflate_block(file, data, size, why) :
			!unzstd_block(file, data, size, why))
			return STREAMING_AVRO_PIECE_DAMAGE;
		file->records = file->out.data;
		file->left = file->out.end;
	}
	if ((uint64) count > STREAMING_AVRO_MAX_VALUES(file->left) ||
		(file->type->min_size > 0 && (uint64) count > file->left / file->type->min_size))
	{
		*why = "a block says that it has more records than it has bytes";
		return STREAMING_AVRO_PIECE_DAMAGE;
	}
	file->count = count;
	in->start = data + size + MARK_LENGTH - in->data;
	return STREAMING_AVRO_PIECE;
}

/* Without the head and the sum that other users of zlib have. */
static bool
inflate_block(StreamingAvroFile *file, const char *data, size_t length, const char **why)
{
	z_stream   *zlib = &file->zlib;
	int			result = file->zlib_made ? inflateReset(zlib) : inflateInit2(zlib, -MAX_WBITS);

	file->zlib_made = file->zlib_made || result == Z_OK;
	zlib->next_in = (unsigned char *) unconstify(char *, data);
	zlib->avail_in = length;
	while (result == Z_OK)
	{
		if (!grow(file, &file->out, SMALL_BUFFER))
		{
			*why = "a block is longer than 128 MB";
			return false;
		}
		CHECK_FOR_INTERRUPTS();
		zlib->next_out = (unsigned char *) file->out.data + file->out.end;
		zlib->avail_out = file->out.allocated - file->out.end;
		result = inflate(zlib, Z_NO_FLUSH);
		file->out.end = file->out.allocated - zlib->avail_out;
	}
	if (result == Z_MEM_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (result != Z_STREAM_END)
		*why = "the compressed data of a block are damaged";
	return result == Z_STREAM_END;
}

static bool
unzstd_block(StreamingAvroFile *file, const char *data, size_t length, const char **why)
{
	ZSTD_inBuffer in = {data, length, 0};
	size_t		result = length == 0 ? 0 : 1;

	if (file->zstd == NULL)
		file->zstd = ZSTD_createDCtx();
	if (file->zstd == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	(void) ZSTD_DCtx_reset(file->zstd, ZSTD_reset_session_only);
	while (result != 0)
	{
		ZSTD_outBuffer out = {0};
		size_t		before = in.pos;

		if (!grow(file, &file->out, SMALL_BUFFER))
		{
			*why = "a block is longer than 128 MB";
			return false;
		}
		CHECK_FOR_INTERRUPTS();
		out.dst = file->out.data + file->out.end;
		out.size = file->out.allocated - file->out.end;
		result = ZSTD_decompressStream(file->zstd, &out, &in);
		file->out.end += out.pos;
		if (ZSTD_isError(result) || (result != 0 && out.pos == 0 && in.pos == before))
		{
			*why = "the compressed data of a block are damaged";
			return false;
		}
	}
	return true;
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

/* Room for size bytes more; false: the buffer would be longer than a block may be. */
static bool
grow(StreamingAvroFile *file, Buffer *buffer, size_t size)
{
	size_t		allocated = Max(buffer->allocated, SMALL_BUFFER);

	if (buffer->allocated - buffer->end >= size)
		return true;
	while (allocated - buffer->end < size)
		allocated *= 2;
	if (allocated > 2 * STREAMING_AVRO_MAX_BLOCK)
		return false;
	if (buffer->data)
		buffer->data = repalloc_huge(buffer->data, allocated);
	else
		buffer->data = MemoryContextAllocHuge(file->context, allocated);
	buffer->allocated = allocated;
	return true;
}
