/*
 * format_csv.c
 *		A record is one line of COPY's CSV format; fields by position.
 *
 * Options are COPY's.  With header, the first record of each file is none:
 * it is passed over, or (match) must hold the names of the columns.  Where it
 * does not, it is rejected, and so are the file's other records: they would
 * get into the wrong columns.  A reader that starts in the middle of a file
 * may pass the header again to be sure of that; it is never a row.
 */
#include "postgres.h"

#include "streaming.h"

#include "format/copy_record.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

typedef enum CsvHeader
{
	CSV_HEADER_NONE,
	CSV_HEADER_SKIP,
	CSV_HEADER_MATCH
} CsvHeader;

typedef struct CsvState
{
	StreamingSplitRule rule;
	bool		rule_known;		/* how lines end in the file being split */
	CsvHeader	header;
	int64		bad_file;		/* whose header does not match; -1: none */
	StreamingCopyReader *reader;
	StreamingCopyColumn *columns;
	int			ncolumns;
} CsvState;

static void csv_begin(StreamingDecoder *decoder);
static void csv_begin_file(StreamingDecoder *decoder);
static size_t csv_split(StreamingDecoder *decoder, const char *data, size_t length,
						bool eof, size_t *scanned, size_t *record_length);
static void csv_prepare(StreamingDecoder *decoder);
static bool csv_decode(StreamingDecoder *decoder, const StreamingRecord *record,
					   Datum *values, bool *isnull);
static void match_header(StreamingDecoder *decoder, const StreamingRecord *record);
static CsvHeader header_option(const char *value);

const StreamingFormatRoutine streaming_format_csv = {
	.name = "csv",
	.empty_records = true,
	.begin = csv_begin,
	.begin_file = csv_begin_file,
	.split = csv_split,
	.prepare = csv_prepare,
	.decode = csv_decode
};

static void
csv_begin(StreamingDecoder *decoder)
{
	CsvState   *state = palloc0(sizeof(CsvState));

	streaming_copy_split_rule(decoder->stream, &state->rule);
	state->header = header_option(streaming_copy_option(decoder->stream, "header"));
	state->bad_file = -1;
	decoder->utf8 = state->rule.encoding == PG_UTF8;
	decoder->state = state;
}

static void
csv_begin_file(StreamingDecoder *decoder)
{
	CsvState   *state = decoder->state;

	state->rule_known = false;
}

static size_t
csv_split(StreamingDecoder *decoder, const char *data, size_t length,
		  bool eof, size_t *scanned, size_t *record_length)
{
	CsvState   *state = decoder->state;

	if (!state->rule_known &&
		!streaming_split_find_cr(&state->rule, true, data, length, eof, &state->rule.cr))
		return 0;
	state->rule_known = true;
	return streaming_split_csv(&state->rule, data, length, eof, scanned, record_length);
}

static void
csv_prepare(StreamingDecoder *decoder)
{
	CsvState   *state = decoder->state;

	state->columns = streaming_copy_columns(decoder, &state->ncolumns);
	state->reader = streaming_copy_reader_open(decoder->stream, true);
}

static bool
csv_decode(StreamingDecoder *decoder, const StreamingRecord *record,
		   Datum *values, bool *isnull)
{
	CsvState   *state = decoder->state;

	/* Only records of files have a path. */
	if (state->header != CSV_HEADER_NONE && record->path != NULL)
	{
		if ((record->offset & PG_UINT32_MAX) == 0)
		{
			if (state->header == CSV_HEADER_MATCH)
				match_header(decoder, record);
			return false;
		}
		if (state->bad_file >= 0 && record->offset >> 32 == state->bad_file)
			ereport(ERROR,
					(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					 errmsg("header line of the file does not match the columns")));
	}

	streaming_copy_decode(decoder, state->reader, state->columns, state->ncolumns,
						  record, values, isnull);
	return true;
}

/* As COPY does it. */
static void
match_header(StreamingDecoder *decoder, const StreamingRecord *record)
{
	CsvState   *state = decoder->state;
	char	  **fields;
	int			nfields;

	/* Until it has been read to its end. */
	state->bad_file = record->offset >> 32;

	nfields = streaming_copy_reader_read(state->reader, record->payload, record->length, &fields);
	if (nfields != state->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("wrong number of fields in header line: got %d, expected %d",
						nfields, state->ncolumns)));
	for (int i = 0; i < nfields; i++)
	{
		const char *name = decoder->stream->columns[state->columns[i].attnum - 1].field;

		if (fields[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					 errmsg("column name mismatch in header line field %d: got null value (\"%s\"), expected \"%s\"",
							i + 1, "", name)));
		if (strcmp(fields[i], name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					 errmsg("column name mismatch in header line field %d: got \"%s\", expected \"%s\"",
							i + 1, fields[i], name)));
	}
	state->bad_file = -1;
}

bool
streaming_csv_has_header(const StreamingStream *stream)
{
	return header_option(streaming_copy_option(stream, "header")) != CSV_HEADER_NONE;
}

static CsvHeader
header_option(const char *value)
{
	bool		skip;

	if (value == NULL)
		return CSV_HEADER_NONE;
	if (pg_strcasecmp(value, "match") == 0)
		return CSV_HEADER_MATCH;
	if (!parse_bool(value, &skip))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s requires a Boolean value or \"match\"", "header")));
	return skip ? CSV_HEADER_SKIP : CSV_HEADER_NONE;
}
