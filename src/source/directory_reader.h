/*
 * directory_reader.h
 *		One file after the other, cut into records.
 */
#ifndef STREAMING_DIRECTORY_READER_H
#define STREAMING_DIRECTORY_READER_H

#include "source/source.h"

/*
 * A longer record is no record: its beginning is delivered with a framing
 * error, and reading goes on at the next line.  It bounds the buffer.
 */
#define STREAMING_RECORD_LIMIT	((size_t) 256 * 1024 * 1024)

typedef struct StreamingReader StreamingReader;

typedef enum StreamingReaderResult
{
	STREAMING_READER_RECORD,	/* *record is filled */
	STREAMING_READER_FULL,		/* no room behind the records delivered: begin
								 * anew, with fresh true */
	STREAMING_READER_END,		/* of the file */
	STREAMING_READER_TROUBLE	/* errno and trouble say what; close the file */
} StreamingReaderResult;

/* in directory_reader.c */

/* Makes a reader in CurrentMemoryContext. */
extern StreamingReader *streaming_reader_open(StreamingStream *stream);

/* Before the first file: the columns that are wanted, as for streaming_decoder_open. */
extern void streaming_reader_need(StreamingReader *reader, Bitmapset *needed);

/* Likewise: of records that do not meet the conditions some may be left out. */
struct StreamingConditions;
extern void streaming_reader_filter(StreamingReader *reader, struct StreamingConditions *conditions);

/* Frees what a reset of the memory context would not; may not ereport. */
extern void streaming_reader_close(StreamingReader *reader);

/*
 * Begins a file, behind its first skip records (with CSV's header 'match' the
 * header is delivered all the same, for the decoder to check it).  path must
 * live as long as its records are looked at; records delivered before stay
 * valid.  Returns false, with errno set, if the file cannot be opened; trouble
 * is then the message (errno 0: a compression that is not built in).  *st is
 * set to what the file is now.
 */
struct stat;
extern bool streaming_reader_begin(StreamingReader *reader, const char *path, int64 skip,
								   struct stat *st);

/*
 * The next record of the file.  Sets all of it but offset, which begins at 0
 * in each file and is a record number only.  Blank records are counted but not
 * delivered, unless the format takes them.  fresh: nobody looks at records
 * delivered before any more, so that the buffer may move.
 */
extern StreamingReaderResult streaming_reader_next(StreamingReader *reader,
												   StreamingRecord *record, bool fresh);

/* Number of records of the file that are behind us, skipped and blank ones too. */
extern int64 streaming_reader_count(const StreamingReader *reader);

/* Of a file in a columnar format, after begin: what its rows are made of, or NULL. */
struct StreamingArrowType;
extern const struct StreamingArrowType *streaming_reader_type(const StreamingReader *reader);

/* Leaves the file.  Records delivered stay valid. */
extern void streaming_reader_end(StreamingReader *reader);

/* Between files, when nobody looks at records: gives back a buffer that grew. */
extern void streaming_reader_trim(StreamingReader *reader);

/* After false or STREAMING_READER_TROUBLE; valid until the next call. */
extern const char *streaming_reader_trouble(const StreamingReader *reader);

#endif							/* STREAMING_DIRECTORY_READER_H */
