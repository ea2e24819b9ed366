/*
 * internal.h
 *		Relations in schema streaming_internal, which belong to a view or a stream, and
 *		the rights of the extension's owner, with which they are made.
 */
#ifndef STREAMING_INTERNAL_H
#define STREAMING_INTERNAL_H

#include "nodes/pg_list.h"

/* What code that runs with the rights of the extension's owner must restore. */
typedef struct StreamingOwnerRights
{
	Oid			userid;
	int			security_context;
	int			guc_level;
} StreamingOwnerRights;

/*
 * Between the two the current user is the extension's owner and search_path
 * holds nothing but the system's objects.  An error restores all by itself.
 */
extern void streaming_owner_rights_begin(StreamingOwnerRights *saved);
extern void streaming_owner_rights_end(const StreamingOwnerRights *saved);

/* Runs one statement through SPI. */
extern void streaming_run_sql(const char *sql);

/*
 * relid, in streaming_internal, is from now on a part of owner: dropped with
 * it, never alone.  It belongs to the extension's owner.
 */
extern void streaming_internal_adopt(Oid relid, Oid owner);

/* Relations that are parts of owner, and the relation that relid is part of. */
extern List *streaming_internal_parts(Oid owner);	/* of Oid */
extern Oid	streaming_internal_whole(Oid relid);	/* Invalid: none */

/*
 * What users know of relid, a part or a part of a part or an index of one: a view
 * or a stream.  Invalid: it is no part.
 */
extern Oid	streaming_internal_root(Oid relid);

/*
 * Nothing of a table that is a part is analyzed where that calls a function of a
 * user's, as the subtype_diff of a range type: ANALYZE runs as the table's owner,
 * which is the extension's.  For one that is adopted; again when columns are added.
 */
extern void streaming_internal_skip_statistics(Oid relid);

/* Lets who owns the root read a part, if it is a table, and nobody else. */
extern void streaming_internal_share(Oid relid);

/* After the owner of relid, or of any (Invalid), has changed: ditto of its parts, and theirs. */
extern void streaming_internal_owner_changed(Oid relid);

/* Gives a view or a table the trigger that keeps everybody from writing to it. */
extern void streaming_internal_make_read_only(Oid relid);

/* Empties tables that are parts. */
extern void streaming_internal_truncate(List *relids);

/* Drops a part alone, with what others have made depend on it. */
extern void streaming_internal_drop(Oid relid);

/*
 * Errors if relid is part of something: it is not to be altered alone.  hint:
 * what to do; NULL: alter the root.
 */
extern void streaming_refuse_internal(Oid relid, const char *hint);

#endif							/* STREAMING_INTERNAL_H */
