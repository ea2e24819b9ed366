/*
 * durable.h
 *		When what was committed without waiting for the disk is on it.
 */
#ifndef STREAMING_DURABLE_H
#define STREAMING_DURABLE_H

#include "access/xlogdefs.h"

/*
 * Waits until the log is on disk up to end, and on a standby that is waited for.  An
 * interrupt ends the wait for the standby with a warning, as it does that of COMMIT.
 */
extern void streaming_make_durable(XLogRecPtr end);

/* Ditto, all that anybody has written to the log so far. */
extern void streaming_make_all_durable(void);

#endif							/* STREAMING_DURABLE_H */
