/*
 * relation_locks.h
 *		Locks on relations without deadlocks with DDL.
 */
#ifndef STREAMING_RELATION_LOCKS_H
#define STREAMING_RELATION_LOCKS_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/*
 * Locks the first of relids (of Oid) with mode and the others with
 * AccessShareLock, all or none at a time: it waits only while it holds none of
 * them.  DROP takes the locks on a view, its parts and what they read in an
 * order that nobody can follow, since it depends on where it begins; a batch
 * that waited for one while it held another would sooner or later be met by a
 * DROP that does the opposite, and the user's command would be the victim.
 *
 * The caller holds no other lock on a relation that DDL may want.  Relations
 * may have been dropped when this returns.
 */
extern void streaming_lock_relations(List *relids, LOCKMODE mode);

/* The same without waiting; false: they are not to be had now, and none is locked. */
extern bool streaming_try_lock_relations(List *relids, LOCKMODE mode);

/*
 * What a batch of a view reads and writes, for the above: the view first, its
 * parts, streams, and all that its query names.  Takes no lock.
 */
extern List *streaming_relations_of_view(Oid view);

#endif							/* STREAMING_RELATION_LOCKS_H */
