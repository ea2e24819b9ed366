/*
 * ingest_show.c
 *		What an ingest worker tells people about a stream: positions, trouble,
 *		columns that no record has a field for.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/read_columns.h"
#include "worker/ingest.h"

#define ABSENT_RECORDS	1000	/* without the field of a column: a warning */

static void show_absent(StreamingIngest *ingest);
static StreamingTime find_behind_since(StreamingIngest *ingest, const StreamingPositions *end);
static bool is_past(StreamingIngest *ingest, const StreamingPositions *end);

void
streaming_ingest_show_rejects(StreamingIngest *ingest)
{
	if (ingest->bad > 0)
	{
		LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
		strlcpy(ingest->shared->reject_error, ingest->reject_error, STREAMING_MESSAGE_LENGTH);
		LWLockRelease(ingest->shared->lock);
	}
	if (ingest->rows > 0)
		pg_atomic_write_u64(&ingest->shared->rejected_since_row, 0);
	else if (ingest->bad > 0)
		pg_atomic_fetch_add_u64(&ingest->shared->rejected_since_row, ingest->bad);
}

/* Once: such a column is most likely a misspelt one, and is NULL in every row. */
void
streaming_ingest_warn_of_absent(StreamingIngest *ingest)
{
	StringInfoData names;
	int			attnum = -1;

	if (ingest->warned_of_absent || ingest->nrecords < ABSENT_RECORDS)
		return;
	ingest->warned_of_absent = true;
	initStringInfo(&names);
	while ((attnum = bms_next_member(ingest->decoder->absent, attnum)) >= 0)
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 ingest->stream->columns[attnum - 1].name);
	if (names.len > 0)
		ereport(WARNING,
				(errmsg("no record of stream %s has had a field for column %s",
						ingest->stream->name, names.data),
				 errdetail("%lld records have been read.", (long long) ingest->nrecords),
				 errhint("The column option \"field\" names the field, where it is not called like the column.")));
	pfree(names.data);
}

/* The columns that no record has had a field for. */
static void
show_absent(StreamingIngest *ingest)
{
	int			attnum = -1;

	memset(&ingest->shared->absent, 0, sizeof(ingest->shared->absent));
	if (ingest->nrecords == 0)
		return;
	while ((attnum = bms_next_member(ingest->decoder->absent, attnum)) >= 0)
		streaming_columns_add(&ingest->shared->absent, attnum);
}

/*
 * Since when records have been there that are not read yet, at most; 0: there are
 * none.  Who reads all the time is never at the end that is known now, but comes to
 * the one that was known a while ago.
 */
static StreamingTime
find_behind_since(StreamingIngest *ingest, const StreamingPositions *end)
{
	StreamingTime since = ingest->ahead_at ? ingest->ahead_at : ingest->stats_at;

	if (ingest->ahead_at == 0 || is_past(ingest, &ingest->ahead))
	{
		streaming_positions_copy(&ingest->ahead, end);
		ingest->ahead_at = ingest->stats_at;
	}
	return is_past(ingest, end) ? 0 : since;
}

static bool
is_past(StreamingIngest *ingest, const StreamingPositions *end)
{
	for (int i = 0; i < end->n; i++)
	{
		int64		position = streaming_positions_get(&ingest->positions, end->pos[i].partition);

		if (Max(position, 0) < end->pos[i].offset)
			return false;
	}
	return true;
}

/*
 * Positions, ends and the source's trouble, for people; readers that follow the
 * event time wait until every partition has been heard of.
 */
void
streaming_ingest_show(StreamingIngest *ingest)
{
	const char *error;
	StreamingPositions end;
	int			unheard = 0;
	bool		wake;
	MemoryContext old;

	if (ingest->writer == NULL)
		return;
	old = MemoryContextSwitchTo(ingest->context);
	error = ingest->source->routine->last_error(ingest->source);
	ingest->stats_at = streaming_now();
	ingest->show_at = STREAMING_TIME_NEVER;
	streaming_positions_init(&end);
	ingest->source->routine->known_end(ingest->source, &end);
	for (int i = 0; i < end.n; i++)
		unheard += end.pos[i].offset < 0 ||
			streaming_positions_get(&ingest->positions, end.pos[i].partition) < 0;
	/* there may be no topic that matches */
	if ((end.n == 0 && !streaming_stream_is_pattern(ingest->stream)) || error)
		unheard = -1;

	LWLockAcquire(ingest->shared->lock, LW_EXCLUSIVE);
	strlcpy(ingest->shared->last_error, error ? error : "", STREAMING_MESSAGE_LENGTH);
	wake = unheard == 0 && ingest->shared->unheard != 0;
	ingest->shared->unheard = unheard;
	if (wake)
		ingest->shared->heard_since = ingest->stats_at;
	show_absent(ingest);
	ingest->shared->behind_since = find_behind_since(ingest, &end);
	ingest->shared->npartitions = ingest->positions.n;
	ingest->shared->rest_lag = 0;
	for (int i = 0; i < ingest->positions.n; i++)
	{
		StreamingPosition *p = &ingest->positions.pos[i];
		int64		p_end = streaming_positions_get(&end, p->partition);

		if (i < STREAMING_MAX_PARTITIONS)
			ingest->shared->partitions[i] = (StreamingPartitionStats) {p->partition, p->offset, p_end};
		else
			ingest->shared->rest_lag += Max(p_end - p->offset, 0);
	}
	LWLockRelease(ingest->shared->lock);
	pfree(end.pos);
	MemoryContextSwitchTo(old);
	if (wake)
		streaming_stream_wake_readers(ingest->shared);
}
