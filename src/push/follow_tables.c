/*
 * follow_tables.c
 *		The tables that have the triggers of a capture: the one that is followed or, if that
 *		is partitioned, it and all partitions at any level.
 *
 * A statement fires the triggers of the table that it names, whose transition tables have
 * what it changes in all partitions, in that table's form.  So each change is captured
 * once, whatever the statement names.  Rows of TRUNCATE, and of who applies what
 * replication brings, are captured at the partitions that have them.
 *
 * Partitions come with their rows and go with them: what ATTACH adds appears, what DETACH
 * and DROP take away disappears, in the transaction of the command.  A first batch, which
 * reads the table, has locked all of it before its snapshot, and ATTACH takes a lock that
 * excludes that one: so it has the rows by its snapshot or by the stream, never by both.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog/internal.h"
#include "push/follow.h"

#define TRIGGER_FUNCTION	"capture_change"

/* Behind those of others, which may change the table before a TRUNCATE. */
#define TRIGGER_PREFIX		"~streaming_follow_"

/* ---------------------------------------------------------------------------
 * Which tables
 * ---------------------------------------------------------------------------
 */

/* table, or the partitioned table at the top that it is a partition of */
Oid
streaming_follow_root(Oid table)
{
	List	   *ancestors;

	if (!get_rel_relispartition(table))
		return table;
	ancestors = get_partition_ancestors(table);
	return ancestors == NIL ? table : llast_oid(ancestors);
}

/* Of Oid, table first; with that lock on each. */
List *
streaming_follow_members(Oid table, LOCKMODE lockmode)
{
	if (get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE)
		return list_make1_oid(table);
	return find_all_inheritors(table, lockmode, NULL);
}

void
streaming_follow_refuse(Oid table, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views cannot follow table \"%s\"", get_rel_name(table)),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* Triggers of a statement see what is written to the table that it names, or none at all. */
static void
check_member(Oid table, Oid member)
{
	Relation	rel = table_open(member, AccessShareLock);
	Form_pg_class form = rel->rd_rel;
	bool		is_partition = member != table;

	if (form->relkind != RELKIND_RELATION && form->relkind != RELKIND_PARTITIONED_TABLE)
		streaming_follow_refuse(table, is_partition ?
								psprintf("Partition \"%s\" is a foreign table, whose changes are not all made here.",
										 RelationGetRelationName(rel)) :
								"It is no ordinary table.",
								"Leave it out of streaming.follow.");
	if (form->relpersistence != RELPERSISTENCE_PERMANENT)
		streaming_follow_refuse(table, is_partition ?
								psprintf("Partition \"%s\" is not logged, and loses its rows in a crash without saying so.",
										 RelationGetRelationName(rel)) :
								"It is not logged, and loses its rows in a crash without saying so.",
								"Use ALTER TABLE ... SET LOGGED, or leave it out of streaming.follow.");
	table_close(rel, NoLock);
}

void
streaming_follow_check_kind(Oid table)
{
	ListCell   *lc;

	if (get_rel_relispartition(table))
		streaming_follow_refuse(table,
								"It is a partition, and rows come to it that are written to the whole.",
								"Let the view read and follow the partitioned table, with a condition on the key.");
	if (get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE &&
		(has_subclass(table) || has_superclass(table)))
		streaming_follow_refuse(table, "It inherits from another table, or another one from it.",
								"Let the table be read as it is: leave it out of streaming.follow.");
	foreach(lc, streaming_follow_members(table, AccessShareLock))
		check_member(table, lfirst_oid(lc));
}

/* ---------------------------------------------------------------------------
 * Their triggers
 * ---------------------------------------------------------------------------
 */

static TriggerTransition *
transition(char *name, bool is_new)
{
	TriggerTransition *result = makeNode(TriggerTransition);

	result->name = name;
	result->isNew = is_new;
	result->isTable = true;
	return result;
}

/* transitions: of TriggerTransition; fires: TRIGGER_FIRES_xxx */
static void
make_trigger(Oid table, Oid stream, const char *name, int16 events, bool row, List *transitions,
			 char fires)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	ObjectAddress trigger;
	ObjectAddress whole;

	stmt->trigname = psprintf(TRIGGER_PREFIX "%s", name);
	stmt->funcname = list_make2(makeString(STREAMING_INTERNAL_SCHEMA), makeString(TRIGGER_FUNCTION));
	stmt->args = list_make1(makeString(psprintf("%u", stream)));
	stmt->row = row;
	stmt->timing = events == TRIGGER_TYPE_TRUNCATE ? TRIGGER_TYPE_BEFORE : TRIGGER_TYPE_AFTER;
	stmt->events = events;
	stmt->transitionRels = transitions;
	trigger = CreateTriggerFiringOn(stmt, NULL, table, InvalidOid, InvalidOid, InvalidOid,
									InvalidOid, InvalidOid, NULL, true, false, fires);
	ObjectAddressSet(whole, RelationRelationId, stream);
	/* a partition can be dropped with its triggers, and without the stream */
	recordDependencyOn(&trigger, &whole,
					   get_rel_relispartition(table) ? DEPENDENCY_AUTO : DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}

static void
make_triggers_of(Oid table, Oid stream)
{
	make_trigger(table, stream, "insert", TRIGGER_TYPE_INSERT, false,
				 list_make1(transition("new", true)), TRIGGER_FIRES_ON_ORIGIN);
	make_trigger(table, stream, "update", TRIGGER_TYPE_UPDATE, false,
				 list_make2(transition("old", false), transition("new", true)),
				 TRIGGER_FIRES_ON_ORIGIN);
	make_trigger(table, stream, "delete", TRIGGER_TYPE_DELETE, false,
				 list_make1(transition("old", false)), TRIGGER_FIRES_ON_ORIGIN);
	/* rows are in tables, and what is applied is written to these */
	if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
		return;
	make_trigger(table, stream, "replica",
				 TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE, true, NIL,
				 TRIGGER_FIRES_ON_REPLICA);
	make_trigger(table, stream, "truncate", TRIGGER_TYPE_TRUNCATE, false, NIL,
				 TRIGGER_FIRES_ALWAYS);
}

void
streaming_follow_make_triggers(Oid table, Oid stream)
{
	ListCell   *lc;

	foreach(lc, streaming_follow_members(table, ShareRowExclusiveLock))
		make_triggers_of(lfirst_oid(lc), stream);
}

List *
streaming_follow_triggers(Oid table, Oid stream)
{
	Relation	rel = table_open(table, NoLock);
	TriggerDesc *triggers = rel->trigdesc;
	char	   *arg = psprintf("%u", stream);
	List	   *found = NIL;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (trigger->tgisinternal && trigger->tgnargs == 1 && strcmp(trigger->tgargs[0], arg) == 0)
			found = lappend_oid(found, trigger->tgoid);
	}
	table_close(rel, NoLock);
	return found;
}

/* ---------------------------------------------------------------------------
 * Partitions that come and go
 * ---------------------------------------------------------------------------
 */

/* sign: of streaming_follow_push_all */
static void
push_rows(Oid partition, Oid root, Oid stream, int sign)
{
	Relation	rel;

	if (get_rel_relkind(partition) != RELKIND_RELATION)
		return;
	rel = table_open(partition, NoLock);
	streaming_follow_push_all(rel, root, stream, sign);
	table_close(rel, NoLock);
}

void
streaming_follow_partitions_changed(Oid relid)
{
	Oid			root = OidIsValid(relid) ? streaming_follow_root(relid) : InvalidOid;
	Oid			stream;
	ListCell   *lc;

	if (!OidIsValid(root) || get_rel_relkind(root) != RELKIND_PARTITIONED_TABLE ||
		!OidIsValid(stream = streaming_follow_stream(root)))
		return;
	foreach(lc, streaming_follow_members(relid, AccessShareLock))
	{
		Oid			member = lfirst_oid(lc);
		StreamingOwnerRights rights;

		if (streaming_follow_triggers(member, stream) != NIL)
			continue;
		LockRelationOid(member, ShareRowExclusiveLock);
		AcceptInvalidationMessages();
		check_member(root, member);
		streaming_owner_rights_begin(&rights);
		make_triggers_of(member, stream);
		push_rows(member, root, stream, 1);
		streaming_owner_rights_end(&rights);
	}
}

static void
drop_triggers(List *triggers)
{
	ListCell   *lc;

	foreach(lc, triggers)
	{
		ObjectAddress trigger;

		ObjectAddressSet(trigger, TriggerRelationId, lfirst_oid(lc));
		performDeletion(&trigger, DROP_RESTRICT, PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	}
}

void
streaming_follow_detached(Oid parent, Oid partition)
{
	Oid			root = streaming_follow_root(parent);
	Oid			stream = streaming_follow_stream(root);
	ListCell   *lc;

	if (!OidIsValid(stream) || streaming_follow_root(partition) == root)
		return;
	foreach(lc, streaming_follow_members(partition, AccessExclusiveLock))
	{
		Oid			member = lfirst_oid(lc);
		List	   *triggers = streaming_follow_triggers(member, stream);

		if (triggers == NIL)
			continue;
		push_rows(member, root, stream, -1);
		drop_triggers(triggers);
	}
}

/* The table, and the stream, of a trigger that is one by which a partition's rows are told. */
static bool
tells_of_partition(Oid trigger, Oid *partition, Oid *stream)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		tells = false;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		*partition = form->tgrelid;
		tells = form->tgisinternal && TRIGGER_FOR_TRUNCATE(form->tgtype) &&
			get_rel_relispartition(form->tgrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (!tells)
		return false;
	*stream = streaming_follow_stream(streaming_follow_root(*partition));
	return OidIsValid(*stream) && list_member_oid(streaming_follow_triggers(*partition, *stream), trigger);
}

void
streaming_follow_trigger_dropped(Oid trigger)
{
	Oid			partition;
	Oid			stream;

	if (tells_of_partition(trigger, &partition, &stream) && streaming_follow_is_needed(stream))
		push_rows(partition, streaming_follow_root(partition), stream, -1);
}
