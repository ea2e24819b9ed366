/*
 * sink_stream.c
 *		What sinks that are streams have in common.
 *
 * Rows are written with an INSERT into the foreign table, so that casts,
 * defaults, constraints and triggers are those of any INSERT; it ends in
 * stream_writer.c, and the messages leave by the outbox, or, if rows are pushed, in
 * source_push.c.  Columns are matched by name.
 *
 * Rows that are appended just as the view's statement returns them, which is
 * the common case of a stream that is only passed on, skip that: a row costs
 * half as much if it is neither collected nor runs through another plan.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "format/encode.h"
#include "catalog/object_name.h"
#include "sink/file_place.h"
#include "sink/outbox.h"
#include "sink/sink_stream.h"
#include "push/source_push.h"

struct StreamingStreamRows
{
	StreamingStreamWriter *writer;	/* one of the two */
	StreamingPush *push;
	TupleTableSlot *slot;		/* all columns of the stream */
	int			noutputs;
	int		   *columns;		/* of the stream: index of each output */
};

/* Its type and whether it can be written to; false: there is none. */
static bool
find_column(StreamingStream *stream, const char *name, Oid *type)
{
	HeapTuple	tuple = SearchSysCacheAttName(stream->relid, name);
	Form_pg_attribute att;
	bool		found = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (att->attnum > 0)
	{
		streaming_sink_check_writable(get_rel_name(stream->relid), att);
		*type = att->atttypid;
		found = true;
	}
	ReleaseSysCache(tuple);
	return found;
}

void
streaming_sink_stream_check(StreamingProgram *program, StreamingStream *stream)
{
	StreamingStage *stage = streaming_last_stage(program);

	if (stage->noutputs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a continuous view without columns cannot have a stream as its sink"),
				 errhint("Select at least one column.")));
	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];
		Oid			type;

		if (!find_column(stream, output->name, &type))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of the continuous view does not exist in stream %s",
							output->name, stream->name),
					 errhint("Columns are matched by name: rename the view's column with AS, or add the column to the stream.")));
		if (!can_coerce_type(1, &output->type, &type, COERCION_ASSIGNMENT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of stream %s is of type %s but the continuous view's is of type %s",
							output->name, stream->name, format_type_be(type),
							format_type_be(output->type)),
					 errhint("Cast the view's column.")));
	}
	/* refuses streams that cannot be written to */
	if (stream->kind != STREAMING_SOURCE_PUSH)
		(void) streaming_encoder_open(stream);
}

char *
streaming_sink_stream_insert(StreamingProgram *program)
{
	StreamingStage *stage = streaming_last_stage(program);
	StringInfoData columns;
	StringInfoData values;

	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];

		appendStringInfo(&columns, "%s%s", i ? ", " : "", quote_identifier(output->name));
		appendStringInfo(&values, "%sc.%s", i ? ", " : "", quote_identifier(output->column));
	}
	return psprintf("INSERT INTO %s (%s) SELECT %s FROM %s",
					streaming_qualified_name(program->sink.relid), columns.data, values.data,
					program->output_mode == STREAMING_OUTPUT_COMPLETE ?
					psprintf("(%s) c", streaming_layout_result_query(program, false)) :
					"changes c WHERE c.\"$sign\" OPERATOR(pg_catalog.>) 0");
}

/* Is an INSERT of the outputs nothing but a copy?  Fills columns. */
static bool
is_plain_copy(StreamingProgram *program, Relation stream, int *columns)
{
	StreamingStage *stage = streaming_last_stage(program);
	TupleDesc	desc = RelationGetDescr(stream);
	Bitmapset  *set = NULL;

	if (stream->trigdesc || stream->rd_rel->relispartition ||
		(desc->constr && (desc->constr->has_generated_stored ||
						  desc->constr->has_not_null || desc->constr->num_check > 0)))
		return false;
	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];
		AttrNumber	attno = get_attnum(RelationGetRelid(stream), output->name);
		Form_pg_attribute att;

		if (attno <= 0)
			return false;
		att = TupleDescAttr(desc, attno - 1);
		if (att->atttypid != output->type ||
			(att->atttypmod >= 0 && att->atttypmod != output->typmod))
			return false;
		columns[i] = attno - 1;
		set = bms_add_member(set, attno);
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		/* The default of a domain is one, too. */
		if (!att->attisdropped && !bms_is_member(i + 1, set) &&
			(att->atthasdef || get_typtype(att->atttypid) == TYPTYPE_DOMAIN))
			return false;
	}
	return true;
}

static void
open_place(StreamingStreamRows *rows, Relation rel)
{
	StreamingStream *stream = streaming_stream_open(RelationGetRelid(rel), rel->rd_rel->relowner);

	rows->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
										  &TTSOpsVirtual);
	memset(rows->slot->tts_isnull, true, sizeof(bool) * RelationGetDescr(rel)->natts);
	if (stream->kind == STREAMING_SOURCE_PUSH)
	{
		rows->push = streaming_push_begin(rel);
		return;
	}
	if (stream->kind == STREAMING_SOURCE_DIRECTORY)
		streaming_file_place_check(stream, true);
	rows->writer = streaming_stream_writer_open(stream);
}

StreamingStreamRows *
streaming_stream_rows_begin(StreamingProgram *program)
{
	Oid			relid = program->sink.relid;
	StreamingStreamRows *rows = palloc0(sizeof(StreamingStreamRows));
	Relation	rel = table_open(relid, RowExclusiveLock);
	bool		good;

	rows->noutputs = streaming_last_stage(program)->noutputs;
	rows->columns = palloc(sizeof(int) * Max(rows->noutputs, 1));
	good = pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
		is_plain_copy(program, rel, rows->columns);
	if (good)
		open_place(rows, rel);
	table_close(rel, NoLock);
	return good ? rows : NULL;
}

void
streaming_stream_rows_put(StreamingStreamRows *rows, TupleTableSlot *slot)
{
	TupleTableSlot *row = rows->slot;

	slot_getallattrs(slot);
	ExecClearTuple(row);
	for (int i = 0; i < rows->noutputs; i++)
	{
		row->tts_values[rows->columns[i]] = slot->tts_values[i];
		row->tts_isnull[rows->columns[i]] = slot->tts_isnull[i];
	}
	ExecStoreVirtualTuple(row);
	if (rows->push)
		streaming_push_row(rows->push, row);
	else
		streaming_stream_writer_put(rows->writer, row->tts_values, row->tts_isnull);
}

void
streaming_stream_rows_end(StreamingStreamRows *rows)
{
	if (rows->push)
		streaming_push_end(rows->push);
	else
		streaming_stream_writer_close(rows->writer);
	ExecDropSingleTupleTableSlot(rows->slot);
}
