/*
 * follow.h
 *		Ordinary tables whose changes continuous views follow.
 *
 * The capture of a table, made for the first view that follows it and shared by all, is
 * a stream of its changes and the triggers that push them:
 *
 *	t ──▶ triggers of each statement ──▶ streaming_internal.follow_<token>_<oid> ──▶ views
 *
 *	"$sign"		1: the row has appeared, -1: it has disappeared
 *	c<n>		column number n of t, if some view reads it
 *
 * A partitioned table is followed as a whole; its partitions have the triggers, too.
 *
 * It is a part of t, and the definitions of the views depend on it: the coordinator drops
 * it when none does.
 */
#ifndef STREAMING_FOLLOW_H
#define STREAMING_FOLLOW_H

#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* Column "$sign" of a stream of changes. */
#define STREAMING_FOLLOW_SIGN	1

/* in follow.c */

/* The stream of a table's changes; Invalid: nobody follows the table. */
extern Oid	streaming_follow_stream(Oid table);

/* Is stream one, of whatever database it comes? */
extern bool streaming_follow_is_stream(Oid stream);

/* The column of stream that has the values of column att of the table; 0: none has. */
extern AttrNumber streaming_follow_column(Relation stream, Form_pg_attribute att);

/* Errors if table, which the caller has locked, cannot be followed by a view of user. */
extern void streaming_follow_check(Oid table, Oid user);

/*
 * Errors if user may not read relid, a view or a table, or not all of its rows: before
 * changes of it are read.
 */
extern void streaming_follow_check_reader(Oid relid, Oid user);

/*
 * Lets the changes of table be captured for a view with the query definition, which is
 * locked against others.  Waits for who writes to the table, if it is not captured or
 * not all columns are.  user: the view's owner.
 */
extern void streaming_follow_capture(Oid table, Oid definition, Oid user);

/* Errors if a column that definition reads of table is not captured. */
extern void streaming_follow_check_captured(Oid table, Oid definition);

/*
 * The coordinator, in a transaction: drops captures that no view needs.  Does not wait
 * for who has a table locked: true, if it is to be called again for that.
 */
extern bool streaming_follow_release(void);

/* Does a view need the stream? */
extern bool streaming_follow_is_needed(Oid stream);

/* Before ALTER TABLE of relid, and before it gets children: errors if changes would be missed. */
extern void streaming_follow_check_alter(Oid relid, const AlterTableStmt *stmt);
extern void streaming_follow_refuse_child(Oid relid);

/* Before a trigger is dropped or altered: errors if changes are captured by it. */
extern void streaming_follow_check_trigger(Oid relid, const char *name);

/* in follow_tables.c */

/* table, or the partitioned table that it is in the end a partition of */
extern Oid	streaming_follow_root(Oid table);

/* table and, if it is partitioned, all its partitions (of Oid), with that lock on each. */
extern List *streaming_follow_members(Oid table, LOCKMODE lockmode);

/* An error: table cannot be followed. */
extern void streaming_follow_refuse(Oid table, const char *detail, const char *hint);

/* Errors if what kind of table it is, or what it has for partitions, forbids to follow it. */
extern void streaming_follow_check_kind(Oid table);

/* The triggers (of Oid) of table, which is locked, that push into stream. */
extern List *streaming_follow_triggers(Oid table, Oid stream);

/* Lets stream capture what changes in table, and waits for who writes to it. */
extern void streaming_follow_make_triggers(Oid table, Oid stream);

/*
 * After relid has been made or altered: if it is, or is a partition of, a table that is
 * followed, the rows of partitions that have come to it appear.
 */
extern void streaming_follow_partitions_changed(Oid relid);

/* After partition has been detached from parent: its rows disappear. */
extern void streaming_follow_detached(Oid parent, Oid partition);

/* Before a trigger is dropped: if that is because a partition is, its rows disappear. */
extern void streaming_follow_trigger_dropped(Oid trigger);

/* in follow_trigger.c */

/*
 * Pushes all rows of table, root being its streaming_follow_root, with that sign.  The
 * caller has locked the table against writers.
 */
extern void streaming_follow_push_all(Relation table, Oid root, Oid stream, int sign);

#endif							/* STREAMING_FOLLOW_H */
