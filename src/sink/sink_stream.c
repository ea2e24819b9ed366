/*
 * sink_stream.c
 *		What sinks that are streams have in common.
 *
 * Rows are written with an INSERT into the foreign table, so that casts,
 * defaults and triggers are those of any INSERT; it ends in stream_writer.c, and
 * the messages leave by the outbox.  Columns are matched by name.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "sink/sink_stream.h"

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
		const char *name = quote_identifier(stage->outputs[i].name);

		appendStringInfo(&columns, "%s%s", i ? ", " : "", name);
		appendStringInfo(&values, "%sc.%s", i ? ", " : "", name);
	}
	return psprintf("INSERT INTO %s (%s) SELECT %s FROM %s",
					streaming_qualified_name(program->sink.relid), columns.data, values.data,
					program->output_mode == STREAMING_OUTPUT_COMPLETE ?
					psprintf("(%s) c", streaming_layout_result_query(program)) :
					"changes c WHERE c.\"$sign\" OPERATOR(pg_catalog.>) 0");
}
