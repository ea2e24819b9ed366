/*
 * sink_rows.c
 *		The rows of a batch, one by one.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "sink/sink_rows.h"

typedef struct RowReceiver
{
	DestReceiver pub;
	StreamingSinkRow row;
	void	   *arg;
	List	   *types;			/* of Oid */
} RowReceiver;

TupleDesc
streaming_sink_desc(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	TupleDesc	desc = CreateTemplateTupleDesc(stage->noutputs);

	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		TupleDescInitEntry(desc, i + 1, output->name, output->type, output->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, output->collation);
	}
	TupleDescFinalize(desc);
	return desc;
}

static void
read_changes(StreamingDelta *changes, StreamingSinkRow row, void *arg)
{
	int			natts = changes->desc->natts;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(changes->desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(changes->store, true, false, slot))
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		row(arg, DatumGetInt16(slot_getattr(slot, natts, &isnull)), slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;

	receiver->row(receiver->arg, 1, slot);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	streaming_check_types(desc, ((RowReceiver *) self)->types);
}

static void
receiver_noop(DestReceiver *self)
{
}

void
streaming_sink_rows(StreamingSink *sink, StreamingDelta *changes,
					StreamingStatement *result, StreamingSinkRow row, void *arg)
{
	RowReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, row, arg, NIL};
	StreamingStage *last = streaming_last_stage(sink->program);

	if (changes)
	{
		read_changes(changes, row, arg);
		return;
	}
	if (result->sql == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(sink));

		result->sql = streaming_layout_result_query(sink->program, false);
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < last->noutputs; i++)
		receiver.types = lappend_oid(receiver.types, last->outputs[i].type);
	/* not read only: it is to see what this batch has written */
	streaming_statement_run(result, NULL, NULL, false, (DestReceiver *) &receiver);
}
