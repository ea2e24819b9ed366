/*
 * outbox.h
 *		Messages on their way out of the database.
 *
 * A sink outside PostgreSQL (a Kafka topic, a directory) is written in two
 * steps.  Whoever writes to it, a batch of a view or an INSERT, puts encoded
 * messages into the outbox, a logged table, in its own transaction; the stream's
 * delivery worker takes out what is committed and hands it to the place
 * (delivery.h).
 *
 * Messages leave in the order in which they were put, transaction by
 * transaction, a transaction that has waited for a lock after the one that held it
 * until its commit (outbox_table.h).
 */
#ifndef STREAMING_OUTBOX_H
#define STREAMING_OUTBOX_H

#include "catalog/stream.h"

/* Flags of a message. */
#define STREAMING_MESSAGE_COMPLETE	0x01	/* no message itself: the messages
											 * after it, up to the next such one
											 * or the end of the transaction, are
											 * the whole result, and take the
											 * place of all that was delivered
											 * before */

/*
 * A message, or a record of a file.  Pointers are the owner's; whoever is handed
 * one copies what it keeps.  All zero but partition is a valid message.
 */
typedef struct StreamingMessage
{
	const char *payload;		/* NULL: none (Kafka: a tombstone) */
	int			payload_length;
	const char *key;			/* NULL: none */
	int			key_length;
	int64		timestamp;		/* ms since 1970; 0: the time of delivery */
	int32		partition;		/* -1: by the key, or any */
	const char *headers;		/* name, '\0', length as int32 (-1: NULL), value;
								 * and so on; not aligned.  NULL: none */
	int			headers_length;
	int			flags;
} StreamingMessage;

typedef struct StreamingOutbox StreamingOutbox;
typedef struct StreamingStreamWriter StreamingStreamWriter;

/* in outbox.c */

/*
 * Opens the outbox of stream (locked by the caller) for the current transaction,
 * in CurrentMemoryContext.  Whoever may write to the stream is the caller's
 * business: the outbox is written with the rights of the extension.
 */
extern StreamingOutbox *streaming_outbox_open(Oid stream);

/* Copies message.  What is put is in the table at the latest after close. */
extern void streaming_outbox_put(StreamingOutbox *outbox, const StreamingMessage *message);

/* Not needed after an error. */
extern void streaming_outbox_close(StreamingOutbox *outbox);

/*
 * Is more waiting to be delivered to stream than streaming.outbox_size?  Shared
 * memory only.
 */
extern bool streaming_outbox_full(Oid stream);

/* in stream_writer.c */

/*
 * Rows of a stream -> messages in its outbox: payload and key by the stream's
 * encoder, the rest from its metadata columns.  Lives in CurrentMemoryContext;
 * stream must live as long.
 */
extern StreamingStreamWriter *streaming_stream_writer_open(StreamingStream *stream);

/* values and isnull: of all columns of stream->tupdesc. */
extern void streaming_stream_writer_put(StreamingStreamWriter *writer,
										Datum *values, bool *isnull);

/* A message with the row's key and no payload. */
extern void streaming_stream_writer_tombstone(StreamingStreamWriter *writer,
											  Datum *values, bool *isnull);

/* The rows that follow are the whole result (STREAMING_MESSAGE_COMPLETE). */
extern void streaming_stream_writer_complete(StreamingStreamWriter *writer);

extern void streaming_stream_writer_close(StreamingStreamWriter *writer);

#endif							/* STREAMING_OUTBOX_H */
