/*
 * format_columnar.c
 *		A record is a row of a file in a columnar format: Parquet, Arrow, ORC.
 *
 * Columns are named after fields, or after fields of structs in them, as JSON's are
 * after members (format_json.c).
 *
 * Fields that nobody reads stay in the file, which is what these formats are for. All
 * the same, whether a record is a row must not depend on who reads which columns: so the
 * values of a column that its type may refuse are read and checked.  Not of one whose
 * type has whatever the field's has: there is nothing in it to refuse, or the file does
 * not hold what its schema says.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/columnar.h"
#include "utils/json.h"
#include "utils/memutils.h"

/* Where a column's values are. */
typedef struct ColumnarColumn
{
	const StreamingColumn *column;
	AttrNumber	attnum;
	bool		needed;			/* else its values are only checked */
	StreamingArrowConverter *converter;

	/* of the layout */
	int			depth;			/* of structs above the value; -1: there is no such field */
	int		   *path;			/* the field in each of these, and the value's in the last */
	const StreamingArrowType **types;	/* depth structs, and the value's */
	StreamingArrowPair pair;

	/* of the batch */
	const struct ArrowArray **arrays;	/* likewise */
} ColumnarColumn;

typedef struct ColumnarState
{
	ColumnarColumn *columns;	/* those that count */
	int			ncolumns;
	MemoryContext context;		/* of the layout */
	uint64		layout;			/* its number */
	uint64		batch;			/* likewise */
} ColumnarState;

static size_t columnar_split(StreamingDecoder *decoder, const char *data, size_t length, bool eof,
							 size_t *scanned, size_t *record_length);
static void columnar_begin(StreamingDecoder *decoder);
static void columnar_prepare(StreamingDecoder *decoder);
static bool columnar_decode(StreamingDecoder *decoder, const StreamingRecord *record,
							Datum *values, bool *isnull);
static char *columnar_show(StreamingDecoder *decoder, const StreamingRecord *record, size_t *length);
static void begin_layout(StreamingDecoder *decoder, const StreamingLayout *layout);
static void begin_batch(ColumnarState *state, const StreamingBatch *batch);
static bool find_value(const ColumnarColumn *column, int64 row, const struct ArrowArray **array, int64 *i);
static int	find_path(StreamingDecoder *decoder, const StreamingColumn *column,
					  const StreamingArrowType *type, int *path, const StreamingArrowType **types);
static int	find_field(StreamingDecoder *decoder, const StreamingColumn *column,
					   const StreamingArrowType *type, int step);
static bool is_somebodys(StreamingDecoder *decoder, const char *name);
static bool is_ambiguous(StreamingDecoder *decoder, const StreamingColumn *column);

#define COLUMNAR_ROUTINE(format) \
const StreamingFormatRoutine streaming_format_##format = { \
	.name = #format, \
	.begin = columnar_begin, \
	.split = columnar_split, \
	.prepare = columnar_prepare, \
	.decode = columnar_decode, \
	.show = columnar_show \
}

COLUMNAR_ROUTINE(parquet);
COLUMNAR_ROUTINE(arrow);
COLUMNAR_ROUTINE(orc);

static void
columnar_begin(StreamingDecoder *decoder)
{
	decoder->utf8 = false;		/* no mark of bytes is passed over */
}

/* Files are not split by their bytes. */
static size_t
columnar_split(StreamingDecoder *decoder, const char *data, size_t length, bool eof,
			   size_t *scanned, size_t *record_length)
{
	elog(ERROR, "files of format \"%s\" are not split", decoder->routine->name);
}

static void
columnar_prepare(StreamingDecoder *decoder)
{
	StreamingStream *stream = decoder->stream;
	int			natts = stream->tupdesc->natts;
	ColumnarState *state = palloc0(sizeof(ColumnarState));

	state->columns = palloc0(sizeof(ColumnarColumn) * Max(natts, 1));
	state->context = AllocSetContextCreate(decoder->context, "streaming columns of a file", ALLOCSET_SMALL_SIZES);
	bms_free(decoder->absent);
	decoder->absent = NULL;
	for (int i = 0; i < natts; i++)
	{
		ColumnarColumn *column = &state->columns[state->ncolumns];

		if (!streaming_decoder_counts(decoder, i + 1))
			continue;
		column->column = &stream->columns[i];
		column->attnum = i + 1;
		column->converter = streaming_arrow_converter_open(column->column);
		column->needed = streaming_decoder_wants(decoder, i + 1);
		decoder->absent = bms_add_member(decoder->absent, i + 1);
		state->ncolumns++;
	}
	decoder->state = state;
}

static bool
columnar_decode(StreamingDecoder *decoder, const StreamingRecord *record, Datum *values, bool *isnull)
{
	ColumnarState *state = decoder->state;

	if (record->batch->layout->number != state->layout)
		begin_layout(decoder, record->batch->layout);
	if (record->batch->number != state->batch)
		begin_batch(state, record->batch);

	for (int n = 0; n < state->ncolumns; n++)
	{
		const ColumnarColumn *column = &state->columns[n];
		const struct ArrowArray *array;
		int64		i;
		Datum		value;

		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (!column->needed && column->depth >= 0 && column->arrays[0] == NULL)
			continue;			/* it has stayed in the file */
		if (column->depth < 0 || !find_value(column, record->row, &array, &i))
		{
			streaming_arrow_convert_null(column->converter);
			continue;
		}
		value = streaming_arrow_convert(column->converter, column->pair, column->types[column->depth], array, i);
		if (column->needed)
		{
			values[column->attnum - 1] = value;
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
	return true;
}

/* The fields that have been read, as JSON. */
static char *
columnar_show(StreamingDecoder *decoder, const StreamingRecord *record, size_t *length)
{
	const StreamingLayout *layout = record->batch->layout;
	StringInfoData buf;
	char		before = '{';

	initStringInfo(&buf);
	for (int i = 0; i < layout->type->n; i++)
	{
		const StreamingArrowType *type = layout->type->types[i];

		if (layout->place[i] < 0)
			continue;
		appendStringInfoChar(&buf, before);
		before = ',';
		escape_json(&buf, type->name);
		appendStringInfoChar(&buf, ':');
		streaming_arrow_json(&buf, type, record->batch->array.children[layout->place[i]],
							 record->batch->array.offset + record->row);
	}
	appendStringInfoString(&buf, before == '{' ? "{}" : "}");
	*length = buf.len;
	return buf.data;
}

/* ---- Where values are ---- */

static void
begin_layout(StreamingDecoder *decoder, const StreamingLayout *layout)
{
	ColumnarState *state = decoder->state;
	MemoryContext old;

	state->layout = state->batch = 0;
	MemoryContextReset(state->context);
	old = MemoryContextSwitchTo(state->context);
	for (int n = 0; n < state->ncolumns; n++)
	{
		ColumnarColumn *column = &state->columns[n];
		int			npath = column->column->npath;

		column->path = palloc(sizeof(int) * npath);
		column->types = palloc(sizeof(StreamingArrowType *) * npath);
		column->arrays = palloc0(sizeof(struct ArrowArray *) * npath);
		column->depth = find_path(decoder, column->column, layout->type, column->path, column->types);
		if (column->depth < 0)
			continue;
		column->pair = streaming_arrow_pair(column->types[column->depth], column->column);
		decoder->absent = bms_del_member(decoder->absent, column->attnum);
		/* Its place, from now on. */
		column->path[0] = layout->place[column->path[0]];
	}
	MemoryContextSwitchTo(old);
	state->layout = layout->number;
}

static void
begin_batch(ColumnarState *state, const StreamingBatch *batch)
{
	for (int n = 0; n < state->ncolumns; n++)
	{
		ColumnarColumn *column = &state->columns[n];
		const struct ArrowArray *array = &batch->array;

		for (int step = 0; step <= column->depth; step++)
		{
			array = column->path[step] < 0 ? NULL : array->children[column->path[step]];
			column->arrays[step] = array;
			if (array == NULL)
				break;
		}
	}
	state->batch = batch->number;
}

/* Where row's value is; false: it is NULL, or a struct above is. */
static bool
find_value(const ColumnarColumn *column, int64 row, const struct ArrowArray **array, int64 *i)
{
	if (column->arrays[0] == NULL)
		elog(ERROR, "field of column \"%s\" has not been read", column->column->name);
	*i = row;
	for (int step = 0; step < column->depth; step++)
	{
		if (streaming_arrow_is_null(column->types[step], column->arrays[step], *i))
			return false;
		*i += column->arrays[step]->offset;
	}
	*array = column->arrays[column->depth];
	return !streaming_arrow_is_null(column->types[column->depth], *array, *i);
}

/* ---- Which fields are wanted ---- */

bool
streaming_columnar_wants(StreamingDecoder *decoder, const StreamingArrowType *type, int field)
{
	bool		wants = false;

	for (int i = 0; i < decoder->stream->tupdesc->natts && !wants; i++)
	{
		const StreamingColumn *column = &decoder->stream->columns[i];
		const StreamingArrowType *value;
		int		   *path;

		if (!streaming_decoder_counts(decoder, i + 1) || find_field(decoder, column, type, 0) != field)
			continue;
		wants = streaming_columnar_find(decoder, type, i + 1, &path, &value) >= 0 &&
			(streaming_decoder_wants(decoder, i + 1) ||
			 streaming_arrow_pair(value, column) == STREAMING_ARROW_BY_TEXT);
		pfree(path);
	}
	return wants;
}

int
streaming_columnar_find(StreamingDecoder *decoder, const StreamingArrowType *type, AttrNumber attnum,
						int **path, const StreamingArrowType **value)
{
	const StreamingColumn *column = &decoder->stream->columns[attnum - 1];
	const StreamingArrowType **types;
	int			depth;

	if (!streaming_decoder_counts(decoder, attnum))
		return -1;
	*path = palloc(sizeof(int) * column->npath);
	types = palloc(sizeof(StreamingArrowType *) * column->npath);
	depth = find_path(decoder, column, type, *path, types);
	*value = depth >= 0 ? types[depth] : NULL;
	pfree(types);
	return depth;
}

/* Follows the column's path; returns how many structs are above the value, -1: there is none. */
static int
find_path(StreamingDecoder *decoder, const StreamingColumn *column, const StreamingArrowType *type,
		  int *path, const StreamingArrowType **types)
{
	for (int step = 0; step < column->npath; step++)
	{
		if (type->kind != STREAMING_ARROW_STRUCT)
			return -1;
		path[step] = find_field(decoder, column, type, step);
		if (path[step] < 0)
			return -1;
		type = types[step] = type->types[path[step]];
	}
	return column->npath - 1;
}

/* Which field of the struct is the step of the column's path?  -1: none */
static int
find_field(StreamingDecoder *decoder, const StreamingColumn *column, const StreamingArrowType *type, int step)
{
	const char *name = column->path[step];

	for (int i = 0; i < type->n; i++)
		if (strcmp(type->types[i]->name, name) == 0)
			return i;
	for (int i = 0; column->any_case && i < type->n; i++)
	{
		if (pg_strcasecmp(type->types[i]->name, name) == 0 &&
			!is_somebodys(decoder, type->types[i]->name) && !is_ambiguous(decoder, column))
			return i;
	}
	return -1;
}

/* Is a column's path's beginning called so? */
static bool
is_somebodys(StreamingDecoder *decoder, const char *name)
{
	for (int i = 0; i < decoder->stream->tupdesc->natts; i++)
	{
		if (streaming_decoder_counts(decoder, i + 1) &&
			strcmp(decoder->stream->columns[i].path[0], name) == 0)
			return true;
	}
	return false;
}

/* Columns that differ in case only have no other way to be told apart. */
static bool
is_ambiguous(StreamingDecoder *decoder, const StreamingColumn *column)
{
	for (int i = 0; i < decoder->stream->tupdesc->natts; i++)
	{
		const StreamingColumn *other = &decoder->stream->columns[i];

		if (streaming_decoder_counts(decoder, i + 1) && other != column && other->any_case &&
			pg_strcasecmp(other->path[0], column->path[0]) == 0)
			return true;
	}
	return false;
}
