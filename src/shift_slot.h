/*
 * shift_slot.h
 *		A row of a stream inside a row of one of our own tables.
 *
 * Tables that hold rows of a stream have some columns of ours before the
 * stream's.  A shifted slot shows the rest of such a row as a row of the
 * stream, without copying anything and without deforming more of it than is
 * asked for.
 */
#ifndef STREAMING_SHIFT_SLOT_H
#define STREAMING_SHIFT_SLOT_H

#include "executor/tuptable.h"

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
	slot->tts_nvalid = 0;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
}

#endif							/* STREAMING_SHIFT_SLOT_H */
