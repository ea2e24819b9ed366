/*
 * record.h
 *		A record, between its source and its format.
 */
#ifndef STREAMING_RECORD_H
#define STREAMING_RECORD_H

/*
 * One record as its source delivers it: it fills the whole, and leaves zero what
 * it has nothing for.  Pointers belong to the source and are valid until its next
 * poll or close.  payload may be NULL (a Kafka tombstone).  At least
 * STREAMING_RECORD_PADDING readable bytes follow payload + length only if padded is
 * true (simdjson wants them).
 */
#define STREAMING_RECORD_PADDING 64

typedef struct StreamingRecord StreamingRecord;
typedef struct StreamingBatch StreamingBatch;

struct StreamingRecord
{
	int32		partition;
	int64		offset;
	const char *payload;
	size_t		length;
	bool		padded;
	const char *key;			/* NULL: none */
	size_t		key_length;
	int64		timestamp_ms;	/* of the message, Unix epoch; -1: none */
	const char *path;			/* directory: of the file; of one of many topics:
								 * its name, a colon and the partition in it */
	int64		file_size;		/* likewise, in bytes */
	int64		file_modified;	/* likewise, µs since the Unix epoch */
	const StreamingBatch *batch;	/* columnar files (columnar.h): the record is a row */
	int64		row;			/* of it, and has no payload */
	void	   *headers;		/* source's own; NULL: none */

	/* If there are any: as the text of a JSON object, palloc'd, or NULL. */
	char	   *(*headers_json) (const StreamingRecord *record);

	const char *framing_error;	/* not NULL: the source could not tell the
								 * record's bounds or read it; payload holds
								 * what there is, to be rejected */
};

#endif							/* STREAMING_RECORD_H */
