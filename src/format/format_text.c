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
	bool		rule_known;		/* how lines end in the file being split */
	StreamingCopyReader *reader;	/* unless whole_line */
	StreamingCopyColumn *columns;
	int			ncolumns;
} TextState;

static void text_begin(StreamingDecoder *decoder);
static void text_begin_file(StreamingDecoder *decoder);
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
	.begin_file = text_begin_file,
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
	decoder->utf8 = state->rule.encoding == PG_UTF8;
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

static void
text_begin_file(StreamingDecoder *decoder)
{
	TextState  *state = decoder->state;

	state->rule_known = false;
}

static size_t
text_split(StreamingDecoder *decoder, const char *data, size_t length,
		   bool eof, size_t *scanned, size_t *record_length)
{
	TextState  *state = decoder->state;

	if (state->whole_line)
		return streaming_split_line(data, length, eof, scanned, record_length);
	if (!state->rule_known &&
		!streaming_split_find_cr(&state->rule, false, data, length, eof, &state->rule.cr))
		return 0;
	state->rule_known = true;
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
			size_t		length = record->length;

			line = pg_any_to_server(record->payload, record->length, state->rule.encoding);
			if (line != record->payload)
				length = strlen(line);
			if (column->needed)
			{
				values[column->attnum - 1] =
					streaming_convert(column->converter, STREAMING_TOKEN_TEXT, line, length);
				isnull[column->attnum - 1] = false;
			}
			else
				streaming_check(column->converter, STREAMING_TOKEN_TEXT, line, length);
		}
	}
	decoder->column = 0;
}
