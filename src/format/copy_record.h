/*
 * copy_record.h
 *		COPY's parser, fed one record at a time; what csv and text share.
 */
#ifndef STREAMING_COPY_RECORD_H
#define STREAMING_COPY_RECORD_H

#include "format/format.h"
#include "format/split.h"

typedef struct StreamingCopyReader StreamingCopyReader;

/* A column of the record, by position. */
typedef struct StreamingCopyColumn
{
	AttrNumber	attnum;
	StreamingConverter *converter;	/* NULL: it does not count */
	bool		needed;			/* else the value is only checked */
	bool		unread_text;	/* and is good */
} StreamingCopyColumn;

/* Value of an option of stream->copy_options; NULL: not given. */
extern const char *streaming_copy_option(const StreamingStream *stream, const char *name);

/* The encoding of the records: option encoding, or the database's. */
extern int	streaming_copy_encoding(const StreamingStream *stream);

/* Quotes and encoding, from the stream's options; needs no transaction. */
extern void streaming_copy_split_rule(const StreamingStream *stream, StreamingSplitRule *rule);

/*
 * Makes a reader in CurrentMemoryContext, in a transaction.  The stream must
 * outlive it.
 */
extern StreamingCopyReader *streaming_copy_reader_open(StreamingStream *stream, bool csv);

/*
 * Splits one record, with or without its terminator, into fields, in the
 * database's encoding and verified, NULL for NULL.  *fields is valid until the
 * next call.  Errors are COPY's; the next call copes with them.
 */
extern int	streaming_copy_reader_read(StreamingCopyReader *reader,
									   const char *data, size_t length, char ***fields);

/*
 * The columns that a record consists of, in their order: those that are
 * neither dropped nor metadata, nor generated.
 */
extern StreamingCopyColumn *streaming_copy_columns(StreamingDecoder *decoder, int *ncolumns);

/* Reads a record into its columns; the decode of both formats. */
extern void streaming_copy_decode(StreamingDecoder *decoder, StreamingCopyReader *reader,
								  const StreamingCopyColumn *columns, int ncolumns,
								  const StreamingRecord *record, Datum *values, bool *isnull);

#endif							/* STREAMING_COPY_RECORD_H */
