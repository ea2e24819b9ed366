/*
 * fold.c
 *		What is left of the records of a stream whose rows change: of each key the last.
 *
 * Records are sorted by the hash of their key and then as they have come, so that the
 * last one of each key is known when those of its hash have been seen.  What has come
 * before the last truncation counts for nothing.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "exec/fold.h"
#include "streaming.h"

/* Behind the columns. */
enum
{
	COLUMN_CHANGE,
	COLUMN_HASH,
	COLUMN_NUMBER,				/* of the record */
	NMORE
};

struct StreamingFold
{
	int			ncolumns;
	StreamingGroupKey *key;
	int			nkeys;
	const AttrNumber *keys;
	Tuplesortstate *sort;
	TupleTableSlot *to_sort;
	TupleTableSlot *sorted;		/* the next record */
	TupleTableSlot *other;
	Datum	   *values[2];		/* space for keys */
	bool	   *isnull[2];
	int64		nrecords;
	int64		truncated;		/* number of the last truncation; 0: none */
	bool		complete;		/* all records have come */
	bool		ahead;			/* there is a next record */
	MemoryContext context;		/* of the rows of one hash */
	StreamingFolded *rows;
	int			nrows;
	int			max_rows;
	int			next;			/* of them, to be handed out */
};

static TupleDesc
sort_desc(TupleDesc rows)
{
	TupleDesc	desc = CreateTemplateTupleDesc(rows->natts + NMORE);

	for (int i = 0; i < rows->natts; i++)
		TupleDescCopyEntry(desc, i + 1, rows, i + 1);
	TupleDescInitEntry(desc, rows->natts + COLUMN_CHANGE + 1, "$change", INT2OID, -1, 0);
	TupleDescInitEntry(desc, rows->natts + COLUMN_HASH + 1, "$hash", INT8OID, -1, 0);
	TupleDescInitEntry(desc, rows->natts + COLUMN_NUMBER + 1, "$number", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

StreamingFold *
streaming_fold_begin(TupleDesc rows, StreamingGroupKey *key, const AttrNumber *keys, int nkeys,
					 int memory)
{
	StreamingFold *fold = palloc0(sizeof(StreamingFold));
	TupleDesc	desc = sort_desc(rows);
	AttrNumber	attnos[2] = {rows->natts + COLUMN_HASH + 1, rows->natts + COLUMN_NUMBER + 1};
	Oid			operators[2] = {Int8LessOperator, Int8LessOperator};
	Oid			collations[2] = {InvalidOid, InvalidOid};
	bool		nulls_first[2] = {false, false};

	fold->ncolumns = rows->natts;
	fold->key = key;
	fold->keys = keys;
	fold->nkeys = nkeys;
	fold->sort = tuplesort_begin_heap(desc, 2, attnos, operators, collations, nulls_first,
									  memory, NULL, TUPLESORT_NONE);
	fold->to_sort = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	memset(fold->to_sort->tts_isnull, false, sizeof(bool) * desc->natts);
	fold->sorted = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	fold->other = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	for (int i = 0; i < 2; i++)
	{
		fold->values[i] = palloc(sizeof(Datum) * nkeys);
		fold->isnull[i] = palloc(sizeof(bool) * nkeys);
	}
	fold->context = AllocSetContextCreate(CurrentMemoryContext, "streaming records of a hash",
										  ALLOCSET_DEFAULT_SIZES);
	return fold;
}

static void
read_key(StreamingFold *fold, int space, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < fold->nkeys; i++)
	{
		fold->values[space][i] = values[fold->keys[i] - 1];
		fold->isnull[space][i] = isnull[fold->keys[i] - 1];
	}
}

void
streaming_fold_add(StreamingFold *fold, const Datum *values, const bool *isnull,
				   StreamingChange change)
{
	TupleTableSlot *slot = fold->to_sort;
	int			n = fold->ncolumns;

	fold->nrecords++;
	if (change == STREAMING_CHANGE_TRUNCATE)
	{
		fold->truncated = fold->nrecords;
		return;
	}
	read_key(fold, 0, values, isnull);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(Datum) * n);
	memcpy(slot->tts_isnull, isnull, sizeof(bool) * n);
	slot->tts_values[n + COLUMN_CHANGE] = Int16GetDatum(change);
	slot->tts_values[n + COLUMN_HASH] =
		Int64GetDatum(streaming_group_hash(fold->key, fold->values[0], fold->isnull[0]));
	slot->tts_values[n + COLUMN_NUMBER] = Int64GetDatum(fold->nrecords);
	tuplesort_puttupleslot(fold->sort, ExecStoreVirtualTuple(slot));
}

int64
streaming_fold_records(StreamingFold *fold)
{
	return fold->nrecords;
}

bool
streaming_fold_truncates(StreamingFold *fold)
{
	return fold->truncated > 0;
}

static int64
more_ahead(StreamingFold *fold, int column)
{
	return DatumGetInt64(fold->sorted->tts_values[fold->ncolumns + column]);
}

static void
read_record(StreamingFold *fold)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		fold->ahead = tuplesort_gettupleslot(fold->sort, true, false, fold->sorted, NULL);
		if (fold->ahead)
			slot_getallattrs(fold->sorted);
	} while (fold->ahead && more_ahead(fold, COLUMN_NUMBER) <= fold->truncated);
}

/* The row with the key of the record ahead, which is in the first space; or NULL. */
static StreamingFolded *
find_row(StreamingFold *fold)
{
	for (int i = 0; i < fold->nrows; i++)
	{
		ExecForceStoreMinimalTuple(fold->rows[i].row, fold->other, false);
		slot_getallattrs(fold->other);
		read_key(fold, 1, fold->other->tts_values, fold->other->tts_isnull);
		if (streaming_group_equal(fold->key, fold->values[0], fold->isnull[0],
								  fold->values[1], fold->isnull[1]))
			return &fold->rows[i];
	}
	return NULL;
}

static StreamingFolded *
add_row(StreamingFold *fold)
{
	if (fold->nrows == fold->max_rows)
	{
		fold->max_rows = Max(fold->max_rows * 2, 4);
		fold->rows = fold->rows == NULL ? palloc(sizeof(StreamingFolded) * fold->max_rows) :
			repalloc_huge(fold->rows, sizeof(StreamingFolded) * fold->max_rows);
	}
	return &fold->rows[fold->nrows++];
}

/* The record ahead takes the place of that with its key, if there is one. */
static void
take_record(StreamingFold *fold)
{
	StreamingChange change = DatumGetInt16(fold->sorted->tts_values[fold->ncolumns + COLUMN_CHANGE]);
	bool		supposes = change != STREAMING_CHANGE_PUT;
	StreamingFolded *row;

	read_key(fold, 0, fold->sorted->tts_values, fold->sorted->tts_isnull);
	row = find_row(fold);
	if (row == NULL)
	{
		row = add_row(fold);
		row->hash = more_ahead(fold, COLUMN_HASH);
		row->supposes = supposes;
		row->unknown = 0;
	}
	else
	{
		pfree(row->row);
		row->unknown += supposes && row->change == STREAMING_CHANGE_DELETE;
	}
	row->change = change;
	row->row = ExecCopySlotMinimalTuple(fold->sorted);
}

/* Takes the records of the next hash; false: there is none. */
static bool
take_hash(StreamingFold *fold)
{
	MemoryContext old;
	int64		hash;

	if (!fold->complete)
	{
		tuplesort_performsort(fold->sort);
		fold->complete = true;
		read_record(fold);
	}
	fold->next = fold->nrows = fold->max_rows = 0;
	fold->rows = NULL;
	ExecClearTuple(fold->other);
	MemoryContextReset(fold->context);
	if (!fold->ahead)
		return false;
	hash = more_ahead(fold, COLUMN_HASH);
	old = MemoryContextSwitchTo(fold->context);
	do
	{
		take_record(fold);
		read_record(fold);
	} while (fold->ahead && more_ahead(fold, COLUMN_HASH) == hash);
	MemoryContextSwitchTo(old);
	return true;
}

bool
streaming_fold_next(StreamingFold *fold, StreamingFolded *folded)
{
	if (fold->next == fold->nrows && !take_hash(fold))
		return false;
	*folded = fold->rows[fold->next++];
	return true;
}

void
streaming_fold_end(StreamingFold *fold)
{
	tuplesort_end(fold->sort);
	ExecDropSingleTupleTableSlot(fold->to_sort);
	ExecDropSingleTupleTableSlot(fold->sorted);
	ExecDropSingleTupleTableSlot(fold->other);
	MemoryContextDelete(fold->context);
	pfree(fold);
}

/* ---- Of a stream ---- */

StreamingFold *
streaming_fold_stream(StreamingStream *stream)
{
	StreamingValue *values = palloc0(sizeof(StreamingValue) * stream->nkeys);

	for (int i = 0; i < stream->nkeys; i++)
	{
		StreamingColumn *column = &stream->columns[stream->keys[i] - 1];

		values[i].type = column->type;
		values[i].typmod = column->typmod;
		values[i].collation = column->collation;
		values[i].eqop = lookup_type_cache(column->type, TYPECACHE_EQ_OPR)->eq_opr;
	}
	return streaming_fold_begin(stream->tupdesc, streaming_group_key(values, stream->nkeys, NULL, 0),
								stream->keys, stream->nkeys, work_mem);
}

bool
streaming_fold_row(StreamingFold *fold, TupleTableSlot *slot)
{
	StreamingFolded folded;
	/* A slot may lack the last column, which says what a record does. */
	int			ncolumns = Min(slot->tts_tupleDescriptor->natts, fold->ncolumns);

	ExecClearTuple(slot);
	do
	{
		if (!streaming_fold_next(fold, &folded))
			return false;
	} while (folded.change == STREAMING_CHANGE_DELETE);
	ExecForceStoreMinimalTuple(folded.row, fold->other, false);
	slot_getallattrs(fold->other);
	memcpy(slot->tts_values, fold->other->tts_values, sizeof(Datum) * ncolumns);
	memcpy(slot->tts_isnull, fold->other->tts_isnull, sizeof(bool) * ncolumns);
	ExecStoreVirtualTuple(slot);
	return true;
}
