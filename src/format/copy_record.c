/*
 * copy_record.c
 *		COPY's parser, fed one record at a time; what csv and text share.
 *
 * The parser is the server's own, so that quoting, NULLs, encodings and
 * messages are COPY's.  It reads from a callback, which has no argument: hence
 * the one static variable here.  A record goes in with a \n behind it, and the
 * parser has taken all of it when it returns, since it looks ahead only behind
 * a backslash or \r.  For that it must know that lines end in \n, and not
 * guess it from the first record: a new parser gets an empty line first.
 *
 * After an error the parser's state is undefined, and a new one is made.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/relation.h"
#include "commands/copy.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "format/copy_record.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"

struct StreamingCopyReader
{
	StreamingStream *stream;
	bool		csv;
	StreamingSplitRule rule;
	MemoryContext context;		/* of the parser */
	CopyFromState parser;		/* NULL: to be made */
	bool		reading;		/* a call is under way, or did not return */
};

/* What the parser reads next. */
static struct
{
	const char *data;
	size_t		length;
	bool		newline;		/* and a \n after that */
	bool		ended;			/* has been told that nothing follows */
}			copy_input;

static void make_parser(StreamingCopyReader *reader);
static int	read_input(void *buffer, int minread, int maxread);
static size_t one_record(StreamingCopyReader *reader, const char *data, size_t length);
static bool ends_in_backslash(const StreamingSplitRule *rule, const char *data, size_t length);
pg_noreturn static void report_mark(void);

const char *
streaming_copy_option(const StreamingStream *stream, const char *name)
{
	ListCell   *lc;

	foreach(lc, stream->copy_options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

int
streaming_copy_encoding(const StreamingStream *stream)
{
	const char *name = streaming_copy_option(stream, "encoding");
	int			encoding = name == NULL ? GetDatabaseEncoding() : pg_char_to_encoding(name);

	if (encoding < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument to option \"%s\" must be a valid encoding name", "encoding")));
	return encoding;
}

void
streaming_copy_split_rule(const StreamingStream *stream, StreamingSplitRule *rule)
{
	const char *quote = streaming_copy_option(stream, "quote");
	const char *escape = streaming_copy_option(stream, "escape");

	memset(rule, 0, sizeof(StreamingSplitRule));
	rule->quote = quote == NULL ? '"' : quote[0];
	rule->escape = escape == NULL ? rule->quote : escape[0];
	rule->encoding = streaming_copy_encoding(stream);
	if (!PG_VALID_BE_ENCODING(rule->encoding))
		rule->char_length = pg_encoding_mblen;
}

StreamingCopyReader *
streaming_copy_reader_open(StreamingStream *stream, bool csv)
{
	StreamingCopyReader *reader = palloc0(sizeof(StreamingCopyReader));

	reader->stream = stream;
	reader->csv = csv;
	streaming_copy_split_rule(stream, &reader->rule);
	reader->context = AllocSetContextCreate(CurrentMemoryContext, "streaming copy reader",
											ALLOCSET_DEFAULT_SIZES);
	make_parser(reader);
	return reader;
}

int
streaming_copy_reader_read(StreamingCopyReader *reader,
						   const char *data, size_t length, char ***fields)
{
	int			nfields = 0;
	bool		found;

	/* A message can have a terminator, or contain one where it must not. */
	if (memchr(data, '\n', length) != NULL)
		length = one_record(reader, data, length);

	/* Before 18, COPY drops the mark if it ends a line, and reads on. */
	if (!reader->csv && length > 0 && data[length - 1] == '.' &&
		ends_in_backslash(&reader->rule, data, length - 1))
		report_mark();

	if (reader->reading || reader->parser == NULL)
		make_parser(reader);
	reader->reading = true;
	copy_input.data = data;
	copy_input.length = length;
	copy_input.ended = false;

	/* In text format, a \n must not become part of a last, lone backslash. */
	copy_input.newline = reader->csv || !ends_in_backslash(&reader->rule, data, length);
	found = NextCopyFromRawFields(reader->parser, fields, &nfields);

	if (!found)
		report_mark();

	/* A parser that has seen the end reads no more. */
	reader->reading = copy_input.ended;
	return nfields;
}

StreamingCopyColumn *
streaming_copy_columns(StreamingDecoder *decoder, int *ncolumns)
{
	StreamingStream *stream = decoder->stream;
	int			natts = stream->tupdesc->natts;
	StreamingCopyColumn *columns = palloc(sizeof(StreamingCopyColumn) * Max(natts, 1));
	int			n = 0;

	for (int i = 0; i < natts; i++)
	{
		const StreamingColumn *column = &stream->columns[i];

		if (column->dropped || column->metadata != STREAMING_META_NONE ||
			TupleDescAttr(stream->tupdesc, i)->attgenerated != '\0')
			continue;
		columns[n].attnum = i + 1;
		columns[n].converter = streaming_decoder_counts(decoder, i + 1) ?
			streaming_converter_open(column) : NULL;
		columns[n].needed = streaming_decoder_wants(decoder, i + 1);
		columns[n].unread_text = !columns[n].needed && columns[n].converter != NULL &&
			streaming_converter_takes_text(columns[n].converter);
		n++;
	}
	*ncolumns = n;
	return columns;
}

void
streaming_copy_decode(StreamingDecoder *decoder, StreamingCopyReader *reader,
					  const StreamingCopyColumn *columns, int ncolumns,
					  const StreamingRecord *record, Datum *values, bool *isnull)
{
	char	  **fields = NULL;

	if (record->payload != NULL)
	{
		int			nfields = streaming_copy_reader_read(reader, record->payload, record->length,
														 &fields);

		if (nfields > ncolumns)
			ereport(ERROR,
					(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					 errmsg("extra data after last expected column")));
		if (nfields < ncolumns)
			ereport(ERROR,
					(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
					 errmsg("missing data for column \"%s\"",
							decoder->stream->columns[columns[nfields].attnum - 1].name)));
	}

	for (int i = 0; i < ncolumns; i++)
	{
		const StreamingCopyColumn *column = &columns[i];

		if (column->converter == NULL || column->unread_text)
			continue;
		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (fields == NULL || fields[i] == NULL)
			streaming_convert_null(column->converter);
		else if (!column->needed)
			streaming_check(column->converter, STREAMING_TOKEN_TEXT, fields[i], strlen(fields[i]));
		else
		{
			values[column->attnum - 1] = streaming_convert(column->converter,
														   STREAMING_TOKEN_TEXT,
														   fields[i], strlen(fields[i]));
			isnull[column->attnum - 1] = false;
		}
	}
	decoder->column = 0;
}

static void
make_parser(StreamingCopyReader *reader)
{
	MemoryContext old;
	List	   *options = NIL;
	Relation	rel;
	ListCell   *lc;
	char	  **fields;
	int			nfields;

	reader->parser = NULL;
	MemoryContextReset(reader->context);
	old = MemoryContextSwitchTo(reader->context);

	options = lappend(options, makeDefElem("format", (Node *) makeString(reader->csv ? "csv" : "text"), -1));
	options = lappend(options, makeDefElem("encoding",
										   (Node *) makeString(pstrdup(pg_encoding_to_char(reader->rule.encoding))),
										   -1));
	foreach(lc, reader->stream->copy_options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "encoding") != 0 && strcmp(option->defname, "header") != 0 &&
			strcmp(option->defname, "format") != 0)
			options = lappend(options, option);
	}

	/*
	 * The parser takes defaults and input functions of all columns from the
	 * relation, but we ask it for raw fields only, which does not look at the
	 * relation again.
	 */
	rel = relation_open(reader->stream->relid, AccessShareLock);
	reader->parser = BeginCopyFrom(NULL, rel, NULL, NULL, false, read_input, NIL, options);
	relation_close(rel, AccessShareLock);

	/* We are no COPY that runs. */
	pgstat_progress_end_command();

	reader->reading = true;
	copy_input.data = "";
	copy_input.length = 0;
	copy_input.newline = true;
	copy_input.ended = false;
	if (!NextCopyFromRawFields(reader->parser, &fields, &nfields))
		elog(ERROR, "COPY's parser takes no empty line");
	reader->reading = false;
	MemoryContextSwitchTo(old);
}

/* The parser's source.  Returning 0 means the end of the data. */
static int
read_input(void *buffer, int minread, int maxread)
{
	size_t		n = Min(copy_input.length, (size_t) maxread);

	if (n == 0 && copy_input.newline)
	{
		*(char *) buffer = '\n';
		copy_input.newline = false;
		return 1;
	}
	if (n == 0)
	{
		copy_input.ended = true;
		return 0;
	}
	memcpy(buffer, copy_input.data, n);
	copy_input.data += n;
	copy_input.length -= n;
	if (copy_input.length == 0 && copy_input.newline && n < (size_t) maxread)
	{
		((char *) buffer)[n++] = '\n';
		copy_input.newline = false;
	}
	return (int) n;
}

/* Length of the record without its terminator; fails if there are several. */
static size_t
one_record(StreamingCopyReader *reader, const char *data, size_t length)
{
	size_t		scanned = 0;
	size_t		record_length;
	size_t		taken;

	taken = reader->csv ?
		streaming_split_csv(&reader->rule, data, length, true, &scanned, &record_length) :
		streaming_split_text(&reader->rule, data, length, true, &scanned, &record_length);
	if (taken < length)
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("record has more than one line")));
	return record_length;
}

/* Does the line end in a backslash that is not escaped itself? */
static bool
ends_in_backslash(const StreamingSplitRule *rule, const char *data, size_t length)
{
	bool		result = false;

	if (length == 0 || data[length - 1] != '\\')
		return false;
	if (rule->char_length == NULL)
	{
		for (; length > 0 && data[length - 1] == '\\'; length--)
			result = !result;
		return result;
	}

	/* It may be half a character, also of one that is escaped. */
	for (size_t at = 0; at < length;)
	{
		result = data[at] == '\\' && !result;
		if ((data[at] & 0x80) && length - at >= 2)
			at += rule->char_length(rule->encoding, data + at);
		else
			at++;
	}
	return result;
}

/* COPY's end-of-data mark would end the stream, silently. */
static void
report_mark(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			 errmsg("end-of-copy marker is not allowed in a stream")));
}
