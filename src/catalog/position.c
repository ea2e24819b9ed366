/*
 * position.c
 *		Vectors of positions, and positions as text.
 */
#include "postgres.h"

#include "catalog/position.h"

#define INITIAL_POSITIONS 8

static int	position_slot(const StreamingPositions *positions, int32 partition);

/*
 * An empty vector in CurrentMemoryContext, where it stays as it grows: the
 * array exists from the start, and repalloc keeps its context.
 */
void
streaming_positions_init(StreamingPositions *positions)
{
	positions->n = 0;
	positions->allocated = INITIAL_POSITIONS;
	positions->pos = palloc(sizeof(StreamingPosition) * INITIAL_POSITIONS);
}

int64
streaming_positions_get(const StreamingPositions *positions, int32 partition)
{
	int			slot = position_slot(positions, partition);

	if (slot < positions->n && positions->pos[slot].partition == partition)
		return positions->pos[slot].offset;
	return -1;
}

void
streaming_positions_set(StreamingPositions *positions, int32 partition, int64 offset)
{
	int			slot = position_slot(positions, partition);

	if (slot == positions->n || positions->pos[slot].partition != partition)
	{
		if (positions->n == positions->allocated)
		{
			if (positions->allocated == 0)
				elog(ERROR, "position vector is not initialized");
			positions->allocated *= 2;
			positions->pos = repalloc(positions->pos,
									  sizeof(StreamingPosition) * positions->allocated);
		}
		memmove(&positions->pos[slot + 1], &positions->pos[slot],
				sizeof(StreamingPosition) * (positions->n - slot));
		positions->n++;
		positions->pos[slot].partition = partition;
	}
	positions->pos[slot].offset = offset;
}

/* A copy of its own in CurrentMemoryContext; what to held before is not freed. */
void
streaming_positions_copy(StreamingPositions *to, const StreamingPositions *from)
{
	to->n = from->n;
	to->allocated = Max(from->n, INITIAL_POSITIONS);
	to->pos = palloc(sizeof(StreamingPosition) * to->allocated);
	if (from->n > 0)
		memcpy(to->pos, from->pos, sizeof(StreamingPosition) * from->n);
}

char *
streaming_position_out(StreamingSourceKind kind, int64 offset)
{
	if (kind == STREAMING_SOURCE_DIRECTORY)
		return psprintf("%u:%u", (uint32) (offset >> 32), (uint32) offset);
	return psprintf(INT64_FORMAT, offset);
}

/* Errors: ERRCODE_INVALID_TEXT_REPRESENTATION. */
int64
streaming_position_in(StreamingSourceKind kind, const char *text)
{
	const char *p = text;
	char	   *end;
	long long	number;

	errno = 0;
	if (*p >= '0' && *p <= '9')
	{
		number = strtoll(p, &end, 10);
		if (errno == 0 && kind != STREAMING_SOURCE_DIRECTORY && *end == '\0')
			return (int64) number;
		if (errno == 0 && kind == STREAMING_SOURCE_DIRECTORY &&
			number <= PG_INT32_MAX && *end == ':' &&
			end[1] >= '0' && end[1] <= '9')
		{
			long long	record = strtoll(end + 1, &end, 10);

			if (errno == 0 && record <= PG_UINT32_MAX && *end == '\0')
				return ((int64) number << 32) | (int64) record;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid position \"%s\"", text),
			 kind == STREAMING_SOURCE_DIRECTORY ?
			 errdetail("A position in a directory is written file:record, such as 17:250.") :
			 errdetail("A position is a number that is not negative.")));
	return 0;					/* keep compiler quiet */
}

/* Where partition is in the vector, or would be inserted. */
static int
position_slot(const StreamingPositions *positions, int32 partition)
{
	int			low = 0;
	int			high = positions->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (positions->pos[middle].partition < partition)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
