/*
 * format_text.c
 *		A record is one line of text.
 *
 * A stream with a single column gets each line into it just as it is, with
 * backslashes and tabs: log files are not written by COPY.  With several
 * columns, or with one of COPY's options "delimiter" and "null", a line is one
 * of COPY's text format.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/copy_record.h"
#include "mb/pg_wchar.h"

typedef struct TextState
{
	bool		whole_line;
	StreamingSplitRule rule;
	StreamingCopyReader *reader;	/* unless whole_line */
	StreamingCopyColumn *columns;
	int			ncolumns;
} TextState;

static void text_begin(StreamingDecoder *decoder);
static size_t text_split(StreamingDecoder *decoder, const char *data, size_t length,
						 bool eof, size_t *scanned, size_t *record_length);
static void text_prepare(StreamingDecoder *decoder);
static bool text_decode(StreamingDecoder *decoder, const StreamingRecord *record,
						Datum *values, bool *isnull);
static void decode_line(StreamingDecoder *decoder, const StreamingRecord *record,
						Datum *values, bool *isnull);

const StreamingFormatRoutine streaming_format_text = {
	.name = "text",
	.empty_records = true,
	.begin = text_begin,
	.split = text_split,
	.prepare = text_prepare,
	.decode = text_decode
};

static void
text_begin(StreamingDecoder *decoder)
{
	TextState  *state = palloc0(sizeof(TextState));

	state->whole_line = streaming_text_takes_lines(decoder->stream);
	streaming_copy_split_rule(decoder->stream, &state->rule);
	decoder->state = state;
}

bool
streaming_text_takes_lines(const StreamingStream *stream)
{
	int			ncolumns = 0;

	for (int i = 0; i < stream->tupdesc->natts; i++)
		if (!stream->columns[i].dropped && stream->columns[i].metadata == STREAMING_META_NONE &&
			TupleDescAttr(stream->tupdesc, i)->attgenerated == '\0')
			ncolumns++;
	return ncolumns == 1 &&
		streaming_copy_option(stream, "delimiter") == NULL &&
		streaming_copy_option(stream, "null") == NULL;
}

static size_t
text_split(StreamingDecoder *decoder, const char *data, size_t length,
		   bool eof, size_t *scanned, size_t *record_length)
{
	TextState  *state = decoder->state;

	if (state->whole_line)
		return streaming_split_line(data, length, eof, scanned, record_length);
	return streaming_split_text(&state->rule, data, length, eof, scanned, record_length);
}

static void
text_prepare(StreamingDecoder *decoder)
{
	TextState  *state = decoder->state;

	state->columns = streaming_copy_columns(decoder, &state->ncolumns);
	if (!state->whole_line)
		state->reader = streaming_copy_reader_open(decoder->stream, false);
}

static bool
text_decode(StreamingDecoder *decoder, const StreamingRecord *record,
			Datum *values, bool *isnull)
{
	TextState  *state = decoder->state;

	if (state->whole_line)
		decode_line(decoder, record, values, isnull);
	else
		streaming_copy_decode(decoder, state->reader, state->columns, state->ncolumns,
							  record, values, isnull);
	return true;
}

static void
decode_line(StreamingDecoder *decoder, const StreamingRecord *record,
			Datum *values, bool *isnull)
{
	TextState  *state = decoder->state;
	StreamingCopyColumn *column = &state->columns[0];
	char	   *line;

	if (column->converter == NULL)
		return;
	decoder->column = column->attnum;
	if (!bms_is_member(column->attnum, decoder->failed))
	{
		if (record->payload == NULL)
			streaming_convert_null(column->converter);
		else
		{
			line = pg_any_to_server(record->payload, record->length, state->rule.encoding);
			values[column->attnum - 1] =
				streaming_convert(column->converter, STREAMING_TOKEN_TEXT, line,
								  line == record->payload ? record->length : strlen(line));
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
}
