/*
 * outbox_table.h
 *		The tables of the outbox and of deliveries, as the delivery worker and
 *		outbox.c see them.
 *
 * The order of the outbox is that in which transactions have come to their
 * commit: when all a transaction does is done, it writes down the end of the
 * write-ahead log (outbox_transactions.place).  Between that and the release of
 * its locks is its commit record; so who has waited for one of its locks has a
 * higher place, whichever of them began first and has the lower id.
 */
#ifndef STREAMING_OUTBOX_TABLE_H
#define STREAMING_OUTBOX_TABLE_H

#include "access/transam.h"
#include "access/xlogdefs.h"
#include "catalog/catalog_table.h"
#include "sink/outbox.h"

/* Columns of streaming_internal.outbox. */
enum
{
	Anum_outbox_stream = 1,
	Anum_outbox_xid,
	Anum_outbox_number,
	Anum_outbox_messages,
	Anum_outbox_data,
	_Anum_outbox_end
};
#define Natts_outbox (_Anum_outbox_end - 1)
#define Index_of_outbox(column) (Anum_outbox_##column - 1)

/* A place in the outbox of a stream: a chunk of a transaction. */
typedef struct StreamingOutboxPlace
{
	uint64		lsn;			/* of the transaction, */
	uint64		xid;
	int32		number;
} StreamingOutboxPlace;

/*
 * A row of streaming_internal.deliveries.  Strings are palloc'd.
 */
typedef struct StreamingDeliveryRow
{
	Oid			stream;
	Oid			home;			/* database it was made in: a copy made by CREATE
								 * DATABASE has another one's */
	char	   *identity;		/* a UUID */
	int64		number;			/* of the last delivery intended; 0: none */
	bool		pending;		/* it is not done */
	char	   *token;			/* names this intent, wherever it was copied to */
	char	   *snapshot;		/* pending: pg_snapshot of its transactions, */
	StreamingOutboxPlace bound; /* and its last chunk */
	char	   *note;			/* of the place, or NULL */
	int64		messages;		/* delivered since the first, all in all */
	int64		bytes;
	TimestampTz delivered_at;	/* 0: never */
} StreamingDeliveryRow;

/* What streaming_outbox_look has found. */
typedef struct StreamingOutboxExtent
{
	int64		chunks;
	int64		messages;
	int64		bytes;
	StreamingOutboxPlace last;	/* with chunks > 0 */
	bool		more;			/* the limit has cut it */
} StreamingOutboxExtent;

/* in outbox.c */

/*
 * Reads the message at *at and moves *at behind it; false: the chunk has ended.
 * The message points into the chunk.  Errors: ERRCODE_DATA_CORRUPTED.
 */
extern bool streaming_outbox_message(const char **at, const char *end,
									 StreamingMessage *message);

/* in outbox_table.c; all in a transaction */

extern void streaming_outbox_table_open(StreamingTable *table, int lockmode);

/*
 * The current transaction is about to commit and has put messages into the outbox
 * of stream: gives it its place, lsn being the end of the log now.
 */
extern void streaming_outbox_write_transaction(Oid stream, XLogRecPtr lsn);

/*
 * The streams (of Oid) that have messages in the outbox; *idle: those that had
 * once, some of which may be among them.
 */
extern List *streaming_outbox_streams(List **idle);

/*
 * How far does what snapshot (of type pg_snapshot) sees behind a place reach, in
 * order?  At most about max_bytes; with whole, a transaction is not cut.
 */
extern void streaming_outbox_look(Oid stream, StreamingOutboxPlace after, Datum snapshot,
								  int64 max_bytes, bool whole, StreamingOutboxExtent *extent);

/*
 * The next chunks after *after (and not behind bound) that snapshot sees, about
 * max_bytes of them: bytea, detoasted, in CurrentMemoryContext.  Moves *after.
 * NIL: no more.
 */
extern List *streaming_outbox_read(Oid stream, StreamingOutboxPlace *after,
								   StreamingOutboxPlace bound, Datum snapshot,
								   int64 max_bytes);

/* Deletes what snapshot sees behind after, up to bound; *extent tells what it was. */
extern void streaming_outbox_delete(Oid stream, StreamingOutboxPlace after,
									StreamingOutboxPlace bound, Datum snapshot,
									StreamingOutboxExtent *extent);

/*
 * Deletes what came with a copy of the database (CREATE DATABASE): the original
 * delivers it.  snapshot is one of now.
 */
extern void streaming_outbox_delete_copied(Oid stream, Datum snapshot);

/* The row of stream; NULL: there is none. */
extern StreamingDeliveryRow *streaming_delivery_read(Oid stream);

/* Inserts or updates. */
extern void streaming_delivery_write(const StreamingDeliveryRow *row, bool insert);

/* A new random UUID, palloc'd. */
extern char *streaming_new_uuid(void);

#endif							/* STREAMING_OUTBOX_TABLE_H */
