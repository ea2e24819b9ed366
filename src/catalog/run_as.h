/*
 * run_as.h
 *		What a user wrote runs as its owner, whoever makes it run.
 *
 * Expressions of a view are planned, initialised and evaluated as the view's
 * owner: planning calls immutable functions.  Input functions and domains of a
 * stream's columns are called as the stream's owner.
 */
#ifndef STREAMING_RUN_AS_H
#define STREAMING_RUN_AS_H

#include "nodes/pg_list.h"

typedef struct StreamingRunAs
{
	Oid			userid;
	int			security_context;
	int			guc_level;
	bool		session;		/* the session's user is another one, too */
} StreamingRunAs;

/*
 * Between the two the current user is owner, in a security-restricted operation,
 * search_path holds nothing but the system's objects, and settings (settings.h),
 * those of the view or stream, count.  Called in a transaction; may be nested.  Settings that were changed in between are undone
 * at the end.  An error restores all by itself (the session's user with the end of
 * the transaction).
 */
extern void streaming_run_as_begin(StreamingRunAs *saved, Oid owner, const List *settings);
extern void streaming_run_as_end(const StreamingRunAs *saved);

/*
 * This process is a worker of ours, so that its session is nobody's: between the
 * two above the session's user is owner, too, and what a session may keep beyond
 * a transaction goes with the transaction.
 */
extern void streaming_run_as_worker(void);

#endif							/* STREAMING_RUN_AS_H */
