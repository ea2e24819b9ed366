/*
 * delivery_attempt.h
 *		An attempt to deliver to a stream: what delivery_worker.c and
 *		delivery_start.c share.
 */
#ifndef STREAMING_DELIVERY_ATTEMPT_H
#define STREAMING_DELIVERY_ATTEMPT_H

#include "sink/delivery.h"
#include "sink/outbox_table.h"
#include "shared/sink_slots.h"

/* Transactions whose places are before lsn have ids below next_xid. */
typedef struct StreamingOutboxHorizon
{
	uint64		lsn;
	uint64		next_xid;
} StreamingOutboxHorizon;

/* From opening the place to the next error or change of the definition. */
typedef struct StreamingDeliveryAttempt
{
	Oid			stream;
	StreamingSinkSlot *slot;	/* the worker is in it */
	MemoryContext context;
	MemoryContext row_context;	/* strings of row that belong to a delivery */
	MemoryContext portion_context;
	StreamingDelivery *delivery;
	StreamingDeliveryRow row;	/* as it was committed last */
	bool		happened;		/* row.pending, but it has happened */
	bool		begun;			/* the place is in the middle of it */
	StreamingOutboxPlace after; /* there is nothing up to it */
	StreamingOutboxPlace next_after;	/* ditto, when the pending one is settled */
	StreamingOutboxHorizon horizon; /* of an earlier look */
	uint64		all_seen;		/* the last look's snapshot has seen all that have a
								 * place before this one */
	uint64		serves;			/* the request served by the pending one */
	bool		more;			/* the pending one has left rows that were seen */
	StreamingTime waiting_since;	/* 0: nothing waits that has been seen */
} StreamingDeliveryAttempt;

/* in delivery_start.c */

/*
 * Reads, or makes, the stream's row, counts what waits, and opens the place as
 * the stream is defined now.  Does a restart that was asked for.
 */
extern void streaming_delivery_open(StreamingDeliveryAttempt *attempt);

/*
 * Transactions of the worker.  The first locks the stream, and ends the process
 * if it is gone; the second returns to the portion's context, in which
 * everything between transactions runs.
 */
extern void streaming_delivery_begin(StreamingDeliveryAttempt *attempt);
extern void streaming_delivery_commit(StreamingDeliveryAttempt *attempt);

#endif							/* STREAMING_DELIVERY_ATTEMPT_H */
