/*
 * change_stream.c
 *		Writes the changes of a view for the views that read it.
 *
 * They are pushed rows like others, but no INSERT brings them: nobody has the
 * right to make one, not even the view's owner, since the views above, of other
 * roles maybe, take them for what the view shows.
 *
 * What the view shows are columns of its sink, if that is a table of the user's;
 * so changes are converted as the sink has converted them.
 */
#include "postgres.h"

#include "access/table.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "exec/stage.h"
#include "push/source_push.h"

typedef struct ChangeReceiver
{
	DestReceiver pub;
	TupleDesc	desc;			/* of the stream */
	StreamingPush *push;
} ChangeReceiver;

char *
streaming_changes_sql(Oid stream, StreamingStage *last)
{
	Relation	rel = table_open(stream, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	if (rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE || desc->natts != last->noutputs + 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("\"%s\" does not fit its continuous view any more",
						RelationGetRelationName(rel)),
				 errhint("Drop the views that read the view, and create them again.")));
	initStringInfo(&buf);
	for (int i = 0; i < last->noutputs; i++)
	{
		StreamingValue *output = &last->outputs[i];
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&buf, "%s c.%s", i ? "," : "SELECT", quote_identifier(output->column));
		if (att->atttypid != output->type ||
			(att->atttypmod >= 0 && att->atttypmod != output->typmod))
			appendStringInfo(&buf, "::%s",
							 format_type_extended(att->atttypid, att->atttypmod,
												  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	}
	appendStringInfo(&buf, "%s c.\"$sign\"::pg_catalog.int2 FROM changes c", last->noutputs ? "," : "SELECT");
	table_close(rel, AccessShareLock);
	return buf.data;
}

static bool
receive_change(TupleTableSlot *slot, DestReceiver *self)
{
	streaming_push_row(((ChangeReceiver *) self)->push, slot);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	TupleDesc	stream = ((ChangeReceiver *) self)->desc;
	List	   *types = NIL;

	for (int i = 0; i < stream->natts; i++)
		types = lappend_oid(types, TupleDescAttr(stream, i)->atttypid);
	streaming_check_types(desc, types);
}

static void
receiver_noop(DestReceiver *self)
{
}

void
streaming_write_changes(Oid stream, StreamingStatement *statement, StreamingDelta *changes)
{
	Relation	rel = table_open(stream, RowExclusiveLock);
	ChangeReceiver receiver = {{receive_change, receiver_startup, receiver_noop,
	receiver_noop, DestNone}, RelationGetDescr(rel), streaming_push_begin(rel)};

	streaming_statement_run(statement, changes, NULL, true, (DestReceiver *) &receiver);
	streaming_push_end(receiver.push);
	table_close(rel, NoLock);
}
