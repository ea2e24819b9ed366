/*
 * relation_locks.c
 *		Locks on relations without deadlocks with DDL, see relation_locks.h.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "streaming.h"
#include "catalog/view.h"
#include "catalog/internal.h"
#include "catalog/relation_locks.h"

/* Returns the relation that is not to be had now; then nothing is locked. */
static Oid
try_lock(List *relids, LOCKMODE mode)
{
	int			n = list_length(relids);

	for (int i = 0; i < n; i++)
	{
		Oid			busy = list_nth_oid(relids, i);

		if (ConditionalLockRelationOid(busy, i == 0 ? mode : AccessShareLock))
			continue;
		while (--i >= 0)
			UnlockRelationOid(list_nth_oid(relids, i), i == 0 ? mode : AccessShareLock);
		return busy;
	}
	return InvalidOid;
}

bool
streaming_try_lock_relations(List *relids, LOCKMODE mode)
{
	return !OidIsValid(try_lock(relids, mode));
}

/*
 * The one that was waited for is kept until the next try is over: a lock that is
 * wanted beside a stronger one we hold is not to be had by trying while somebody
 * else waits for that one, but is granted to who waits (ProcSleep).
 */
void
streaming_lock_relations(List *relids, LOCKMODE mode)
{
	Oid			kept = InvalidOid;
	LOCKMODE	kept_mode = NoLock;
	Oid			busy;

	do
	{
		busy = try_lock(relids, mode);
		if (OidIsValid(kept))
			UnlockRelationOid(kept, kept_mode);
		kept = busy;
		if (OidIsValid(busy))
		{
			CHECK_FOR_INTERRUPTS();
			kept_mode = busy == linitial_oid(relids) ? mode : AccessShareLock;
			LockRelationOid(busy, kept_mode);
		}
	} while (OidIsValid(busy));
}

/* Adds what the query of view names; of ordinary views, what theirs names. */
static List *
add_named_relations(List *relids, Oid view)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, streaming_catalog_named(view, RelationRelationId))
	{
		Oid			relid = lfirst_oid(lc);

		if (list_member_oid(relids, relid))
			continue;
		relids = lappend_oid(relids, relid);
		if (get_rel_relkind(relid) == RELKIND_VIEW &&
			streaming_catalog_view(relid, true) == NULL)
			relids = add_named_relations(relids, relid);
	}
	return relids;
}

List *
streaming_relations_of_view(Oid view)
{
	StreamingView *row = streaming_catalog_view(view, false);
	List	   *relids = list_make1_oid(view);
	ListCell   *lc;

	relids = list_concat_unique_oid(relids, streaming_internal_parts(view));
	relids = add_named_relations(relids, row->definition);
	if (OidIsValid(row->sink.relid))
		relids = list_append_unique_oid(relids, row->sink.relid);

	/* views read as streams, tables that are followed: their change streams */
	foreach(lc, row->tables)
		relids = list_concat_unique_oid(relids, streaming_internal_parts(lfirst_oid(lc)));
	foreach(lc, streaming_catalog_inputs(row->definition))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_VIEW)
			relids = list_concat_unique_oid(relids, streaming_internal_parts(lfirst_oid(lc)));
	}
	return relids;
}
