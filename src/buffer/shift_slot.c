/*
 * shift_slot.c
 *		A row of a stream inside a row of one of our own tables.
 *
 * The slot's arrays of values are those of the stored row's slot, some places
 * further on.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

#include "buffer/buffer.h"
#include "buffer/shift_slot.h"

static void shift_init(TupleTableSlot *slot);
static void shift_release(TupleTableSlot *slot);
static void shift_clear(TupleTableSlot *slot);
static void shift_getsomeattrs(TupleTableSlot *slot, int natts);
static Datum shift_getsysattr(TupleTableSlot *slot, int attnum, bool *isnull);
static void shift_materialize(TupleTableSlot *slot);
static void shift_copyslot(TupleTableSlot *to, TupleTableSlot *from);
static HeapTuple shift_copy_heap_tuple(TupleTableSlot *slot);
static MinimalTuple shift_copy_minimal_tuple(STREAMING_COPY_MINIMAL_ARGS);

static const TupleTableSlotOps shift_ops = {
	.base_slot_size = sizeof(StreamingShiftSlot),
	.init = shift_init,
	.release = shift_release,
	.clear = shift_clear,
	.getsomeattrs = shift_getsomeattrs,
	.getsysattr = shift_getsysattr,
	.materialize = shift_materialize,
	.copyslot = shift_copyslot,
	.get_heap_tuple = NULL,
	.get_minimal_tuple = NULL,
	.copy_heap_tuple = shift_copy_heap_tuple,
	.copy_minimal_tuple = shift_copy_minimal_tuple
};

TupleTableSlot *
streaming_stored_slot_make(void)
{
	return streaming_make_slot(NULL, &TTSOpsBufferHeapTuple);
}

void
streaming_stored_slot_set(TupleTableSlot *stored, Relation rel, TupleDesc desc, int shift)
{
	TupleDesc	own = RelationGetDescr(rel);
	TupleDesc	former = stored->tts_tupleDescriptor;
	MemoryContext old;

	if (desc && !streaming_table_is_readable(rel, desc, shift))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" holds rows with other columns than the stream has",
						RelationGetRelationName(rel)),
				 errdetail("The columns of the stream have changed since the rows came."),
				 errhint("Give the columns the types again that they had, or make another stream.")));
	if (former && equalTupleDescs(former, own))
		return;
	old = MemoryContextSwitchTo(stored->tts_mcxt);
	ExecSetSlotDescriptor(stored, CreateTupleDescCopy(own));
	MemoryContextSwitchTo(old);
	if (former)
		FreeTupleDesc(former);
}

TupleTableSlot *
streaming_shift_slot_make(TupleDesc desc, TupleTableSlot *stored, int shift)
{
	TupleTableSlot *slot = streaming_make_slot(desc, &shift_ops);
	StreamingShiftSlot *shifted = (StreamingShiftSlot *) slot;

	shifted->stored = stored;
	shifted->shift = shift;
	shifted->owner = CurrentResourceOwner;
	shifted->ndropped = 0;
	shifted->dropped = palloc(sizeof(int) * (desc->natts + 1));
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped)
			shifted->dropped[shifted->ndropped++] = i;
	return slot;
}

static void
shift_init(TupleTableSlot *slot)
{
}

static void
shift_release(TupleTableSlot *slot)
{
}

/* The stored row stays where it is; whoever stored it clears it. */
static void
shift_clear(TupleTableSlot *slot)
{
	slot->tts_nvalid = 0;
	slot->tts_flags |= TTS_FLAG_EMPTY;
	ItemPointerSetInvalid(&slot->tts_tid);
}

static void
shift_getsomeattrs(TupleTableSlot *slot, int natts)
{
	StreamingShiftSlot *shifted = (StreamingShiftSlot *) slot;

	slot_getsomeattrs(shifted->stored, natts + shifted->shift);
	for (int i = 0; i < shifted->ndropped && shifted->dropped[i] < natts; i++)
		slot->tts_isnull[shifted->dropped[i]] = true;
	slot->tts_nvalid = natts;
}

static Datum
shift_getsysattr(TupleTableSlot *slot, int attnum, bool *isnull)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("rows of a stream have no system columns but tableoid")));
	return 0;
}

/* Lets go of the page the row is on, in the name of the one who pinned it. */
static void
shift_materialize(TupleTableSlot *slot)
{
	StreamingShiftSlot *shifted = (StreamingShiftSlot *) slot;
	ResourceOwner old = CurrentResourceOwner;

	CurrentResourceOwner = shifted->owner;
	ExecMaterializeSlot(shifted->stored);
	CurrentResourceOwner = old;
	slot->tts_nvalid = 0;
}

static void
shift_copyslot(TupleTableSlot *to, TupleTableSlot *from)
{
	elog(ERROR, "cannot store a row in a shifted slot");
}

static HeapTuple
shift_copy_heap_tuple(TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	return heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
}

static MinimalTuple
shift_copy_minimal_tuple(STREAMING_COPY_MINIMAL_ARGS)
{
	slot_getallattrs(slot);
	return streaming_form_minimal_tuple(slot->tts_tupleDescriptor, slot->tts_values,
										slot->tts_isnull);
}
