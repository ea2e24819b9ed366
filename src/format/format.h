/*
 * format.h
 *		Bytes <-> rows: the interface of a record format.
 */
#ifndef STREAMING_FORMAT_H
#define STREAMING_FORMAT_H

#include "lib/stringinfo.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "catalog/stream.h"
#include "format/record.h"

typedef struct StreamingDecoder StreamingDecoder;

typedef struct StreamingFormatRoutine
{
	const char *name;			/* value of the option "format" */

	/*
	 * Is an empty line a record (of one empty value)?  Otherwise the source
	 * passes over what split reports with *record_length 0.
	 */
	bool		empty_records;

	/*
	 * Finds the end of the record that begins at data.  Returns the number of
	 * bytes up to and with its terminator, or 0 if more bytes are needed (at
	 * eof: never 0 for length > 0; the rest is the record).  *record_length
	 * is the length without terminator; 0 if the record is blank (JSON: only
	 * white space).  *scanned is the format's own note on how far it has
	 * looked: 0 at the start of a record, and not touched otherwise between
	 * calls that pass the same record with more bytes.  Never fails, and
	 * needs no transaction.
	 */
	size_t		(*split) (StreamingDecoder *decoder, const char *data, size_t length,
						  bool eof, size_t *scanned, size_t *record_length);

	/*
	 * Makes what split needs of the format's state, from decoder->stream.
	 * Called once, by streaming_decoder_open; needs no transaction.  May be
	 * NULL.
	 */
	void		(*begin) (StreamingDecoder *decoder);

	/*
	 * The next call of split is for the beginning of a file.  May be NULL.
	 */
	void		(*begin_file) (StreamingDecoder *decoder);

	/*
	 * Makes what decode needs, in decoder->context.  Called before the first
	 * decode, in a transaction, and again if it failed.
	 */
	void		(*prepare) (StreamingDecoder *decoder);

	/*
	 * Fills the columns that are needed and come from the record's payload,
	 * but those in decoder->failed, and checks those that count
	 * (streaming_decoder_counts); values and isnull of all columns are 0 and
	 * true before.  Values are allocated in CurrentMemoryContext or point
	 * into the payload.  Keeps decoder->column.  Returns false if the record
	 * is none (the header of a CSV file).  A field that is absent, and every
	 * field of a record without payload (a Kafka tombstone), is NULL.
	 * ereports an error of class 22 if the record is malformed; the next call
	 * must cope with what that one left behind.
	 */
	bool		(*decode) (StreamingDecoder *decoder, const StreamingRecord *record,
						   Datum *values, bool *isnull);

	/*
	 * What a record that has no payload says, as text in CurrentMemoryContext, for
	 * streaming.rejected_rows.  Errors as decode.  May be NULL.
	 */
	char	   *(*show) (StreamingDecoder *decoder, const StreamingRecord *record, size_t *length);

	/* Frees what a memory context reset would not.  May be NULL. */
	void		(*end) (StreamingDecoder *decoder);
} StreamingFormatRoutine;

struct StreamingDecoder
{
	const StreamingFormatRoutine *routine;
	StreamingStream *stream;
	Bitmapset  *needed;			/* attribute numbers wanted; NULL: all */
	MemoryContext context;		/* what lives as long as the decoder */
	void	   *state;			/* the format's own */

	bool		utf8;			/* records are in UTF-8 */
	AttrNumber	column;			/* whose value is being converted; 0: none */
	Bitmapset  *failed;			/* attribute numbers that are to stay NULL in
								 * this record (on_error 'null') */
	Bitmapset  *absent;			/* attribute numbers of columns whose field no
								 * record has had yet, also those with null for
								 * it; empty where fields have no names */

	/* private to decoder.c follows */
	struct StreamingDecoderPrivate *private_data;
};

/* Does somebody want column attnum, a field of the record? */
static inline bool
streaming_decoder_wants(const StreamingDecoder *decoder, AttrNumber attnum)
{
	const StreamingColumn *column = &decoder->stream->columns[attnum - 1];

	return !column->dropped && column->metadata == STREAMING_META_NONE &&
		(decoder->needed == NULL || bms_is_member(attnum, decoder->needed));
}

/*
 * Must column attnum, a field of the record, have a good value for the record
 * to be a row?  That does not depend on who reads which columns.
 */
static inline bool
streaming_decoder_counts(const StreamingDecoder *decoder, AttrNumber attnum)
{
	const StreamingColumn *column = &decoder->stream->columns[attnum - 1];

	return !column->dropped && column->metadata == STREAMING_META_NONE &&
		(decoder->stream->on_error != STREAMING_ON_ERROR_NULL ||
		 streaming_decoder_wants(decoder, attnum));
}

/* UTF-8's byte order mark, at the beginning of a file or message, is no data. */
#define STREAMING_MARK_LENGTH 3

static inline bool
streaming_begins_with_mark(const char *data, size_t length)
{
	return length >= STREAMING_MARK_LENGTH &&
		memcmp(data, "\xef\xbb\xbf", STREAMING_MARK_LENGTH) == 0;
}

/* A record that could not be decoded.  In the caller's context. */
typedef struct StreamingReject
{
	int32		partition;
	int64		offset;
	const char *payload;		/* the record's own */
	size_t		length;
	const char *path;			/* the record's own; of its file, or NULL */
	const char *key;			/* likewise, of its message, or NULL */
	size_t		key_length;
	int64		timestamp_ms;	/* as the record's */
	bool		whole;			/* payload is a record, which may be decoded again */
	const char *column;			/* the stream's; NULL: the record as a whole */
	int			sqlerrcode;
	char	   *message;		/* names the column, if there is one; short */
} StreamingReject;

/* in decoder.c */

/*
 * Makes a decoder in CurrentMemoryContext; it closes itself when the context
 * is reset.  Reads no catalog, so that a source can use it to split files.
 * needed: the columns somebody reads (1-based attribute numbers; a set that
 * has only the member 0 means none), others become NULL, though what is no value
 * of theirs makes a record a bad one, too; NULL means all.  The set and the
 * stream must outlive the decoder.
 */
extern StreamingDecoder *streaming_decoder_open(StreamingStream *stream, Bitmapset *needed);

/*
 * Decodes nrecords records.  Row i's values go to values + i * natts and
 * isnull likewise (allocated by the caller), result[i] tells whether record i
 * became a row.  For those that did not, *rejects (palloc'd array, in
 * CurrentMemoryContext) and *nrejects say why, in the order of the records;
 * the header of a CSV file is neither row nor reject.  Input functions and the
 * checks of domains run as the stream's owner (run_as.h).  Values live in
 * CurrentMemoryContext, which the caller resets per chunk, or point into the
 * records.
 *
 * Errors of class 22 and the like (data exceptions, constraint violations of
 * domains, malformed input of a type, a value too large for memory) reject the one record (on_error
 * 'reject'), make the field NULL ('null'), or are raised with the position in
 * the detail ('stop'); others (out of memory, cancel, admin shutdown) are
 * raised.  Must be called in a transaction.  A chunk is decoded in one
 * internal subtransaction, which takes no transaction id; an error rolls it
 * back, and the rest of the chunk goes on in another.
 */
extern void streaming_decode(StreamingDecoder *decoder,
							 const StreamingRecord *records, int nrecords,
							 Datum *values, bool *isnull, bool *result,
							 StreamingReject **rejects, int *nrejects);

/* Finds the routine by the value of the option "format"; NULL if unknown. */
extern const StreamingFormatRoutine *streaming_format_by_name(const char *name);

/* in convert.c: text or JSON token of one field -> Datum, fast for common types */
typedef struct StreamingConverter StreamingConverter;

typedef enum StreamingTokenKind
{
	STREAMING_TOKEN_TEXT,		/* CSV field, unescaped JSON string */
	STREAMING_TOKEN_NUMBER,		/* JSON number, as written */
	STREAMING_TOKEN_BOOL,		/* true or false */
	STREAMING_TOKEN_JSON		/* JSON object or array, as written; for a
								 * converter that takes JSON any value */
} StreamingTokenKind;

/* Makes a converter in CurrentMemoryContext.  Reads catalogs. */
extern StreamingConverter *streaming_converter_open(const StreamingColumn *column);

/* Is the type json or jsonb, so that strings should come as JSON text? */
extern bool streaming_converter_takes_json(const StreamingConverter *converter);

/*
 * Converts a token, which need not be NUL-terminated, is valid in the
 * database's encoding and has no NUL byte; a JSON token is known to be valid
 * JSON.  The value is allocated in CurrentMemoryContext.  Errors as the type's
 * input function; it may be used again after one.
 */
extern Datum streaming_convert(StreamingConverter *converter, StreamingTokenKind kind,
							   const char *token, size_t length);

/* Ditto a token in text, which is written anew for each; one that has grown is not kept so. */
extern Datum streaming_convert_text(StreamingConverter *converter, StreamingTokenKind kind,
									StringInfo text);

/*
 * Fails as streaming_convert does, but makes no value: for a column that nobody
 * reads.  Much cheaper where the spelling is a common one.
 */
extern void streaming_check(StreamingConverter *converter, StreamingTokenKind kind,
							const char *token, size_t length);

/* Is any text a value of the type, with nothing to check? */
extern bool streaming_converter_takes_text(const StreamingConverter *converter);

/* Is NULL a value of the type, with nothing to check? */
extern bool streaming_converter_takes_null(const StreamingConverter *converter);

/* Fails if the type is a domain that does not take NULL. */
extern void streaming_convert_null(StreamingConverter *converter);

/* in decoder.c: begins a format of which no mark of bytes is passed over */
extern void streaming_format_is_binary(StreamingDecoder *decoder);

/* in format_avro.c, format_csv.c, format_json.c, format_protobuf.c, format_text.c */
extern const StreamingFormatRoutine streaming_format_avro;
extern const StreamingFormatRoutine streaming_format_json;
extern const StreamingFormatRoutine streaming_format_csv;
extern const StreamingFormatRoutine streaming_format_protobuf;
extern const StreamingFormatRoutine streaming_format_text;

/*
 * Pieces of an Avro file, as its reader hands them to split and decode: what it is,
 * and its length, native, of 4 bytes.  In format_avro.c.
 */
#define STREAMING_AVRO_FRAME		5
#define STREAMING_AVRO_FRAME_SCHEMA	'S'
#define STREAMING_AVRO_FRAME_RECORD	'R'

/* Raises what a reader of JSON says of a record, data.  In format_json.c. */
struct StreamingJsonError;
pg_noreturn extern void streaming_json_report(const struct StreamingJsonError *error,
											  const char *data, size_t length);

/* Do files of a CSV stream begin with a line of names?  In format_csv.c. */
extern bool streaming_csv_has_header(const StreamingStream *stream);

/* Is each line of a text stream one value, as it is?  In format_text.c. */
extern bool streaming_text_takes_lines(const StreamingStream *stream);

#endif							/* STREAMING_FORMAT_H */
