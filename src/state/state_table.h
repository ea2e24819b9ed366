/*
 * state_table.h
 *		A table that remembers one row per key, as one batch reads and writes it.
 */
#ifndef STREAMING_STATE_TABLE_H
#define STREAMING_STATE_TABLE_H

#include "access/genam.h"
#include "access/heapam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/timestamp.h"

/* Where a sweep through the index is. */
typedef enum StreamingSweep
{
	SWEEP_NOWHERE,				/* it has not begun */
	SWEEP_BEHIND,				/* behind an entry that has been taken */
	SWEEP_AT,					/* at an entry that may be wanted */
	SWEEP_AT_END
} StreamingSweep;

typedef struct StreamingStateTable
{
	Relation	rel;
	TupleDesc	desc;
	TupleTableSlot *stored;		/* the row last found */
	TupleTableSlot *row;		/* virtual, to be filled for writing */
	int64		rows_added;		/* inserted less deleted in this batch */

	/* private */
	MemoryContext context;
	AttrNumber	hash_attno;
	ResultRelInfo *result;
	EState	   *estate;
	Relation	index;
	IndexScanDesc scan;
	IndexScanDesc ordered;		/* of streaming_state_find_until */
	bool		was_empty;		/* nothing to look up */
	bool		sweeping;		/* scan is a sweep; else a look-up */
	StreamingSweep sweep;
	int64		at;				/* hash of the entry, if SWEEP_AT */
	int64		wanted;			/* hash looked up last */
	bool		fetched;		/* some row of that look-up */
	TupleTableSlot **pending;	/* rows to insert */
	int			npending;
	int			nslots;
	Size		pending_size;
	BulkInsertState bulk;
} StreamingStateTable;

/*
 * Opens table (of schema streaming_internal) for a batch, in
 * CurrentMemoryContext, which must live until streaming_state_close.
 * hash_attno: the column that index <table>_hash covers; 0: rows are only
 * added.  Only the worker of the view writes to it.
 */
extern StreamingStateTable *streaming_state_open(const char *table, AttrNumber hash_attno);

/*
 * Begins a look-up of the rows with a hash; streaming_state_next returns them
 * one by one in table->stored, false at the end.  Rows inserted since opening
 * may not be found before streaming_state_flush.
 */
extern void streaming_state_find(StreamingStateTable *table, int64 hash);
extern bool streaming_state_next(StreamingStateTable *table);

/*
 * Says how many look-ups follow, and that they come in the order of hashes
 * (look-ups that do not are found, too, but at a cost).  Until the next call.
 */
extern void streaming_state_sweep(StreamingStateTable *table, int64 lookups);

/*
 * Begins to read the rows whose column attno (timestamptz, with an index of its
 * own) is above from and at most upto, in this order; _next_until returns them
 * in table->stored.  They may be deleted meanwhile.  What this transaction has
 * written is found, once flushed.
 */
extern void streaming_state_find_until(StreamingStateTable *table, AttrNumber attno,
									   TimestampTz from, TimestampTz upto);
extern bool streaming_state_next_until(StreamingStateTable *table);

/*
 * Ditto the rows with a hash whose second column in the index on the hash is
 * above from.  Rows inserted since opening may not be found.
 */
extern void streaming_state_find_from(StreamingStateTable *table, int64 hash, TimestampTz from);

/* Adds a row (its values are copied); slot has the columns of the table. */
extern void streaming_state_insert(StreamingStateTable *table, TupleTableSlot *row);

/* Puts table->row in the place of the row at tid. */
extern void streaming_state_update(StreamingStateTable *table, ItemPointer tid);
extern void streaming_state_delete(StreamingStateTable *table, ItemPointer tid);

extern void streaming_state_flush(StreamingStateTable *table);
extern void streaming_state_close(StreamingStateTable *table);

#endif							/* STREAMING_STATE_TABLE_H */
