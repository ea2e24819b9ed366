/*
 * shift_slot.h
 *		A row of a stream inside a row of one of our own tables.
 *
 * Tables that hold rows of a stream have some columns of ours before the
 * stream's.  A shifted slot shows the rest of such a row as a row of the
 * stream, without copying anything and without deforming more of it than is
 * asked for.  What a column had that the stream has dropped is NULL.
 */
#ifndef STREAMING_SHIFT_SLOT_H
#define STREAMING_SHIFT_SLOT_H

#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/resowner.h"

typedef struct StreamingShiftSlot
{
	TupleTableSlot base;
	TupleTableSlot *stored;
	int			shift;
	ResourceOwner owner;		/* of what stored has pinned */
	int			ndropped;
	int		   *dropped;		/* columns that are always NULL, from 0 on */
} StreamingShiftSlot;

/* A slot for stored rows, before it is known of which table. */
extern TupleTableSlot *streaming_stored_slot_make(void);

/*
 * Readies stored for the rows of table rel.  Rows are taken apart as their table
 * describes them: of what type a column is that the stream has dropped is known
 * there only.
 *
 * Raises an error unless they can be shown as rows of desc behind shift columns
 * (desc NULL: nobody will).  Columns of a stream change in more ways than we are
 * told of, and a value that is taken for one of another type is a pointer into
 * anywhere.
 */
extern void streaming_stored_slot_set(TupleTableSlot *stored, Relation rel, TupleDesc desc,
									  int shift);

/*
 * Makes a slot of type desc that shows stored, which has shift columns more, in
 * CurrentMemoryContext.  Both live in the caller's hands: after it has stored
 * another row in stored, it calls streaming_shift_slot_set.
 */
extern TupleTableSlot *streaming_shift_slot_make(TupleDesc desc, TupleTableSlot *stored,
												 int shift);

/* Shows the row that stored has now. */
static inline void
streaming_shift_slot_set(TupleTableSlot *slot)
{
	StreamingShiftSlot *shifted = (StreamingShiftSlot *) slot;

	/* The slot's own arrays are left unused; stored has others for each table. */
	slot->tts_values = shifted->stored->tts_values + shifted->shift;
	slot->tts_isnull = shifted->stored->tts_isnull + shifted->shift;
	slot->tts_nvalid = 0;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
}

#endif							/* STREAMING_SHIFT_SLOT_H */
