/*
 * delivery.h
 *		The way from the outbox to a place outside PostgreSQL: the interface of
 *		such places.
 *
 * Each sink stream has a delivery worker (worker/delivery_worker.c) which makes
 * numbered deliveries, one after the other:
 *
 *	intend		commit "delivery n is these rows of the outbox"
 *	begin		deliveries that are not committed leave no trace there
 *	write ...	in order
 *	prepare		durable there, not visible yet; what it returns is committed
 *				as the note of delivery n
 *	commit		visible there
 *	done		commit "delivery n has happened", and delete its rows
 *
 * An error or a crash can come at any moment.  Then the place is opened anew and
 * asked (recover) about the delivery that was intended and is not done; if it
 * says no, delivery n is made again, of the same rows.
 *
 * The callbacks are called outside transactions, unless it is said otherwise,
 * with CurrentMemoryContext a short one; they ereport any failure: the worker
 * aborts, closes, shows the error, and tries again with back-off.  Whatever
 * waits in them reacts to interrupts and to the death of the postmaster.
 */
#ifndef STREAMING_DELIVERY_H
#define STREAMING_DELIVERY_H

#include "sink/outbox.h"

typedef struct StreamingDelivery StreamingDelivery;

/* What waits in the outbox of a stream. */
typedef struct StreamingBacklog
{
	int64		messages;
	int64		bytes;
	int64		age;			/* ms since the worker has seen the oldest */
} StreamingBacklog;

typedef struct StreamingDeliveryRoutine
{
	const char *name;

	/*
	 * Goes a transaction out in one delivery, however large it is?  Otherwise
	 * large ones are cut.
	 */
	bool		whole_transactions;

	/*
	 * Opens the place, in a transaction, in CurrentMemoryContext, which lives
	 * until after close.  stream lives as long.  identity: a UUID that belongs
	 * to the stream in this database (and to its physical copies).  Must not
	 * wait for the place.
	 */
	StreamingDelivery *(*open) (StreamingStream *stream, const char *identity);

	/*
	 * Called once after open.  number: of the last delivery intended, 0: there
	 * was none; done: it is marked as done; note: its note, NULL: none was
	 * recorded.  Returns true if it has happened, after finishing what is left
	 * of it; false if it has not, after removing all traces.  With done the
	 * result does not matter, but what was left behind is removed.
	 */
	bool		(*recover) (StreamingDelivery *delivery, int64 number, bool done,
							const char *note);

	/*
	 * When is a delivery due: in that many ms, 0: now.  Asked when the backlog
	 * has grown or the time is over, and not at all while somebody waits for
	 * the end of the delivery (drain).  NULL: always at once.
	 */
	int64		(*due) (StreamingDelivery *delivery, const StreamingBacklog *backlog);

	void		(*begin) (StreamingDelivery *delivery, int64 number);
	void		(*write) (StreamingDelivery *delivery, const StreamingMessage *message);

	/* Returns the note, in CurrentMemoryContext, or NULL.  May be NULL. */
	char	   *(*prepare) (StreamingDelivery *delivery);
	void		(*commit) (StreamingDelivery *delivery);

	/* Gives up what was begun, as well as it can; never ereports. */
	void		(*abort) (StreamingDelivery *delivery);

	/*
	 * Frees what outlives memory contexts; never ereports.  Does not wait.  May
	 * be called at any time, also after abort.
	 */
	void		(*close) (StreamingDelivery *delivery);

	/*
	 * A descriptor to watch while nothing is to be done, and what to call when
	 * it is readable.  May be NULL.
	 */
	int			(*fd) (StreamingDelivery *delivery);
	void		(*serve) (StreamingDelivery *delivery);
} StreamingDeliveryRoutine;

/* Each place's own struct begins with this. */
struct StreamingDelivery
{
	const StreamingDeliveryRoutine *routine;	/* set by the worker */
	StreamingStream *stream;	/* likewise */

	/*
	 * Set by the worker before recover and begin: a UUID that was made when the
	 * delivery was intended.  It tells this delivery from one that has the same
	 * number in a copy of the database.
	 */
	const char *token;

	/* Set by open: so many bytes are a good delivery; 0: the place has no wish. */
	int64		best_bytes;
};

/*
 * in worker/delivery_worker.c: shows why a callback has to wait, until the
 * delivery goes on or fails
 */
extern void streaming_delivery_trouble(const char *text);

/* in delivery_kafka.c */
extern const StreamingDeliveryRoutine streaming_delivery_kafka;

/* in delivery_directory.c */
extern const StreamingDeliveryRoutine streaming_delivery_directory;

#endif							/* STREAMING_DELIVERY_H */
