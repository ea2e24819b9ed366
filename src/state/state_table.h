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
#include "state/row_map.h"
#include "utils/timestamp.h"

/*
 * What rows are looked up by: the hash of all that tells one from others, or that of their
 * partition, which many may share.
 */
typedef enum StreamingStateBy
{
	STREAMING_BY_HASH,
	STREAMING_BY_GROUP
#define STREAMING_STATE_WAYS (STREAMING_BY_GROUP + 1)
} StreamingStateBy;

/* Look-ups that are about to be made, and pages that have been looked at lately. */
#define STREAMING_PREFETCHES	16
#define STREAMING_PINNED_PAGES	16

typedef struct StreamingStatePrefetch
{
	StreamingStateBy by;
	int64		hash;
	BlockNumber block;			/* of the first row that may have it, or invalid */
	OffsetNumber offset;
	Buffer		buffer;			/* where the page was then, or invalid */
} StreamingStatePrefetch;

typedef struct StreamingStatePage
{
	BlockNumber block;
	Buffer		buffer;			/* where it is pinned, or invalid */
} StreamingStatePage;

/*
 * What the worker of a view keeps of a table from batch to batch, and while the
 * view is compiled anew.  No other process writes to the table.
 */
typedef struct StreamingStateKept
{
	Oid			view;
	const char *table;
	MemoryContext context;		/* of all this */
	StreamingRowMap *maps[STREAMING_STATE_WAYS];	/* where the rows are; NULL: the index is
													 * asked */
	AttrNumber	mapped_group;	/* the column that the map by group is of; 0: there is none */
	int64		dead_rows;		/* deleted, or moved to new entries of the indexes */
	bool		needs_vacuum;	/* they are many */
	AttrNumber	group_attno;	/* statements look rows up by it; 0: by none */
	bool		needs_analyze;	/* they cannot be planned well */
	BlockNumber pages;			/* of the table, and */
	int64		rows_added;		/* inserted less deleted, in the last batch */
	List	   *indexes;		/* of char *: statements that make those that it should have, and
								 * that can wait */
	bool		indexes_tried;	/* once is enough: the maps do as well */
	struct StreamingStateTable *opened; /* for a batch; or NULL */
} StreamingStateKept;

/* Rows of one hash, while they are looked at. */
typedef struct StreamingStateLookUp
{
	StreamingStateBy by;
	int64		hash;
	StreamingRowMapCursor cursor;	/* by the map */
	IndexScanDesc scan;			/* by the index; NULL: not needed yet */
	HeapTupleData found;		/* the last one, by the map; and */
	ItemPointerData root;		/* where the map says that it is */
} StreamingStateLookUp;

/* Of a row of a table. */
typedef struct StreamingStatePlace
{
	ItemPointerData tid;
	ItemPointerData root;		/* where an index says that it is */
	int64		hashes[STREAMING_STATE_WAYS];
} StreamingStatePlace;

/* One way to look rows of a table up. */
typedef struct StreamingStateWay
{
	AttrNumber	attno;			/* of the column; 0: there is no such way */
	StreamingRowMap *map;		/* or NULL */
	Relation	index;			/* or NULL */
} StreamingStateWay;

typedef struct StreamingStateTable
{
	Relation	rel;
	TupleDesc	desc;
	TupleTableSlot *stored;		/* the row last found */
	TupleTableSlot *row;		/* virtual, to be filled for writing */
	int64		rows_added;		/* inserted less deleted in this batch */

	/* private */
	MemoryContext context;
	StreamingStateWay ways[STREAMING_STATE_WAYS];
	bool		mapped;			/* there is a map of each way, which may be of no use; and */
	bool		uses_maps;		/* they know all rows */
	StreamingStateKept *kept;	/* may be NULL */
	ResultRelInfo *result;
	EState	   *estate;
	StreamingStateLookUp look_up;	/* of streaming_state_find */
	TableScanDesc all;			/* of streaming_state_find_all; or NULL */
	IndexScanDesc ordered;		/* of streaming_state_find_until, _from and _end */
	ScanDirection direction;	/* ditto */
	Relation	pair;			/* the index of _find_from; NULL: not needed yet */
	bool		was_empty;		/* when it was opened */
	bool		flushed;		/* rows have been added since */
	StreamingStatePage pages[STREAMING_PINNED_PAGES];	/* a ring, of those looked at by
														 * the map */
	uint32		npages;
	StreamingStatePage *page;	/* the last one of them; or NULL */
	StreamingStatePrefetch prefetches[STREAMING_PREFETCHES];	/* a ring */
	uint32		nprefetches;
	BlockNumber nblocks;		/* of the table; maybe more by now */
	Size		row_size;		/* of the last row found, or a guess */
	Size		room;			/* a page with less free space is pruned */
	TupleTableSlot **pending;	/* rows to insert */
	TupleDesc	pending_desc;	/* of these; once there are any */
	int			npending;
	int			nslots;
	Size		pending_size;
	BulkInsertState bulk;
} StreamingStateTable;

/*
 * What is kept of a table of view; valid until streaming_state_forget.  mapped:
 * rows are looked up by their hash.
 */
extern StreamingStateKept *streaming_state_keep(Oid view, const char *table, bool mapped);

/* Its rows are looked up by the group in that column, too. */
extern void streaming_state_map_groups(StreamingStateKept *kept, AttrNumber attno);

/*
 * A batch of view has failed, or the view is no longer run by this process: what
 * is kept of its tables may be wrong.
 */
extern void streaming_state_forget(Oid view);

/*
 * Opens table (of schema streaming_internal), which must have the columns of
 * desc, for a batch, in CurrentMemoryContext, which must live until
 * streaming_state_close.
 * hash_attno: the column that rows are looked up by; 0: by none, or by their group alone.
 * kept: of this table; NULL: nothing is.  Only the worker of the view writes to
 * the table.
 */
extern StreamingStateTable *streaming_state_open(const char *table, TupleDesc desc,
												 AttrNumber hash_attno,
												 StreamingStateKept *kept);

/*
 * Begins a look-up of the rows with a hash, or group; streaming_state_next returns them
 * one by one in table->stored, false at the end.  Rows inserted since opening
 * may not be found before streaming_state_flush.
 */
extern void streaming_state_find(StreamingStateTable *table, int64 hash);
extern void streaming_state_find_group(StreamingStateTable *table, int64 group);
extern bool streaming_state_next(StreamingStateTable *table);

/*
 * For statements that look rows up by their group: that can be done by the maps, or by the indexes, which are
 * made if need be.  lookups: about how many follow.  To be called when none of them is
 * running.
 */
extern void streaming_state_ready(StreamingStateTable *table, int64 lookups);

/*
 * The table with that oid, if a batch has it open; or NULL.  The column by which a map knows
 * the rows of groups; or 0.
 */
extern StreamingStateTable *streaming_state_opened(Oid relid);
extern AttrNumber streaming_state_mapped_group(StreamingStateTable *table);

/*
 * As find and next, for whoever has a slot of its own, of a heap tuple in a buffer.  look_up is
 * zero at first.
 */
extern void streaming_state_look_up(StreamingStateTable *table, StreamingStateLookUp *look_up,
									StreamingStateBy by, int64 hash);
extern bool streaming_state_look_up_next(StreamingStateTable *table, StreamingStateLookUp *look_up,
										 TupleTableSlot *slot);
extern void streaming_state_look_up_end(StreamingStateLookUp *look_up);

/* May there be rows of a group?  To ask costs next to nothing. */
extern bool streaming_state_may_have(StreamingStateTable *table, int64 group);

/*
 * Says that a hash is going to be looked up, best after
 * STREAMING_PREFETCH_DISTANCE further calls.
 */
#define STREAMING_PREFETCH_DISTANCE 12
extern void streaming_state_prefetch(StreamingStateTable *table, StreamingStateBy by, int64 hash);

/*
 * Says how many look-ups follow, best in the order of their hashes.  Until the
 * next call.
 */
extern void streaming_state_expect(StreamingStateTable *table, int64 lookups);

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
 * Ditto the rows with a hash whose column attno (timestamptz, behind the hash in an
 * index) is above from.  Rows inserted since opening may not be found.
 */
extern void streaming_state_find_from(StreamingStateTable *table, int64 hash, AttrNumber attno,
									  TimestampTz from);

/*
 * Begins to read the rows whose column group_attno (int8) is group and whose column
 * attno is not NULL, in the order of that from its least, or largest, on; the two
 * have an index; partial: of some rows, which are read.  To be read with _next_until,
 * and ended before its end with _stop.  Rows not flushed may not be found.
 */
extern void streaming_state_find_end(StreamingStateTable *table, AttrNumber group_attno,
									 int64 group, AttrNumber attno, bool partial, bool largest);

/* Ditto the rows of the group that are too wide for such an index. */
extern void streaming_state_find_wide(StreamingStateTable *table, AttrNumber group_attno,
									  int64 group);
extern void streaming_state_stop(StreamingStateTable *table);

/*
 * Begins to read all rows, in no order; to be read with _next_row, in table->stored.  They may be
 * deleted meanwhile.  What this transaction has written is found, once flushed.
 */
extern void streaming_state_find_all(StreamingStateTable *table);
extern bool streaming_state_next_row(StreamingStateTable *table);

/* Adds a row (its values are copied); slot has the columns of the table. */
extern void streaming_state_insert(StreamingStateTable *table, TupleTableSlot *row);

/* Puts table->row in the place of the row at tid, which has the same hash. */
extern void streaming_state_update(StreamingStateTable *table, ItemPointer tid);

/* Deletes a row of the table that is in a slot. */
extern void streaming_state_delete(StreamingStateTable *table, TupleTableSlot *stored);

/* Where the row is that is in table->stored; until somebody writes to it. */
extern StreamingStatePlace streaming_state_place(StreamingStateTable *table);

/* Puts table->row in that place, whatever its hash is; or nothing. */
extern void streaming_state_replace(StreamingStateTable *table, StreamingStatePlace *place);
extern void streaming_state_remove(StreamingStateTable *table, StreamingStatePlace *place);

extern void streaming_state_flush(StreamingStateTable *table);

/*
 * Ditto, and what has been written in this batch may be updated once more.  (A
 * command does not write to what it has written itself.)
 */
extern void streaming_state_settle(StreamingStateTable *table);
extern void streaming_state_close(StreamingStateTable *table);

/*
 * VACUUMs the table and begins to count anew, if there is much to remove; ANALYZEs it
 * if statements need that.  To be called outside of a transaction, after the commit
 * of a batch.
 */
extern void streaming_state_vacuum(StreamingStateKept *kept);

#endif							/* STREAMING_STATE_TABLE_H */
