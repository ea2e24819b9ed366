/*
 * source_push.h
 *		Rows that sessions push into a stream with INSERT and COPY.
 */
#ifndef STREAMING_SOURCE_PUSH_H
#define STREAMING_SOURCE_PUSH_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "shmem.h"

/* Columns that a pushed stream's table has before the stream's own. */
#define STREAMING_PUSH_SHIFT	1

/* Tables of a pushed stream, used in turn: segment n is in table n % 2. */
#define STREAMING_PUSH_TABLES	2

typedef struct StreamingPush StreamingPush;

/* in source_push.c */

/*
 * Begins to push rows into stream, in CurrentMemoryContext, for one statement.
 * May wait until views have taken what is there (streaming.push_limit).
 */
extern StreamingPush *streaming_push_begin(Relation stream);

/* Takes a copy of the row; written at the latest by flush or end. */
extern void streaming_push_row(StreamingPush *push, TupleTableSlot *slot);
extern void streaming_push_flush(StreamingPush *push);
extern void streaming_push_end(StreamingPush *push);

/* in push_tables.c */

/*
 * Makes the tables of a pushed stream, or adapts them to its columns if they
 * are there; the caller holds a lock on the stream.  Called when a stream has
 * been made or altered, and, should they be missing, by whoever needs them.
 */
extern void streaming_push_create_tables(Oid stream);

/* Oid of table number (0 or 1), Invalid if there is none. */
extern Oid	streaming_push_table(Oid stream, int number);

/* Number of the segment for new rows, from shared memory or the catalog. */
extern uint64 streaming_push_current(StreamingStreamShared *shared, Oid stream);

/*
 * Forgets what all views have taken: lets new rows go to the other table when
 * this one is large (or old, with retention), empties the other one when
 * nobody needs it.  Outside a transaction; runs its own.  Cheap if there is
 * nothing to do.  Never waits for a lock.
 */
extern void streaming_push_trim(Oid stream);

#endif							/* STREAMING_SOURCE_PUSH_H */
