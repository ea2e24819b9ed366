/*
 * merge_session.c
 *		Session windows: rows of a group that are at most a gap apart.
 *
 * A batch's partial aggregates, one for each instant of a group, come in the
 * order of (hash of the other keys, instant) and are laid over the stored
 * sessions of their group, which are intervals [start, end) too, end being gap
 * behind the last row:
 *
 *	stored		 [-----------)              [-------)        [---)
 *	instants		   x		 x    x
 *	result		 [--------------------------)---)            as it was
 *				 merged: one row updated, one removed
 *
 * What touches (start <= end of the one before) is one session.  Of the stored
 * sessions only those are read that end at or behind the first instant.  Groups
 * whose keys share a hash are kept apart as tracks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "exec/stage.h"
#include "streaming.h"

/* A session that is stored. */
typedef struct StoredSession
{
	TimestampTz start;
	TimestampTz end;
	HeapTuple	tuple;
} StoredSession;

/* The sessions of one group, from the first instant on. */
typedef struct Track
{
	Datum	   *keys;			/* with room for the session */
	bool	   *keys_null;
	List	   *stored;			/* of StoredSession *, by start */
	int			next;			/* the first that has not been passed */

	/* the session that grows */
	bool		open;
	bool		changed;		/* it is not as it was stored */
	TimestampTz start;
	TimestampTz end;
	Datum	   *states;
	bool	   *states_null;
	List	   *swallowed;		/* of StoredSession * */
} Track;

typedef struct StreamingSessionMerge
{
	Tuplesortstate *sort;		/* of (hash, row of the statement) */
	TupleTableSlot *to_sort;
	TupleTableSlot *sorted;
	TupleTableSlot *stored;		/* of the table's type */
	TypeCacheEntry *range;
	MemoryContext context;		/* of the tracks */
	int64		hash;
	List	   *tracks;			/* of Track *; nearly always one */
} StreamingSessionMerge;

/* ---- Sorting ---- */

static TupleDesc
sort_desc(TupleDesc rows)
{
	TupleDesc	desc = CreateTemplateTupleDesc(rows->natts + 1);

	TupleDescInitEntry(desc, 1, "$hash", INT8OID, -1, 0);
	for (int i = 0; i < rows->natts; i++)
		TupleDescCopyEntry(desc, i + 2, rows, i + 1);
	TupleDescFinalize(desc);
	return desc;
}

static StreamingSessionMerge *
begin_merge(StreamingStageExec *exec)
{
	MemoryContext old = MemoryContextSwitchTo(exec->batch_context);
	StreamingSessionMerge *merge = palloc0(sizeof(StreamingSessionMerge));
	TupleDesc	desc = sort_desc(exec->input->tts_tupleDescriptor);
	AttrNumber	attnos[2] = {1, exec->stage->nkeys + 1};
	Oid			operators[2];
	Oid			collations[2] = {InvalidOid, InvalidOid};
	bool		nulls_first[2] = {false, false};

	operators[0] = lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr;
	operators[1] = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_LT_OPR)->lt_opr;
	merge->sort = tuplesort_begin_heap(desc, 2, attnos, operators, collations, nulls_first,
									   streaming_work_mem / 2, NULL, TUPLESORT_NONE);
	merge->to_sort = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	merge->sorted = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	merge->stored = MakeSingleTupleTableSlot(exec->table->desc, &TTSOpsHeapTuple);
	merge->range = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	merge->context = AllocSetContextCreate(exec->batch_context, "streaming sessions",
										   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(old);
	return merge;
}

void
streaming_session_add(StreamingStageExec *exec, TupleTableSlot *slot)
{
	StreamingSessionMerge *merge = exec->sessions;
	TupleTableSlot *to_sort;
	int			natts = slot->tts_tupleDescriptor->natts;

	if (merge == NULL)
		merge = exec->sessions = begin_merge(exec);
	to_sort = merge->to_sort;
	slot_getallattrs(slot);
	ExecClearTuple(to_sort);
	to_sort->tts_values[0] = Int64GetDatum(streaming_group_hash(exec->group_key, slot->tts_values,
																slot->tts_isnull));
	to_sort->tts_isnull[0] = false;
	memcpy(to_sort->tts_values + 1, slot->tts_values, sizeof(Datum) * natts);
	memcpy(to_sort->tts_isnull + 1, slot->tts_isnull, sizeof(bool) * natts);
	tuplesort_puttupleslot(merge->sort, ExecStoreVirtualTuple(to_sort));
}

/* ---- Tracks ---- */

static void
read_range(StreamingSessionMerge *merge, Datum value, TimestampTz *start, TimestampTz *end)
{
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(merge->range, DatumGetRangeTypeP(value), &lower, &upper, &empty);
	*start = DatumGetTimestampTz(lower.val);
	*end = DatumGetTimestampTz(upper.val);
}

static Datum
make_session(StreamingSessionMerge *merge, TimestampTz start, TimestampTz end)
{
	RangeBound	lower = {.val = TimestampTzGetDatum(start), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = TimestampTzGetDatum(end), .inclusive = false, .lower = false};

	return RangeTypePGetDatum(streaming_make_range(merge->range, &lower, &upper));
}

static int
compare_stored(const ListCell *a, const ListCell *b)
{
	TimestampTz left = ((StoredSession *) lfirst(a))->start;
	TimestampTz right = ((StoredSession *) lfirst(b))->start;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* Reads the stored sessions of a track that end at or behind time. */
static void
read_stored(StreamingStageExec *exec, Track *track, TimestampTz time)
{
	StreamingSessionMerge *merge = exec->sessions;
	StreamingStateTable *table = exec->table;
	int			nkeys = exec->stage->nkeys;
	Datum	   *keys = palloc(sizeof(Datum) * nkeys);
	bool	   *keys_null = palloc(sizeof(bool) * nkeys);

	streaming_state_find_from(table, merge->hash, exec->stage->closes_attno, time);
	while (streaming_state_next_until(table))
	{
		StoredSession *session;

		streaming_stored_keys(exec, table->stored, keys, keys_null);
		if (!streaming_group_equal(exec->group_key, track->keys, track->keys_null,
								   keys, keys_null))
			continue;
		session = palloc(sizeof(StoredSession));
		session->tuple = ExecCopySlotHeapTuple(table->stored);
		session->tuple->t_self = table->stored->tts_tid;
		read_range(merge, keys[nkeys - 1], &session->start, &session->end);
		track->stored = lappend(track->stored, session);
	}
	list_sort(track->stored, compare_stored);
}

static Track *
make_track(StreamingStageExec *exec, Datum *values, bool *isnull)
{
	StreamingSessionMerge *merge = exec->sessions;
	StreamingStage *stage = exec->stage;
	Track	   *track = palloc0(sizeof(Track));

	track->keys = palloc0(sizeof(Datum) * stage->nkeys);
	track->keys_null = palloc0(sizeof(bool) * stage->nkeys);
	track->states = palloc0(sizeof(Datum) * Max(stage->naggs, 1));
	track->states_null = palloc0(sizeof(bool) * Max(stage->naggs, 1));
	for (int i = 0; i < stage->nkeys - 1; i++)
	{
		StreamingKeyColumn *column = &exec->group_key->columns[i];

		track->keys_null[i] = isnull[i];
		if (!isnull[i])
			track->keys[i] = datumCopy(values[i], column->typbyval, column->typlen);
	}
	merge->tracks = lappend(merge->tracks, track);
	read_stored(exec, track, DatumGetTimestampTz(values[stage->nkeys - 1]));
	return track;
}

static Track *
find_track(StreamingStageExec *exec, Datum *values, bool *isnull)
{
	ListCell   *lc;

	foreach(lc, exec->sessions->tracks)
	{
		Track	   *track = lfirst(lc);

		if (streaming_group_equal(exec->group_key, values, isnull,
								  track->keys, track->keys_null))
			return track;
	}
	return make_track(exec, values, isnull);
}

/* ---- Sessions ---- */

/* Writes the session that has grown; nothing touches it any more. */
static void
finish_session(StreamingStageExec *exec, Track *track)
{
	StreamingSessionMerge *merge = exec->sessions;
	int			n = list_length(track->swallowed);
	HeapTuple  *stored;
	bool		same_key;
	ListCell   *lc;
	MemoryContext old;

	if (!track->open)
		return;
	track->open = false;
	if (!track->changed)
		return;
	ResetExprContext(exec->econtext);
	old = MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);
	stored = palloc(sizeof(HeapTuple) * Max(n, 1));
	foreach(lc, track->swallowed)
		stored[foreach_current_index(lc)] = ((StoredSession *) lfirst(lc))->tuple;
	same_key = n == 1 &&
		((StoredSession *) linitial(track->swallowed))->start == track->start &&
		((StoredSession *) linitial(track->swallowed))->end == track->end;
	track->keys[exec->stage->nkeys - 1] = make_session(merge, track->start, track->end);
	streaming_replace_groups(exec, stored, n, same_key, merge->stored, merge->hash,
							 track->keys, track->keys_null, track->states, track->states_null);
	MemoryContextSwitchTo(old);
}

/* Sets a state of the track, which gets a copy. */
static void
set_state(StreamingStageExec *exec, Track *track, int i, Datum value, bool isnull)
{
	StreamingAggregateOps *ops = &exec->aggs[i];
	Datum		copy = (Datum) 0;

	if (!isnull)
		copy = datumCopy(value, ops->typbyval, ops->typlen);
	if (track->states[i] && !track->states_null[i] && !ops->typbyval)
		pfree(DatumGetPointer(track->states[i]));
	track->states[i] = copy;
	track->states_null[i] = isnull;
}

/*
 * The next interval, in the order of start, of the batch or stored: it joins the
 * session that grows, or begins the next one.
 */
static void
take_interval(StreamingStageExec *exec, Track *track, TimestampTz start, TimestampTz end,
			  Datum *states, bool *isnull, StoredSession *stored)
{
	bool		joins = track->open && start <= track->end;

	if (!joins)
	{
		finish_session(exec, track);
		track->open = true;
		track->changed = false;
		track->start = start;
		track->end = end;
		track->swallowed = NIL;
	}
	track->changed |= joins || stored == NULL;
	track->end = Max(track->end, end);
	if (stored)
		track->swallowed = lappend(track->swallowed, stored);
	for (int i = 0; i < exec->stage->naggs; i++)
	{
		Datum		value = states[i];
		bool		null = isnull[i];

		if (joins)
		{
			MemoryContext old = MemoryContextSwitchTo(exec->econtext->ecxt_per_tuple_memory);

			value = streaming_aggregate_combine(&exec->aggs[i], track->states[i],
												track->states_null[i], states[i], isnull[i], &null);
			MemoryContextSwitchTo(old);
		}
		set_state(exec, track, i, value, null);
	}
}

static void
take_stored(StreamingStageExec *exec, Track *track)
{
	StoredSession *session = list_nth(track->stored, track->next++);
	TupleTableSlot *slot = exec->sessions->stored;
	StreamingStage *stage = exec->stage;
	Datum	   *states = palloc(sizeof(Datum) * Max(stage->naggs, 1));
	bool	   *isnull = palloc(sizeof(bool) * Max(stage->naggs, 1));

	ExecForceStoreHeapTuple(session->tuple, slot, false);
	slot_getallattrs(slot);
	for (int i = 0; i < stage->naggs; i++)
	{
		states[i] = slot->tts_values[stage->aggs[i].attno - 1];
		isnull[i] = slot->tts_isnull[stage->aggs[i].attno - 1];
	}
	take_interval(exec, track, session->start, session->end, states, isnull, session);
	pfree(states);
	pfree(isnull);
}

static TimestampTz
next_start(Track *track)
{
	if (track->next == list_length(track->stored))
		return DT_NOEND;
	return ((StoredSession *) list_nth(track->stored, track->next))->start;
}

/* A row of the statement: keys, of which the last is the instant, and states. */
static void
take_instant(StreamingStageExec *exec, Datum *values, bool *isnull)
{
	StreamingStage *stage = exec->stage;
	Track	   *track = find_track(exec, values, isnull);
	TimestampTz time = DatumGetTimestampTz(values[stage->nkeys - 1]);

	ResetExprContext(exec->econtext);
	while (next_start(track) <= time)
		take_stored(exec, track);
	take_interval(exec, track, time, time + stage->gap, values + stage->nkeys,
				  isnull + stage->nkeys, NULL);
}

/* The last instant of a hash has come. */
static void
finish_tracks(StreamingStageExec *exec)
{
	StreamingSessionMerge *merge = exec->sessions;
	ListCell   *lc;

	foreach(lc, merge->tracks)
	{
		Track	   *track = lfirst(lc);

		/* what is stored behind it does not touch each other */
		while (track->open && next_start(track) <= track->end)
			take_stored(exec, track);
		finish_session(exec, track);
	}
	merge->tracks = NIL;
	MemoryContextReset(merge->context);
}

void
streaming_session_merge(StreamingStageExec *exec)
{
	StreamingSessionMerge *merge = exec->sessions;
	MemoryContext old = MemoryContextSwitchTo(merge->context);

	tuplesort_performsort(merge->sort);
	while (tuplesort_gettupleslot(merge->sort, true, false, merge->sorted, NULL))
	{
		int64		hash;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(merge->sorted);
		hash = DatumGetInt64(merge->sorted->tts_values[0]);
		if (merge->tracks && hash != merge->hash)
			finish_tracks(exec);
		merge->hash = hash;
		take_instant(exec, merge->sorted->tts_values + 1, merge->sorted->tts_isnull + 1);
	}
	finish_tracks(exec);
	MemoryContextSwitchTo(old);
	tuplesort_end(merge->sort);
	ExecDropSingleTupleTableSlot(merge->to_sort);
	ExecDropSingleTupleTableSlot(merge->sorted);
	ExecDropSingleTupleTableSlot(merge->stored);
	MemoryContextDelete(merge->context);
	exec->sessions = NULL;
	streaming_state_flush(exec->table);
}
