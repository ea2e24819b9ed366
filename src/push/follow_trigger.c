/*
 * follow_trigger.c
 *		Pushes the changes of a table that continuous views follow.
 *
 * Runs in the transaction that changes the table, so the rows join the stream if and when
 * that commits.  Columns that no view reads are left out, and so are rows of an UPDATE that
 * changes no others.  Nothing here calls what a user wrote, and no right is asked for.
 *
 * No row is captured twice, whatever ALTER TABLE ... ENABLE TRIGGER has made of the
 * triggers: those of rows act where session_replication_role is "replica", those of
 * statements where it is not.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"
#include "utils/snapmgr.h"

#if __has_include("varatt.h")	/* split from postgres.h in 16 */
#include "varatt.h"
#endif

#include "push/follow.h"
#include "push/source_push.h"

typedef struct Capture
{
	Relation	table;
	Relation	stream;
	StreamingPush *push;		/* NULL: there has been no row */
	AttrNumber *attnos;			/* by column of the stream: that of the table; 0: NULL */
	TupleTableSlot *row;		/* of the stream */
} Capture;

/* Rows of a transition table. */
typedef struct Transition
{
	Tuplestorestate *store;		/* NULL: there is none */
	int			pointer;
	TupleTableSlot *slot;
} Transition;

PG_FUNCTION_INFO_V1(streaming_capture_change);

/*
 * The column of the stream for column att of table.  A partition has the columns of root by
 * the same names, at other numbers.
 */
static AttrNumber
stream_column(Relation stream, Oid table, Form_pg_attribute att, Oid root)
{
	FormData_pg_attribute copy = *att;

	if (table != root && !att->attisdropped)
		copy.attnum = get_attnum(root, NameStr(att->attname));
	return streaming_follow_column(stream, &copy);
}

/* root: of table, see streaming_follow_root */
static void
begin_capture(Capture *capture, Relation table, Oid root, Oid stream)
{
	TupleDesc	desc;

	capture->table = table;
	capture->stream = try_table_open(stream, RowExclusiveLock);
	if (capture->stream == NULL || !streaming_follow_is_stream(stream))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the stream of changes of table \"%s\" does not exist",
						RelationGetRelationName(table))));
	desc = RelationGetDescr(capture->stream);
	capture->attnos = palloc0(sizeof(AttrNumber) * desc->natts);
	for (int i = 0; i < RelationGetDescr(table)->natts; i++)
	{
		AttrNumber	attno = stream_column(capture->stream, RelationGetRelid(table),
										  TupleDescAttr(RelationGetDescr(table), i), root);

		if (attno > 0)
			capture->attnos[attno - 1] = i + 1;
	}
	capture->row = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	capture->push = NULL;
}

static void
end_capture(Capture *capture)
{
	if (capture->push)
		streaming_push_end(capture->push);
	ExecDropSingleTupleTableSlot(capture->row);
	table_close(capture->stream, NoLock);
}

/*
 * Who has written does not wait for views, which may wait for the table that he has
 * locked; TRUNCATE has not written yet.
 */
static void
begin_push(Capture *capture)
{
	(void) GetCurrentTransactionId();
	capture->push = streaming_push_begin(capture->stream);
}

static void
push_row(Capture *capture, TupleTableSlot *slot, int sign)
{
	TupleTableSlot *row = capture->row;

	if (capture->push == NULL)
		begin_push(capture);
	ExecClearTuple(row);
	slot_getallattrs(slot);
	for (int i = 0; i < row->tts_tupleDescriptor->natts; i++)
	{
		AttrNumber	attno = capture->attnos[i];

		row->tts_isnull[i] = attno == 0 || slot->tts_isnull[attno - 1];
		row->tts_values[i] = row->tts_isnull[i] ? (Datum) 0 : slot->tts_values[attno - 1];
	}
	row->tts_values[STREAMING_FOLLOW_SIGN - 1] = Int16GetDatum(sign);
	row->tts_isnull[STREAMING_FOLLOW_SIGN - 1] = false;
	ExecStoreVirtualTuple(row);
	streaming_push_row(capture->push, row);
}

/* Is it the same value, as far as can be told without reading what is out of line? */
static bool
same_value(Form_pg_attribute att, Datum old, Datum new)
{
	if (att->attlen == -1 &&
		(VARATT_IS_EXTERNAL(DatumGetPointer(old)) || VARATT_IS_EXTERNAL(DatumGetPointer(new))))
		return VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(old)) &&
			VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(new)) &&
			memcmp(DatumGetPointer(old), DatumGetPointer(new), VARSIZE_EXTERNAL(DatumGetPointer(old))) == 0;
	return datumIsEqual(old, new, att->attbyval, att->attlen);
}

static bool
same_row(Capture *capture, TupleTableSlot *old, TupleTableSlot *new)
{
	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < capture->row->tts_tupleDescriptor->natts; i++)
	{
		int			k = capture->attnos[i] - 1;

		if (k < 0)
			continue;
		if (old->tts_isnull[k] != new->tts_isnull[k])
			return false;
		if (!old->tts_isnull[k] &&
			!same_value(TupleDescAttr(old->tts_tupleDescriptor, k), old->tts_values[k], new->tts_values[k]))
			return false;
	}
	return true;
}

/* A row that goes and one that comes, or one of them. */
static void
push_change(Capture *capture, TupleTableSlot *old, TupleTableSlot *new)
{
	if (old && new && same_row(capture, old, new))
		return;
	if (old)
		push_row(capture, old, -1);
	if (new)
		push_row(capture, new, 1);
}

/* Others read it, too, each with a place of its own. */
static void
open_transition(Transition *transition, Tuplestorestate *store, TupleDesc desc)
{
	transition->store = store;
	if (store == NULL)
		return;
	transition->pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(store, transition->pointer);
	tuplestore_rescan(store);
	transition->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

static TupleTableSlot *
next_row(Transition *transition)
{
	if (transition->store == NULL)
		return NULL;
	tuplestore_select_read_pointer(transition->store, transition->pointer);
	return tuplestore_gettupleslot(transition->store, true, false, transition->slot) ?
		transition->slot : NULL;
}

static void
close_transition(Transition *transition)
{
	if (transition->store)
		ExecDropSingleTupleTableSlot(transition->slot);
}

/*
 * An UPDATE has as many old rows as new ones.  Whether those that are met together are of
 * one row does not matter: if they are equal, neither has come or gone.
 */
static void
push_statement(Capture *capture, TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(capture->table);
	Transition	old;
	Transition	new;

	open_transition(&old, trigger->tg_oldtable, desc);
	open_transition(&new, trigger->tg_newtable, desc);
	for (;;)
	{
		TupleTableSlot *from = next_row(&old);
		TupleTableSlot *to = next_row(&new);

		if (from == NULL && to == NULL)
			break;
		push_change(capture, from, to);
		CHECK_FOR_INTERRUPTS();
	}
	close_transition(&old);
	close_transition(&new);
}

static void
push_one(Capture *capture, TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		push_change(capture, NULL, trigger->tg_trigslot);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		push_change(capture, trigger->tg_trigslot, NULL);
	else
		push_change(capture, trigger->tg_trigslot, trigger->tg_newslot);
}

/* What a trigger behind ours adds would come to the stream, and go with the table's rows. */
static void
refuse_later_triggers(TriggerData *trigger)
{
	TriggerDesc *triggers = trigger->tg_relation->trigdesc;
	bool		later = false;

	/* they are in the order in which they fire */
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger    *other = &triggers->triggers[i];

		if (later && other->tgenabled != TRIGGER_DISABLED &&
			TRIGGER_TYPE_MATCHES(other->tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_BEFORE,
								 TRIGGER_TYPE_TRUNCATE))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot truncate table \"%s\", which a continuous view follows",
							RelationGetRelationName(trigger->tg_relation)),
					 errdetail("Trigger \"%s\" could change it after its rows have been counted as gone.",
							   other->tgname),
					 errhint("Rename the trigger so that its name sorts before \"%s\".",
							 trigger->tg_trigger->tgname)));
		later |= other->tgoid == trigger->tg_trigger->tgoid;
	}
}

/* All rows, also those that are younger than the transaction's snapshot. */
static void
push_all(Capture *capture, int sign)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(capture->table, NULL);
	TableScanDesc scan = streaming_beginscan(capture->table, snapshot);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		push_row(capture, slot, sign);
		CHECK_FOR_INTERRUPTS();
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
}

void
streaming_follow_push_all(Relation table, Oid root, Oid stream, int sign)
{
	Capture		capture;

	begin_capture(&capture, table, root, stream);
	push_all(&capture, sign);
	end_capture(&capture);
}

/* streaming_internal.capture_change('<oid of the stream>'), a trigger */
Datum
streaming_capture_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		replica = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	Capture		capture;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "capture_change")));
	if (!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) &&
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != replica)
		return PointerGetDatum(NULL);

	begin_capture(&capture, trigger->tg_relation,
				  streaming_follow_root(RelationGetRelid(trigger->tg_relation)),
				  atooid(trigger->tg_trigger->tgargs[0]));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		refuse_later_triggers(trigger);
		push_all(&capture, -1);
	}
	else if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		push_one(&capture, trigger);
	else
		push_statement(&capture, trigger);
	end_capture(&capture);
	return PointerGetDatum(NULL);
}
