/*
 * columnar_write.c
 *		Messages of rows -> Parquet and Arrow files.
 *
 * Rows are collected column by column, as Arrow has them, and are a row group of the file
 * when they are many or large.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/block_write.h"
#include "format/columnar.h"
#include "format/columnar_kinds.h"
#include "format/columnar_write.h"
#include "utils/memutils.h"

/* Of a row group. */
#define GROUP_ROWS		65536
#define GROUP_SIZE		((size_t) 16 * 1024 * 1024)

typedef struct WrittenColumn
{
	char		kind;
	int			width;			/* bytes of a value; 0: they differ */
	struct ArrowSchema schema;
	StringInfoData valid;		/* a bit each */
	StringInfoData offsets;		/* if they differ */
	StringInfoData data;
	int64		nulls;
	struct ArrowArray array;
	const void *buffers[3];
} WrittenColumn;

typedef struct StreamingColumnarWriter
{
	StreamingBlockWriter base;
	MemoryContext context;		/* of the file's columns */
	const StreamingArrowModule *module;
	StreamingArrowKind kind;
	StreamingArrowWriter *file; /* NULL: nothing has been written of it */
	char	   *header;			/* of the messages it takes */
	size_t		header_length;
	WrittenColumn *columns;		/* NULL: not made yet */
	int			ncolumns;
	int64		rows;			/* since the last flush */
	size_t		size;			/* likewise */
	bool		taken;			/* there has been a row */
} StreamingColumnarWriter;

/* Metadata of a field, as Arrow's C interface has it: one pair. */
static const char uuid_metadata[] =
#ifdef WORDS_BIGENDIAN
"\0\0\0\1\0\0\0\024ARROW:extension:name\0\0\0\012arrow.uuid";
#else
"\1\0\0\0\024\0\0\0ARROW:extension:name\012\0\0\0arrow.uuid";
#endif
static const char json_metadata[] =
#ifdef WORDS_BIGENDIAN
"\0\0\0\1\0\0\0\024ARROW:extension:name\0\0\0\012arrow.json";
#else
"\1\0\0\0\024\0\0\0ARROW:extension:name\012\0\0\0arrow.json";
#endif

static void columnar_begin(StreamingBlockWriter *base, const char *message, size_t length);
static bool columnar_takes(StreamingBlockWriter *base, const char *message, size_t length);
static bool columnar_add(StreamingBlockWriter *base, const char *message, size_t length);
static size_t columnar_size(const StreamingBlockWriter *base);
static const char *columnar_flush(StreamingBlockWriter *base, bool end, size_t *length);
static void columnar_close(StreamingBlockWriter *base);
static size_t header_of(const char *message, size_t length);
static void take_header(StreamingColumnarWriter *writer, const char *message, size_t length);
static void make_columns(StreamingColumnarWriter *writer);
static void describe(WrittenColumn *column, int precision, int scale);
static void empty_columns(StreamingColumnarWriter *writer);
static const char *take(const char **at, const char *end, size_t length);
static void add_value(WrittenColumn *column, int64 row, const char *data, size_t length);
static void add_bit(StringInfo bits, int64 row, bool bit);
static void make_arrays(StreamingColumnarWriter *writer, struct ArrowArray *batch);
static void check(StreamingArrowStatus status, const StreamingArrowError *error);
static void release_schema(struct ArrowSchema *schema);
static void release_array(struct ArrowArray *array);

static const StreamingBlockRoutine columnar_routine = {
	.begin = columnar_begin,
	.takes = columnar_takes,
	.add = columnar_add,
	.size = columnar_size,
	.flush = columnar_flush,
	.close = columnar_close
};

StreamingBlockWriter *
streaming_columnar_writer_make(StreamingArrowKind kind)
{
	StreamingColumnarWriter *writer = palloc0(sizeof(StreamingColumnarWriter));

	writer->context = AllocSetContextCreate(CurrentMemoryContext, "streaming columnar file", ALLOCSET_DEFAULT_SIZES);
	writer->base.routine = &columnar_routine;
	writer->module = streaming_arrow_module();
	writer->kind = kind;
	return &writer->base;
}

static void
columnar_close(StreamingBlockWriter *base)
{
	StreamingColumnarWriter *writer = (StreamingColumnarWriter *) base;

	if (writer->file)
		writer->module->writer_close(writer->file);
	writer->file = NULL;
}

static void
columnar_begin(StreamingBlockWriter *base, const char *message, size_t length)
{
	StreamingColumnarWriter *writer = (StreamingColumnarWriter *) base;

	columnar_close(base);
	take_header(writer, message, length);
	writer->taken = false;
}

static bool
columnar_takes(StreamingBlockWriter *base, const char *message, size_t length)
{
	StreamingColumnarWriter *writer = (StreamingColumnarWriter *) base;

	return !writer->taken || (header_of(message, length) == writer->header_length &&
							  memcmp(message, writer->header, writer->header_length) == 0);
}

static bool
columnar_add(StreamingBlockWriter *base, const char *message, size_t length)
{
	StreamingColumnarWriter *writer = (StreamingColumnarWriter *) base;
	const char *at;
	const char *end = message + length;

	if (!writer->taken && (header_of(message, length) != writer->header_length ||
						   memcmp(message, writer->header, writer->header_length) != 0))
		take_header(writer, message, length);
	writer->taken = true;
	at = message + writer->header_length;
	for (int i = 0; i < writer->ncolumns; i++)
	{
		WrittenColumn *column = &writer->columns[i];
		uint32		size = column->width;

		if (*take(&at, end, 1) == 0)
		{
			add_value(column, writer->rows, NULL, 0);
			continue;
		}
		if (column->width == 0)
			memcpy(&size, take(&at, end, sizeof(size)), sizeof(size));
		add_value(column, writer->rows, take(&at, end, size), size);
	}
	writer->rows++;
	writer->size += length - writer->header_length;
	return writer->rows >= GROUP_ROWS || writer->size >= GROUP_SIZE;
}

static size_t
columnar_size(const StreamingBlockWriter *base)
{
	const StreamingColumnarWriter *writer = (const StreamingColumnarWriter *) base;

	return writer->size;
}

static const char *
columnar_flush(StreamingBlockWriter *base, bool end, size_t *length)
{
	StreamingColumnarWriter *writer = (StreamingColumnarWriter *) base;
	StreamingArrowError error;
	struct ArrowArray batch;
	const char *data;

	if (writer->file == NULL)
	{
		struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = writer->ncolumns, .release = release_schema};

		schema.children = palloc(sizeof(struct ArrowSchema *) * writer->ncolumns);
		for (int i = 0; i < writer->ncolumns; i++)
			schema.children[i] = &writer->columns[i].schema;
		check(writer->module->writer_open(writer->kind, (int64) streaming_arrow_memory * 1024, &schema, &writer->file, &error), &error);
	}
	make_arrays(writer, &batch);
	check(writer->module->writer_write(writer->file, writer->rows > 0 ? &batch : NULL, end, &data, length, &error), &error);
	empty_columns(writer);
	return data;
}

/* ---- Columns ---- */

/* Length of what says which columns there are. */
static size_t
header_of(const char *message, size_t length)
{
	uint32		said;

	if (length < sizeof(said))
		elog(ERROR, "row of a columnar file is cut off");
	memcpy(&said, message, sizeof(said));
	if (said > length - sizeof(said))
		elog(ERROR, "row of a columnar file is cut off");
	return sizeof(said) + said;
}

static void
take_header(StreamingColumnarWriter *writer, const char *message, size_t length)
{
	MemoryContext old;

	MemoryContextReset(writer->context);
	old = MemoryContextSwitchTo(writer->context);
	writer->header_length = header_of(message, length);
	writer->header = memcpy(palloc(writer->header_length), message, writer->header_length);
	make_columns(writer);
	MemoryContextSwitchTo(old);
}

static void
make_columns(StreamingColumnarWriter *writer)
{
	const char *at = writer->header + sizeof(uint32);
	const char *end = writer->header + writer->header_length;
	int			allocated = 16;

	writer->columns = palloc0(sizeof(WrittenColumn) * allocated);
	writer->ncolumns = 0;
	while (at < end)
	{
		const char *said = take(&at, end, 3);
		WrittenColumn *column;
		uint16		name_length;

		if (writer->ncolumns == allocated)
		{
			writer->columns = repalloc(writer->columns, sizeof(WrittenColumn) * allocated * 2);
			memset(writer->columns + allocated, 0, sizeof(WrittenColumn) * allocated);
			allocated *= 2;
		}
		column = &writer->columns[writer->ncolumns++];
		column->kind = said[0];
		memcpy(&name_length, take(&at, end, sizeof(name_length)), sizeof(name_length));
		column->schema.name = pnstrdup(take(&at, end, name_length), name_length);
		describe(column, said[1], said[2]);
		initStringInfo(&column->valid);
		initStringInfo(&column->offsets);
		initStringInfo(&column->data);
	}
	empty_columns(writer);
}

static void
describe(WrittenColumn *column, int precision, int scale)
{
	static const struct
	{
		char		kind;
		const char *format;
		int			width;
	}			kinds[] = {
		{STREAMING_COLUMNAR_BOOL, "b", 1},
		{STREAMING_COLUMNAR_INT2, "s", 2},
		{STREAMING_COLUMNAR_INT4, "i", 4},
		{STREAMING_COLUMNAR_INT8, "l", 8},
		{STREAMING_COLUMNAR_FLOAT4, "f", 4},
		{STREAMING_COLUMNAR_FLOAT8, "g", 8},
		{STREAMING_COLUMNAR_DATE, "tdD", 4},
		{STREAMING_COLUMNAR_TIME, "ttu", 8},
		{STREAMING_COLUMNAR_TIMESTAMP, "tsu:", 8},
		{STREAMING_COLUMNAR_TIMESTAMPTZ, "tsu:UTC", 8},
		{STREAMING_COLUMNAR_UUID, "w:16", 16},
		{STREAMING_COLUMNAR_DECIMAL, NULL, 16},
		{STREAMING_COLUMNAR_BYTEA, "z", 0},
		{STREAMING_COLUMNAR_TEXT, "u", 0},
		{STREAMING_COLUMNAR_JSON, "u", 0}
	};
	int			i = 0;

	while (i < lengthof(kinds) && kinds[i].kind != column->kind)
		i++;
	if (i == lengthof(kinds))
		elog(ERROR, "unknown kind of column in a row of a columnar file: %d", column->kind);
	column->width = kinds[i].width;
	column->schema.format = kinds[i].format ? kinds[i].format : psprintf("d:%d,%d", precision, scale);
	column->schema.metadata = column->kind == STREAMING_COLUMNAR_UUID ? uuid_metadata :
		column->kind == STREAMING_COLUMNAR_JSON ? json_metadata : NULL;
	column->schema.flags = ARROW_FLAG_NULLABLE;
	column->schema.release = release_schema;
}

static void
empty_columns(StreamingColumnarWriter *writer)
{
	int32		zero = 0;

	for (int i = 0; i < writer->ncolumns; i++)
	{
		WrittenColumn *column = &writer->columns[i];

		resetStringInfo(&column->valid);
		resetStringInfo(&column->offsets);
		resetStringInfo(&column->data);
		appendBinaryStringInfo(&column->offsets, (char *) &zero, sizeof(zero));
		column->nulls = 0;
	}
	writer->rows = 0;
	writer->size = 0;
}

static const char *
take(const char **at, const char *end, size_t length)
{
	const char *taken = *at;

	if (length > end - *at)
		elog(ERROR, "row of a columnar file is cut off");
	*at += length;
	return taken;
}

/* ---- Rows ---- */

/* data NULL: there is no value */
static void
add_value(WrittenColumn *column, int64 row, const char *data, size_t length)
{
	static const char nothing[16] = {0};
	int32		offset;

	add_bit(&column->valid, row, data != NULL);
	column->nulls += data == NULL;
	if (column->kind == STREAMING_COLUMNAR_BOOL)
		add_bit(&column->data, row, data != NULL && *data != 0);
	else if (column->width > 0)
		appendBinaryStringInfo(&column->data, data ? data : nothing, column->width);
	else
	{
		appendBinaryStringInfo(&column->data, data ? data : nothing, length);
		offset = column->data.len;
		appendBinaryStringInfo(&column->offsets, (char *) &offset, sizeof(offset));
	}
}

static void
add_bit(StringInfo bits, int64 row, bool bit)
{
	if ((row & 7) == 0)
		appendStringInfoChar(bits, 0);
	bits->data[row >> 3] |= bit << (row & 7);
}

/* All memory is ours, and stays until the module has written the batch. */
static void
make_arrays(StreamingColumnarWriter *writer, struct ArrowArray *batch)
{
	static const void *no_buffer[1] = {NULL};
	struct ArrowArray **children = palloc(sizeof(struct ArrowArray *) * Max(writer->ncolumns, 1));

	for (int i = 0; i < writer->ncolumns; i++)
	{
		WrittenColumn *column = &writer->columns[i];

		column->buffers[0] = column->nulls > 0 ? column->valid.data : NULL;
		column->buffers[1] = column->width > 0 ? column->data.data : column->offsets.data;
		column->buffers[2] = column->data.data;
		column->array = (struct ArrowArray) {
			.length = writer->rows,
			.null_count = column->nulls,
			.n_buffers = column->width > 0 ? 2 : 3,
			.buffers = column->buffers,
			.release = release_array
		};
		children[i] = &column->array;
	}
	*batch = (struct ArrowArray) {
		.length = writer->rows,
		.n_buffers = 1,
		.buffers = no_buffer,
		.n_children = writer->ncolumns,
		.children = children,
		.release = release_array
	};
}

static void
check(StreamingArrowStatus status, const StreamingArrowError *error)
{
	if (status == STREAMING_ARROW_OK)
		return;
	if (status == STREAMING_ARROW_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while writing a Parquet file: %s.", error->message)));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not write a Parquet file: %s", error->message)));
}

/* Called by Arrow. */
static void
release_schema(struct ArrowSchema *schema)
{
	schema->release = NULL;
}

static void
release_array(struct ArrowArray *array)
{
	array->release = NULL;
}
