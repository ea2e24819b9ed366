/*
 * sink_slots.h
 *		Shared memory of sink streams: how much waits to be delivered, how it
 *		goes, and who waits for it.
 *
 * A slot is made by whoever needs it first, a session that has written to the
 * stream or its delivery worker, and freed by the coordinator when neither
 * deliveries nor messages of the stream are left.  So a slot is always looked
 * up, never remembered, except by the worker, which is in it as long as it runs.
 *
 * All is guarded by streaming_sinks->lock, which is held for a few instructions
 * only.
 */
#ifndef STREAMING_SINK_SLOTS_H
#define STREAMING_SINK_SLOTS_H

#include "base/clock.h"
#include "nodes/pg_list.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#define STREAMING_SINK_ERROR_LENGTH	512

typedef enum StreamingSinkStatus
{
	STREAMING_SINK_RUNNING,		/* next: RETRYING, FAILED */
	STREAMING_SINK_RETRYING,	/* tried again with back-off; next: any */
	STREAMING_SINK_FAILED		/* only a user can help; tried again now and
								 * then; next: any */
} StreamingSinkStatus;

typedef enum StreamingRestart
{
	STREAMING_RESTART_NO,
	STREAMING_RESTART_RESEND,	/* what is in doubt is delivered again */
	STREAMING_RESTART_DISCARD	/* what is in doubt is not delivered again */
} StreamingRestart;

typedef struct StreamingSinkSlot
{
	Oid			dboid;			/* Invalid: the slot is free */
	Oid			stream;
	Oid			owner;			/* of the stream; Invalid: not known yet */
	int			pid;			/* of the delivery worker; 0: none runs */
	Latch	   *latch;			/* likewise; NULL: none */

	/*
	 * Put into the outbox, and taken out, since the slot was made.  Writers
	 * count after their commit, so that taken may be ahead for a moment.  The
	 * worker adds what it finds when it starts, and sets taken to what had been
	 * written before it found nothing.
	 */
	bool		counted;		/* what was there before is in these */
	int64		written_messages;
	int64		written_bytes;
	int64		taken_messages;
	int64		taken_bytes;

	/* in this server's life, and as of the row in streaming_internal.deliveries */
	int64		delivered_messages;
	int64		delivered_bytes;
	TimestampTz delivered_at;	/* 0: never */

	StreamingSinkStatus status;
	char		last_error[STREAMING_SINK_ERROR_LENGTH];	/* "": none */
	uint64		errors;			/* rises with each error */

	StreamingRestart restart;	/* the worker is to do it, and clears this */

	/* drain */
	int			drainers;		/* sessions that wait: deliver at once */
	uint64		requested;		/* rises with each request */
	uint64		served;			/* what had been committed before this request
								 * is delivered */
	ConditionVariable progressed;	/* served or errors has risen, or a restart
									 * is done */
} StreamingSinkSlot;

typedef struct StreamingSinks
{
	LWLock	   *lock;			/* fixed, like n */
	int			n;
	StreamingSinkSlot slots[FLEXIBLE_ARRAY_MEMBER];
} StreamingSinks;

/* NULL where the library was not preloaded */
extern StreamingSinks *streaming_sinks;

/* in sink_slots.c */

extern void streaming_sink_slots_init(void);	/* from _PG_init, after the settings */

/*
 * The slot of a stream of this database.  create: makes one if there is none.
 * NULL: there is none, or no room for it.  Caller holds the lock, with create
 * exclusively.
 */
extern StreamingSinkSlot *streaming_sink_slot(Oid stream, bool create);

/*
 * Makes the slot of a stream of this database if there is none, for somebody who is
 * about to write to it or waits for it.  Raises an error if there is no room, or if
 * the streams of its owner have their share of the slots (streaming.role_share).
 */
extern void streaming_sink_claim(Oid stream);

/* What waits; never negative.  Caller holds the lock. */
extern void streaming_sink_pending(const StreamingSinkSlot *slot, int64 *messages, int64 *bytes);

/*
 * Frees the slots of this database's streams that are not in keep (of Oid).
 * Returns the streams that have a worker, or a session that waits for one.
 */
extern List *streaming_sink_slots_keep(List *keep);

/* Frees all slots of a database that nobody is connected to any more. */
extern void streaming_sink_slots_forget(Oid dboid);

/* Has delivery failed for good?  Then error is set to why. */
extern bool streaming_sink_has_failed(Oid stream, char error[STREAMING_SINK_ERROR_LENGTH]);

/*
 * Waits until what has been committed to stream before the call is delivered, or
 * until deadline; with an error if delivery fails meanwhile, or in time.  view:
 * name of the view that is drained, for messages.
 */
extern void streaming_sink_drain(Oid stream, const char *view, StreamingTime deadline);

#endif							/* STREAMING_SINK_SLOTS_H */
