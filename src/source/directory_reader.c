/*
 * directory_reader.c
 *		One file after the other, cut into records.
 *
 * Bytes are read (or decompressed) straight into one buffer, and records point
 * into it; nothing is copied but the unfinished record at the buffer's end,
 * once a block.  Small files follow each other in the buffer, so that one poll
 * delivers records of many of them:
 *
 *		0            start           end                 capacity
 *		|  delivered |  to be split  |       room        | padding |
 *
 * The buffer moves only when the caller says that nobody looks at what has
 * been delivered (fresh).  It grows for a record that does not fit, up to
 * STREAMING_RECORD_LIMIT, and shrinks again behind it.
 *
 * A compressed file that is damaged or cut off ends where the damage is: what
 * could be decompressed is split into records as if nothing had happened, and
 * one record with a framing error stands for the rest.
 */
#include "postgres.h"

#include "streaming.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "source/beneath.h"
#include "commands/defrem.h"
#include "source/directory_files.h"
#include "source/directory_reader.h"
#include "format/compression.h"
#include "format/avro_file.h"
#include "format/columnar.h"
#include "format/format.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* The buffer as it begins: small enough to stay in the processor's cache. */
#define BLOCK_SIZE		(256 * 1024)

/* With less room the buffer is not read into. */
#define MIN_READ		(64 * 1024)

/* Compressed bytes that are read at a time. */
#define INPUT_SIZE		(128 * 1024)

/* Bytes of batches of a columnar format that are kept for one poll, about. */
#define MAX_BATCHES		(16 * 1024 * 1024)

/* Different texts of damage that are kept. */
#define MAX_DAMAGES		1000

/* As much of a record too long is delivered with its framing error. */
#define EXCERPT_SIZE	(64 * 1024)

struct StreamingReader
{
	MemoryContext context;
	StreamingStream *stream;
	Bitmapset  *needed;
	struct StreamingConditions *conditions;
	StreamingDecoder *decoder;	/* for its split; made with the first file */
	bool		check_header;	/* each file's first record is never skipped */

	char	   *buffer;
	size_t		capacity;		/* without the padding */
	size_t		start;
	size_t		end;
	size_t		scanned;		/* of the record at start; see split */

	/* the file */
	int			fd;				/* -1: none */
	const char *path;
	int64		count;			/* of records behind us */
	int64		skip;			/* as many are not delivered */
	bool		eof;			/* all is in the buffer */
	bool		at_mark;		/* a byte order mark may come */
	bool		resync;			/* skip to the next line */
	const char *damage;			/* why eof came early; NULL: it did not, or
								 * that has been delivered */

	/* decompression */
	StreamingCompression compression;
	int64		file_size;
	int64		file_modified;
	char	   *input;
	size_t		input_start;
	size_t		input_end;
	bool		input_eof;
	bool		member_open;	/* inside of a member or frame */
	int64		members;		/* that are finished */
	List	   *damages;		/* texts of damage, see damaged() */
	z_stream	zlib;
	bool		zlib_made;
	ZSTD_DCtx  *zstd;

	/* Avro */
	StreamingAvroFile *avro;	/* NULL: it is another format */
	const char *piece;			/* what is left of one to be copied */
	size_t		piece_left;

	/* Parquet, Arrow */
	StreamingColumnarFile *columnar;	/* NULL: it is another format */
	StreamingArrowKind kind;
	StreamingBatch *batch;		/* NULL: none */
	int64		row;			/* next of it */

	char		trouble[STREAMING_FILE_MAX_PATH + 256];
};

static const char *const file_names[] = {"Parquet file", "Arrow file", "ORC file"};

static bool wants_header(const StreamingStream *stream);
static bool make_room(StreamingReader *reader, bool fresh);
static bool fill(StreamingReader *reader);
static ssize_t read_file(StreamingReader *reader, char *to, size_t size);
static bool begin_columnar(StreamingReader *reader);
static void set_read_trouble(StreamingReader *reader);
static StreamingReaderResult next_row(StreamingReader *reader, StreamingRecord *record, bool fresh);
static bool unpack_avro(StreamingReader *reader);
static bool read_avro(StreamingReader *reader);
static bool decompress(StreamingReader *reader);
static void decompress_gzip(StreamingReader *reader);
static void decompress_zstd(StreamingReader *reader);
static void damaged(StreamingReader *reader, const char *what, const char *why);
static bool deliver(StreamingReader *reader, StreamingRecord *record, const char *payload,
					size_t length, const char *framing_error);

StreamingReader *
streaming_reader_open(StreamingStream *stream)
{
	StreamingReader *reader = palloc0(sizeof(StreamingReader));

	reader->context = CurrentMemoryContext;
	reader->stream = stream;
	reader->check_header = wants_header(stream);
	reader->fd = -1;
	reader->capacity = BLOCK_SIZE;
	reader->buffer = palloc(reader->capacity + STREAMING_RECORD_PADDING);
	return reader;
}

void
streaming_reader_close(StreamingReader *reader)
{
	streaming_reader_end(reader);
	if (reader->zlib_made)
		(void) inflateEnd(&reader->zlib);
	reader->zlib_made = false;
	ZSTD_freeDCtx(reader->zstd);
	reader->zstd = NULL;
	if (reader->avro)
		streaming_avro_file_close(reader->avro);
	if (reader->columnar)
		streaming_columnar_close(reader->columnar);
	reader->columnar = NULL;
}

void
streaming_reader_need(StreamingReader *reader, Bitmapset *needed)
{
	reader->needed = needed;
}

void
streaming_reader_filter(StreamingReader *reader, struct StreamingConditions *conditions)
{
	reader->conditions = conditions;
}

bool
streaming_reader_begin(StreamingReader *reader, const char *path, int64 skip, struct stat *st)
{
	MemoryContext old = MemoryContextSwitchTo(reader->context);
	int			flags;

	streaming_reader_end(reader);
	if (reader->decoder == NULL)
		reader->decoder = streaming_decoder_open(reader->stream, reader->needed);
	if (reader->decoder->routine == &streaming_format_avro)
	{
		if (reader->avro == NULL)
			reader->avro = streaming_avro_file_open();
		streaming_avro_file_begin(reader->avro);
		reader->piece_left = 0;
	}
	if (reader->columnar == NULL && streaming_format_is_columnar(reader->decoder->routine->name, &reader->kind))
		reader->columnar = streaming_columnar_open(reader->decoder, reader->conditions);
	/* These are compressed inside. */
	reader->compression = reader->avro || reader->columnar ? STREAMING_COMPRESSION_NONE :
		streaming_file_compression(reader->stream, path);
	if (reader->compression != STREAMING_COMPRESSION_NONE && reader->input == NULL)
		reader->input = palloc(INPUT_SIZE);
	MemoryContextSwitchTo(old);

	/* What is left of the last file is nobody's. */
	reader->start = reader->end;
	reader->scanned = 0;
	reader->path = path;
	reader->count = 0;
	reader->skip = skip;
	reader->at_mark = reader->decoder->utf8;
	if (reader->decoder->routine->begin_file != NULL)
		reader->decoder->routine->begin_file(reader->decoder);
	reader->eof = reader->resync = reader->member_open = reader->input_eof = false;
	reader->damage = NULL;
	reader->members = 0;
	reader->input_start = reader->input_end = 0;

	if (!AcquireExternalFD())
	{
		/* errno is EMFILE or ENFILE */
		snprintf(reader->trouble, sizeof(reader->trouble),
				 "could not open file \"%s\": %m", path);
		return false;
	}

	/* Not to be stuck should the name now be a pipe's. */
	reader->fd = streaming_beneath_file(reader->stream, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (reader->fd < 0 || fstat(reader->fd, st) != 0 || !S_ISREG(st->st_mode))
	{
		int			error = reader->fd < 0 ? errno : S_ISREG(st->st_mode) ? errno : EINVAL;

		if (reader->fd >= 0)
			close(reader->fd);
		reader->fd = -1;
		ReleaseExternalFD();
		snprintf(reader->trouble, sizeof(reader->trouble), "could not open file \"%s\": %s",
				 path, streaming_beneath_error(reader->stream, error));
		errno = error;
		return false;
	}
	reader->file_size = st->st_size;
	reader->file_modified = (int64) st->st_mtim.tv_sec * USECS_PER_SEC + st->st_mtim.tv_nsec / 1000;
	flags = fcntl(reader->fd, F_GETFL);
	if (flags >= 0)
		(void) fcntl(reader->fd, F_SETFL, flags & ~O_NONBLOCK);
	if (reader->columnar)
		return begin_columnar(reader);
	if (st->st_size > BLOCK_SIZE)
		(void) posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return true;
}

StreamingReaderResult
streaming_reader_next(StreamingReader *reader, StreamingRecord *record, bool fresh)
{
	const StreamingFormatRoutine *format = reader->decoder->routine;

	if (reader->columnar)
		return next_row(reader, record, fresh);
	for (;;)
	{
		const char *data = reader->buffer + reader->start;
		size_t		length = reader->end - reader->start;

		if (reader->at_mark && (length >= STREAMING_MARK_LENGTH || reader->eof))
		{
			reader->at_mark = false;
			if (streaming_begins_with_mark(data, length))
				reader->start += STREAMING_MARK_LENGTH;
			continue;
		}
		if (length > 0 && reader->resync)
		{
			const char *newline = memchr(data, '\n', length);

			reader->start = newline == NULL ? reader->end : (size_t) (newline + 1 - reader->buffer);
			reader->resync = newline == NULL;
			continue;
		}
		if (length > 0 && !reader->at_mark)
		{
			size_t		record_length = 0;
			size_t		taken = format->split(reader->decoder, data, length,
											  reader->eof && reader->damage == NULL,
											  &reader->scanned, &record_length);

			if (taken > 0)
			{
				reader->start += taken;
				reader->scanned = 0;
				if (deliver(reader, record, data, record_length, NULL))
					return STREAMING_READER_RECORD;
				continue;
			}
			if (length >= STREAMING_RECORD_LIMIT)
			{
				reader->start = reader->end;
				reader->scanned = 0;
				reader->resync = true;
				if (deliver(reader, record, data, EXCERPT_SIZE, "record is longer than 256 MB"))
					return STREAMING_READER_RECORD;
				continue;
			}
		}
		if (reader->eof)
		{
			const char *damage = reader->damage;

			if (damage == NULL)
				return STREAMING_READER_END;
			reader->damage = NULL;
			reader->start = reader->end;
			reader->scanned = 0;
			if (deliver(reader, record, data, Min(length, EXCERPT_SIZE), damage))
				return STREAMING_READER_RECORD;
			continue;
		}

		if (!make_room(reader, fresh))
			return STREAMING_READER_FULL;
		if (!fill(reader))
			return STREAMING_READER_TROUBLE;
	}
}

int64
streaming_reader_count(const StreamingReader *reader)
{
	return reader->count;
}

const StreamingArrowType *
streaming_reader_type(const StreamingReader *reader)
{
	return streaming_columnar_type(reader->columnar);
}

void
streaming_reader_end(StreamingReader *reader)
{
	if (reader->fd < 0)
		return;
	if (reader->columnar)
		streaming_columnar_end(reader->columnar);
	reader->batch = NULL;
	close(reader->fd);
	reader->fd = -1;
	ReleaseExternalFD();
}

void
streaming_reader_trim(StreamingReader *reader)
{
	char	   *buffer;

	if (reader->capacity <= 4 * BLOCK_SIZE)
		return;
	buffer = MemoryContextAlloc(reader->context, BLOCK_SIZE + STREAMING_RECORD_PADDING);
	pfree(reader->buffer);
	reader->buffer = buffer;
	reader->capacity = BLOCK_SIZE;
	reader->start = reader->end = 0;
}

const char *
streaming_reader_trouble(const StreamingReader *reader)
{
	return reader->trouble;
}

/*
 * Must a decoder that begins in the middle of a file see the file's header?
 * With header 'match' it decides whether the other records are any good, and a
 * restart must not change that; Avro's has the schema.
 */
static bool
wants_header(const StreamingStream *stream)
{
	ListCell   *lc;

	foreach(lc, stream->copy_options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "header") == 0)
			return option->arg != NULL && pg_strcasecmp(defGetString(option), "match") == 0;
	}
	return strcmp(stream->format, "avro") == 0;
}

/* ------------------------------------------------------------------------
 * The buffer
 * ------------------------------------------------------------------------ */

/* Makes room to read into; returns false if that means to move the buffer. */
static bool
make_room(StreamingReader *reader, bool fresh)
{
	size_t		length = reader->end - reader->start;

	if (!fresh)
		return reader->capacity - reader->end >= MIN_READ;

	if (length == 0)
		streaming_reader_trim(reader);
	if (reader->start > 0)
	{
		memmove(reader->buffer, reader->buffer + reader->start, length);
		reader->start = 0;
		reader->end = length;
	}
	if (reader->capacity - reader->end < MIN_READ)
	{
		size_t		capacity = Min(reader->capacity * 2, STREAMING_RECORD_LIMIT + BLOCK_SIZE);

		reader->buffer = repalloc(reader->buffer, capacity + STREAMING_RECORD_PADDING);
		reader->capacity = capacity;
	}
	return true;
}

/*
 * Appends bytes to the buffer, or sets eof.  Returns false if the file cannot
 * be read, with trouble and errno set.
 */
static bool
fill(StreamingReader *reader)
{
	ssize_t		n;

	CHECK_FOR_INTERRUPTS();
	if (reader->avro)
		return unpack_avro(reader);
	if (reader->compression != STREAMING_COMPRESSION_NONE)
		return decompress(reader);

	n = read_file(reader, reader->buffer + reader->end, reader->capacity - reader->end);
	if (n < 0)
		return false;
	reader->end += n;
	reader->eof = n == 0;
	return true;
}

static ssize_t
read_file(StreamingReader *reader, char *to, size_t size)
{
	ssize_t		n;

	do
	{
		CHECK_FOR_INTERRUPTS();
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		n = read(reader->fd, to, size);
		pgstat_report_wait_end();
	} while (n < 0 && errno == EINTR);

	if (n < 0)
		set_read_trouble(reader);
	return n;
}

/* Keeps errno. */
static void
set_read_trouble(StreamingReader *reader)
{
	int			error = errno;	/* snprintf may change it */

	snprintf(reader->trouble, sizeof(reader->trouble), "could not read file \"%s\": %m", reader->path);
	errno = error;
}

/*
 * Counts a record whose payload is set and fills it in.  Returns false if it is
 * not to be delivered: blank, or to be skipped.
 */
static bool
deliver(StreamingReader *reader, StreamingRecord *record, const char *payload, size_t length,
		const char *framing_error)
{
	if (reader->count >= PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file \"%s\" has more than %u records", reader->path, PG_UINT32_MAX)));
	reader->count++;
	if ((reader->count <= reader->skip && !(reader->count == 1 && reader->check_header)) ||
		(length == 0 && framing_error == NULL && !reader->decoder->routine->empty_records))
		return false;

	*record = (StreamingRecord) {
		.offset = reader->count - 1,
		.payload = payload,
		.length = length,
		.padded = true,
		.timestamp_ms = -1,
		.path = reader->path,
		.file_size = reader->file_size,
		.file_modified = reader->file_modified,
		.framing_error = framing_error,
	};
	return true;
}

/* ------------------------------------------------------------------------
 * Parquet, Arrow
 * ------------------------------------------------------------------------ */

/* As streaming_reader_begin: the file is open. */
static bool
begin_columnar(StreamingReader *reader)
{
	const char *why = NULL;
	StreamingArrowStatus status;

	status = streaming_columnar_begin(reader->columnar, reader->fd, reader->file_size, reader->skip,
									  &reader->count, &why);
	if (status == STREAMING_ARROW_TROUBLE)
		set_read_trouble(reader);
	if (status == STREAMING_ARROW_DAMAGE)
		damaged(reader, file_names[reader->kind], why);
	return status != STREAMING_ARROW_TROUBLE;
}

/* As streaming_reader_next. */
static StreamingReaderResult
next_row(StreamingReader *reader, StreamingRecord *record, bool fresh)
{
	const char *why = NULL;
	StreamingArrowStatus status;
	int64		excluded;

	while (reader->batch == NULL || reader->row >= reader->batch->array.length)
	{
		if (reader->eof && reader->damage == NULL)
			return STREAMING_READER_END;
		if (reader->eof)
		{
			const char *damage = reader->damage;

			reader->damage = NULL;
			/* Who comes back behind the damage has been told. */
			reader->count = Max(reader->count, reader->skip - 1);
			if (deliver(reader, record, NULL, 0, damage))
				return STREAMING_READER_RECORD;
			continue;
		}
		if (fresh)
			streaming_columnar_forget(reader->columnar, NULL);
		else if (streaming_columnar_size(reader->columnar) > MAX_BATCHES)
			return STREAMING_READER_FULL;
		reader->row = 0;
		reader->batch = NULL;
		status = streaming_columnar_next(reader->columnar, &reader->batch, &excluded, &why);
		reader->count += excluded;
		reader->eof = status != STREAMING_ARROW_OK;
		if (status == STREAMING_ARROW_DAMAGE)
			damaged(reader, file_names[reader->kind], why);
		if (status == STREAMING_ARROW_TROUBLE)
		{
			set_read_trouble(reader);
			return STREAMING_READER_TROUBLE;
		}
	}
	if (fresh)
		streaming_columnar_forget(reader->columnar, reader->batch);
	(void) deliver(reader, record, NULL, reader->batch->size / reader->batch->array.length + 1, NULL);
	record->batch = reader->batch;
	record->row = reader->row++;
	return STREAMING_READER_RECORD;
}

/* ------------------------------------------------------------------------
 * Avro
 * ------------------------------------------------------------------------ */

/* As fill: appends pieces of the file, each behind what it is and its length. */
static bool
unpack_avro(StreamingReader *reader)
{
	for (;;)
	{
		size_t		room = reader->capacity - reader->end;
		const char *why = NULL;
		size_t		length;
		bool		is_schema;
		uint32		said;

		if (reader->piece_left > 0)
		{
			size_t		n = Min(room, reader->piece_left);

			memcpy(reader->buffer + reader->end, reader->piece, n);
			reader->end += n;
			reader->piece += n;
			reader->piece_left -= n;
			if (reader->piece_left > 0)
				return true;
			continue;
		}
		if (room < STREAMING_AVRO_FRAME)
			return true;
		switch (streaming_avro_file_next(reader->avro, &reader->piece, &length, &is_schema, &why))
		{
			case STREAMING_AVRO_PIECE:
				break;
			case STREAMING_AVRO_PIECE_MORE:
				if (!reader->input_eof)
					return read_avro(reader);
				reader->eof = true;
				return true;
			case STREAMING_AVRO_PIECE_CUT:
				if (!reader->input_eof)
					return read_avro(reader);
				why = "unexpected end";
				pg_fallthrough;
			case STREAMING_AVRO_PIECE_DAMAGE:
				damaged(reader, "Avro file", why);
				return true;
		}
		said = (uint32) length;
		reader->buffer[reader->end++] = is_schema ? STREAMING_AVRO_FRAME_SCHEMA : STREAMING_AVRO_FRAME_RECORD;
		memcpy(reader->buffer + reader->end, &said, sizeof(said));
		reader->end += sizeof(said);
		reader->piece_left = length;
	}
}

static bool
read_avro(StreamingReader *reader)
{
	ssize_t		n = read_file(reader, streaming_avro_file_room(reader->avro, INPUT_SIZE), INPUT_SIZE);

	if (n < 0)
		return false;
	streaming_avro_file_add(reader->avro, n);
	reader->input_eof = n == 0;
	return true;
}

/* ------------------------------------------------------------------------
 * Decompression
 * ------------------------------------------------------------------------ */

/*
 * As fill.  Reads no more than one block of input, so it may append nothing
 * (then the caller calls again).
 */
static bool
decompress(StreamingReader *reader)
{
	if (reader->input_start == reader->input_end && !reader->input_eof)
	{
		ssize_t		n = read_file(reader, reader->input, INPUT_SIZE);

		if (n < 0)
			return false;
		reader->input_start = 0;
		reader->input_end = n;
		reader->input_eof = n == 0;
	}
	if (reader->compression == STREAMING_COMPRESSION_GZIP)
		decompress_gzip(reader);
	else
		decompress_zstd(reader);
	return true;
}

/*
 * A gzip file is one member after the other.  Behind the last one there may be
 * zeros, which gzip ignores too.
 */
static void
decompress_gzip(StreamingReader *reader)
{
	z_stream   *zlib = &reader->zlib;
	size_t		room = reader->capacity - reader->end;
	int			result;

	if (!reader->member_open)
	{
		while (reader->members > 0 && reader->input_start < reader->input_end &&
			   reader->input[reader->input_start] == '\0')
			reader->input_start++;
		if (reader->input_start == reader->input_end)
		{
			reader->eof = reader->input_eof;
			return;
		}

		if (!reader->zlib_made)
		{
			memset(zlib, 0, sizeof(*zlib));
			result = inflateInit2(zlib, 16 + MAX_WBITS);
			reader->zlib_made = result == Z_OK;
		}
		else
			result = inflateReset(zlib);
		if (result != Z_OK)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not initialize decompression: %s", zError(result))));
		reader->member_open = true;
	}

	zlib->next_in = (unsigned char *) reader->input + reader->input_start;
	zlib->avail_in = reader->input_end - reader->input_start;
	zlib->next_out = (unsigned char *) reader->buffer + reader->end;
	zlib->avail_out = room;
	result = inflate(zlib, Z_NO_FLUSH);
	reader->input_start = reader->input_end - zlib->avail_in;
	reader->end += room - zlib->avail_out;

	switch (result)
	{
		case Z_OK:
			break;
		case Z_STREAM_END:
			reader->member_open = false;
			reader->members++;
			break;
		case Z_BUF_ERROR:		/* no progress */
			if (reader->input_eof)
				damaged(reader, "compressed data", "unexpected end");
			break;
		case Z_MEM_ERROR:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed while decompressing file \"%s\".", reader->path)));
			break;
		default:
			damaged(reader, "compressed data", zlib->msg ? zlib->msg : zError(result));
			break;
	}
}

/* A zstd file is one frame after the other. */
static void
decompress_zstd(StreamingReader *reader)
{
	ZSTD_inBuffer in = {reader->input, reader->input_end, reader->input_start};
	ZSTD_outBuffer out = {reader->buffer + reader->end, reader->capacity - reader->end, 0};
	size_t		result;

	if (!reader->member_open)
	{
		if (in.pos == in.size)
		{
			reader->eof = reader->input_eof;
			return;
		}
		if (reader->zstd == NULL)
			reader->zstd = ZSTD_createDCtx();
		if (reader->zstd == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed while decompressing file \"%s\".", reader->path)));
		(void) ZSTD_DCtx_reset(reader->zstd, ZSTD_reset_session_only);
		reader->member_open = true;
	}

	result = ZSTD_decompressStream(reader->zstd, &out, &in);
	reader->input_start = in.pos;
	reader->end += out.pos;
	if (ZSTD_isError(result))
		damaged(reader, "compressed data", ZSTD_getErrorName(result));
	else if (result == 0)
		reader->member_open = false;
	else if (reader->input_eof && out.pos == 0)
		damaged(reader, "compressed data", "unexpected end");
}

/*
 * The file ends here.  The text is kept for good, since records point to it
 * and another file may be damaged before they are looked at; there are but a
 * few different ones.
 */
static void
damaged(StreamingReader *reader, const char *what, const char *why)
{
	char	   *text = list_length(reader->damages) < MAX_DAMAGES ?
		psprintf("%s is damaged: %s", what, why) : psprintf("%s is damaged", what);
	ListCell   *lc;

	reader->damage = NULL;
	foreach(lc, reader->damages)
	{
		if (strcmp(lfirst(lc), text) == 0)
			reader->damage = lfirst(lc);
	}
	if (reader->damage == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(reader->context);

		reader->damage = pstrdup(text);
		reader->damages = lappend(reader->damages, unconstify(char *, reader->damage));
		MemoryContextSwitchTo(old);
	}
	pfree(text);
	reader->eof = true;
}
