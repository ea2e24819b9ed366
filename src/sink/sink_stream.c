/*
 * sink_stream.c
 *		What sinks that are streams have in common.
 *
 * Rows are written with an INSERT into the foreign table, so that casts,
 * defaults and triggers are those of any INSERT; it ends in stream_writer.c, and
 * the messages leave by the outbox.  Columns are matched by name.
 *
 * Rows that are appended just as the view's statement returns them, which is
 * the common case of a stream that is only passed on, skip that: a row costs
 * half as much if it is neither collected nor runs through another plan.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "format/encode.h"
#include "catalog/object_name.h"
#include "sink/file_place.h"
#include "sink/outbox.h"
#include "sink/sink_stream.h"

struct StreamingStreamRows
{
	StreamingStreamWriter *writer;
	int			noutputs;
	int		   *columns;		/* of the stream: index of each output */
	Datum	   *values;			/* of all columns of the stream */
	bool	   *isnull;
};

void
streaming_sink_stream_check(StreamingProgram *program, StreamingStream *stream)
{
	StreamingStage *stage = streaming_last_stage(program);

	for (int i = 0; i < stage->noutputs; i++)
	{
		StreamingValue *output = &stage->outputs[i];
		AttrNumber	attno = get_attnum(stream->relid, output->name);
		Oid			type;

		if (attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of the continuous view does not exist in stream %s",
							output->name, stream->name),
					 errhint("Columns are matched by name: rename the view's column with AS, or add the column to the stream.")));
		type = get_atttype(stream->relid, attno);
		if (!can_coerce_type(1, &output->type, &type, COERCION_ASSIGNMENT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of stream %s is of type %s but the continuous view's is of type %s",
							output->name, stream->name, format_type_be(type),
							format_type_be(output->type)),
					 errhint("Cast the view's column.")));
	}
	/* refuses streams that cannot be written to */
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

	if (stream->trigdesc || (desc->constr && desc->constr->has_generated_stored))
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

StreamingStreamRows *
streaming_stream_rows_begin(StreamingProgram *program)
{
	Oid			relid = program->sink.relid;
	StreamingStreamRows *rows = palloc0(sizeof(StreamingStreamRows));
	Relation	rel = table_open(relid, RowExclusiveLock);
	StreamingStream *stream;
	bool		good;

	rows->noutputs = streaming_last_stage(program)->noutputs;
	rows->columns = palloc(sizeof(int) * Max(rows->noutputs, 1));
	good = pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
		is_plain_copy(program, rel, rows->columns);
	if (good)
	{
		stream = streaming_stream_open(relid, rel->rd_rel->relowner);
		if (stream->kind == STREAMING_SOURCE_DIRECTORY)
			streaming_file_place_check(stream, true);
		rows->writer = streaming_stream_writer_open(stream);
		rows->values = palloc0(sizeof(Datum) * stream->tupdesc->natts);
		rows->isnull = palloc(sizeof(bool) * stream->tupdesc->natts);
		memset(rows->isnull, true, sizeof(bool) * stream->tupdesc->natts);
	}
	table_close(rel, NoLock);
	return good ? rows : NULL;
}

void
streaming_stream_rows_put(StreamingStreamRows *rows, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	for (int i = 0; i < rows->noutputs; i++)
	{
		rows->values[rows->columns[i]] = slot->tts_values[i];
		rows->isnull[rows->columns[i]] = slot->tts_isnull[i];
	}
	streaming_stream_writer_put(rows->writer, rows->values, rows->isnull);
}

void
streaming_stream_rows_end(StreamingStreamRows *rows)
{
	streaming_stream_writer_close(rows->writer);
}
