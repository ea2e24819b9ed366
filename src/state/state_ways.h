/*
 * state_ways.h
 *		How the rows of a table of state are found: the parts of state_table.h.
 */
#ifndef STREAMING_STATE_WAYS_H
#define STREAMING_STATE_WAYS_H

#include "state/state_table.h"

/* An index of the table by these n columns; partial: of some rows.  Errors if there is none. */
extern Relation streaming_require_index(StreamingStateTable *table, const AttrNumber *attnos, int n,
										bool partial);

/* Its ways, when the table has been opened. */
extern void streaming_open_ways(StreamingStateTable *table);

/*
 * Neither the maps, which there are then, nor indexes tell where rows are: makes
 * one of them do so.
 */
extern void streaming_make_way(StreamingStateTable *table);

/* Says in kept->indexes which are to be made when there is time; kept->pages is known. */
extern void streaming_plan_indexes(StreamingStateTable *table);

/* The maps, if they know all rows, learn of a new row, and that a row has gone. */
extern void streaming_map_row(StreamingStateTable *table, TupleTableSlot *row);
extern void streaming_unmap_place(StreamingStateTable *table, StreamingStatePlace *place);

/* Ditto, whether they do or not, of a row that is at tid; false: they have been given up. */
extern bool streaming_map_at(StreamingStateTable *table, TupleTableSlot *row, ItemPointer tid);

/* Ditto that a row was at before, and is now where row says. */
extern void streaming_move_row(StreamingStateTable *table, TupleTableSlot *row,
							   ItemPointerData before);

/* Where a row is that has been read from the table. */
extern StreamingStatePlace streaming_place_of(StreamingStateTable *table, TupleTableSlot *stored);

/* Do the maps know all rows?  If not indexes do, or streaming_make_way is to be called. */
static inline bool
streaming_uses_maps(StreamingStateTable *table)
{
	return table->uses_maps;
}

/* Is there nothing to be found? */
static inline bool
streaming_state_is_empty(StreamingStateTable *table)
{
	return table->was_empty && !table->flushed;
}

/* What row is looked up by. */
static inline int64
streaming_way_value(StreamingStateTable *table, TupleTableSlot *row, StreamingStateBy by)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(row, table->ways[by].attno, &isnull));
}

#endif							/* STREAMING_STATE_WAYS_H */
