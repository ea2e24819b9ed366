/*
 * change.h
 *		Records of a stream whose rows change: what each does, and to which row.
 */
#ifndef STREAMING_CHANGE_H
#define STREAMING_CHANGE_H

#include "format/format.h"

typedef struct StreamingChangeDecoder StreamingChangeDecoder;

/*
 * Makes what decoder, of a stream with change_attno, needs beyond its format.  In
 * CurrentMemoryContext, which must live as long as the decoder.  Reads catalogs.
 */
extern StreamingChangeDecoder *streaming_change_decoder_open(StreamingDecoder *decoder);

/*
 * Decodes a record as the format's decode does, and says what it does.  Of
 * STREAMING_CHANGE_DELETE only columns of the key are set, as far as the record has
 * them; of _TRUNCATE and _NONE none.  Columns with metadata are the caller's matter.
 */
extern StreamingChange streaming_decode_change(StreamingChangeDecoder *change,
											   const StreamingRecord *record,
											   Datum *values, bool *isnull);

/*
 * What Debezium writes in the place of a text that the database has not logged, since an
 * update left it as it was.  Raises an error if text is that.
 */
#define STREAMING_NOT_SENT	"__debezium_unavailable_value"

static inline void
streaming_check_sent(const char *text, size_t length)
{
	if (length == sizeof(STREAMING_NOT_SENT) - 1 && memcmp(text, STREAMING_NOT_SENT, length) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("value is not in the change event"),
				 errhint("The table's REPLICA IDENTITY must be FULL for values that are large and do not change.")));
}

#endif							/* STREAMING_CHANGE_H */
