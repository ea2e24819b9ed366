/*
 * key.h
 *		Columns that come from the key of a message, as the option "key_format" says.
 */
#ifndef STREAMING_KEY_H
#define STREAMING_KEY_H

#include "format/format.h"

/* The one field of what streaming_avro_key_schema makes of a key's schema. */
#define STREAMING_KEY_ROOT	"key"

typedef struct StreamingKeyDecoder StreamingKeyDecoder;

/* in key.c */

/*
 * Makes what decoder needs for its columns that are read from keys; NULL: there is none.
 * In CurrentMemoryContext, which must live as long as the decoder.  Reads catalogs.
 */
extern StreamingKeyDecoder *streaming_key_decoder_open(StreamingDecoder *decoder);

/*
 * Sets these columns, but those in the decoder's failed, and checks them.  A record without
 * a key has NULL in them.  Errors as the format's decode; then it is still at work, and
 * the column is that which the error is of, 0: the key as a whole.  A rest follows that.
 */
extern void streaming_decode_key(StreamingKeyDecoder *key, const StreamingRecord *record,
								 Datum *values, bool *isnull);
extern bool streaming_key_is_at_work(const StreamingKeyDecoder *key);
extern void streaming_key_rest(StreamingKeyDecoder *key);
extern AttrNumber streaming_key_failed(const StreamingKeyDecoder *key);

/*
 * The columns of a stream of keys (stream_key.c) that its decoder reads: those at attnos
 * remain, with paths as the format has them.
 */
extern void streaming_key_columns(StreamingStream *stream, const Bitmapset *attnos);

#endif							/* STREAMING_KEY_H */
