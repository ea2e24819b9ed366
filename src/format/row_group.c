/*
 * row_group.c
 *		Row groups of a columnar file that hold no row a query asks for.
 *
 * A file says of each column of a row group the least value, the greatest one, and how
 * many are NULL.  These become values of the stream's column in the way in which all of
 * them do, which keeps their order; where it is another way, nothing is concluded.
 *
 *		x < 7		has none where 7 <= min
 *		x = 7		where 7 < min or max < 7
 *		x > 7		where max <= 7
 *
 * Of floating-point numbers max leaves out NaN, which is greater than all others here.
 */
#include "postgres.h"

#include "streaming.h"

#include <math.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "format/columnar.h"
#include "format/scan_condition.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Fields of what the module says. */
enum
{
	STATISTIC_MIN,
	STATISTIC_MAX,
	STATISTIC_NULLS,
	STATISTIC_ROWS
};

/* Of a column of a file. */
typedef struct Statistics
{
	const StreamingColumn *column;
	const StreamingArrowType *type;
	const struct ArrowArray *array;
	StreamingArrowPair pair;
	bool		has_bounds;		/* min and max are the column's */
	StreamingArrowConverter *converter;
} Statistics;

static void apply(const StreamingArrowModule *module, StreamingArrowFile *file, StreamingDecoder *decoder,
				  const StreamingArrowType *type, StreamingCondition *condition, bool *excluded, int64 ngroups);
static bool excludes(const Statistics *statistics, StreamingCondition *condition, int64 group, bool null_is_null);
static bool excludes_by_nulls(const Statistics *statistics, StreamingCondition *condition, int64 group, bool null_is_null);
static bool read_count(const Statistics *statistics, int which, int64 group, int64 *count);
static bool read_bound(const Statistics *statistics, int which, int64 group, Datum *bound);
static bool convert_bound(const Statistics *statistics, int which, int64 group, Datum *bound);
static bool is_float(const Statistics *statistics);
static bool is_nan(const StreamingCondition *condition);

bool *
streaming_row_groups_exclude(const StreamingArrowModule *module, StreamingArrowFile *file, StreamingDecoder *decoder,
							 const StreamingArrowType *type, StreamingConditions *conditions)
{
	int64		ngroups = module->row_groups(file);
	MemoryContext context;
	MemoryContext old;
	bool	   *excluded;
	int64		skipped = 0;

	if (conditions == NULL || ngroups == 0)
		return NULL;
	excluded = MemoryContextAllocHuge(CurrentMemoryContext, ngroups);
	memset(excluded, 0, ngroups);
	context = AllocSetContextCreate(CurrentMemoryContext, "streaming row groups", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < conditions->n; i++)
	{
		apply(module, file, decoder, type, &conditions->conditions[i], excluded, ngroups);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	for (int64 group = 0; group < ngroups; group++)
		skipped += excluded[group];
	conditions->groups_skipped += skipped;
	conditions->groups_read += ngroups - skipped;
	return excluded;
}

/* What cannot be known excludes nothing: damage is told by who reads the rows. */
static void
apply(const StreamingArrowModule *module, StreamingArrowFile *file, StreamingDecoder *decoder,
	  const StreamingArrowType *type, StreamingCondition *condition, bool *excluded, int64 ngroups)
{
	const StreamingColumn *column = &decoder->stream->columns[condition->attnum - 1];
	bool		null_is_null = decoder->stream->on_error != STREAMING_ON_ERROR_NULL;
	struct ArrowSchema schema = {0};
	struct ArrowArray array = {0};
	StreamingArrowError error;
	Statistics	statistics = {.column = column, .array = &array};
	const StreamingArrowType *value;
	int		   *path;
	int			depth;

	if (condition->kind == STREAMING_CONDITION_COMPARES && !condition->known)
		return;
	depth = streaming_columnar_find(decoder, type, condition->attnum, &path, &value);
	if (depth < 0 || module->statistics(file, path, depth, &schema, &array, &error) != STREAMING_ARROW_OK)
		return;

	PG_TRY();
	{
		const StreamingArrowType *bound;

		statistics.type = streaming_arrow_type(&schema);
		bound = statistics.type->types[STATISTIC_MIN];
		statistics.pair = streaming_arrow_pair(value, column);
		statistics.has_bounds = statistics.pair == STREAMING_ARROW_TO_TEXT ? GetDatabaseEncoding() == PG_UTF8 :
			statistics.pair == streaming_arrow_pair(bound, column) && statistics.pair >= STREAMING_ARROW_TO_BOOL &&
			statistics.pair <= STREAMING_ARROW_TO_TIMESTAMP;
		statistics.converter = streaming_arrow_converter_open(column);
		for (int64 group = 0; group < Min(array.length, ngroups); group++)
		{
			CHECK_FOR_INTERRUPTS();
			excluded[group] = excluded[group] || excludes(&statistics, condition, group, null_is_null);
		}
	}
	PG_FINALLY();
	{
		schema.release(&schema);
		array.release(&array);
	}
	PG_END_TRY();
}

static bool
excludes(const Statistics *statistics, StreamingCondition *condition, int64 group, bool null_is_null)
{
	Datum		min;
	Datum		max;
	int			below;			/* min, compared with the value */
	int			above;

	if (excludes_by_nulls(statistics, condition, group, null_is_null))
		return true;
	if (condition->kind != STREAMING_CONDITION_COMPARES || !statistics->has_bounds ||
		!read_bound(statistics, STATISTIC_MIN, group, &min) || !read_bound(statistics, STATISTIC_MAX, group, &max))
		return false;
	/* Of text, which is asked for in this order or for equality, by its bytes. */
	below = DatumGetInt32(FunctionCall2Coll(&condition->compare, C_COLLATION_OID, min, condition->value));
	above = DatumGetInt32(FunctionCall2Coll(&condition->compare, C_COLLATION_OID, max, condition->value));
	if (is_float(statistics) && (condition->strategy > BTEqualStrategyNumber || is_nan(condition)))
		above = 1;
	switch (condition->strategy)
	{
		case BTLessStrategyNumber:
			return below >= 0;
		case BTLessEqualStrategyNumber:
			return below > 0;
		case BTEqualStrategyNumber:
			return below > 0 || above < 0;
		case BTGreaterEqualStrategyNumber:
			return above < 0;
		case BTGreaterStrategyNumber:
			return above <= 0;
		default:
			return false;
	}
}

/* null_is_null: what is no NULL in the file is none in the stream. */
static bool
excludes_by_nulls(const Statistics *statistics, StreamingCondition *condition, int64 group, bool null_is_null)
{
	int64		nulls;
	int64		rows;

	if (!read_count(statistics, STATISTIC_NULLS, group, &nulls) || !read_count(statistics, STATISTIC_ROWS, group, &rows))
		return false;
	if (condition->kind == STREAMING_CONDITION_IS_NULL)
		return nulls == 0 && null_is_null;
	return nulls == rows;
}

static bool
read_count(const Statistics *statistics, int which, int64 group, int64 *count)
{
	const struct ArrowArray *array = statistics->array->children[which];

	if (streaming_arrow_is_null(statistics->type->types[which], array, group))
		return false;
	*count = ((const int64 *) array->buffers[1])[array->offset + group];
	return true;
}

/* Of what the column cannot have there is no bound. */
static bool
read_bound(const Statistics *statistics, int which, int64 group, Datum *bound)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool found = false;

	if (streaming_arrow_is_null(statistics->type->types[which], statistics->array->children[which], group))
		return false;
	PG_TRY();
	{
		found = convert_bound(statistics, which, group, bound);
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(old);
		FlushErrorState();
	}
	PG_END_TRY();
	return found;
}

static bool
convert_bound(const Statistics *statistics, int which, int64 group, Datum *bound)
{
	const StreamingArrowType *type = statistics->type->types[which];
	const struct ArrowArray *array = statistics->array->children[which];

	/* One that has been cut off may end in the middle of a character. */
	if (statistics->pair == STREAMING_ARROW_TO_TEXT)
	{
		const int32 *offsets = (const int32 *) array->buffers[1] + array->offset + group;

		*bound = PointerGetDatum(cstring_to_text_with_len((const char *) array->buffers[2] + offsets[0],
														  offsets[1] - offsets[0]));
		return true;
	}
	*bound = streaming_arrow_convert(statistics->converter, statistics->pair, type, array, group);
	return !is_float(statistics) ||
		!isnan(statistics->pair == STREAMING_ARROW_TO_FLOAT4 ? DatumGetFloat4(*bound) : DatumGetFloat8(*bound));
}

static bool
is_float(const Statistics *statistics)
{
	return statistics->pair == STREAMING_ARROW_TO_FLOAT4 || statistics->pair == STREAMING_ARROW_TO_FLOAT8;
}

static bool
is_nan(const StreamingCondition *condition)
{
	return (condition->type == FLOAT4OID && isnan(DatumGetFloat4(condition->value))) ||
		(condition->type == FLOAT8OID && isnan(DatumGetFloat8(condition->value)));
}
