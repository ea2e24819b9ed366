/*
 * parts.c
 *		Statements that would change a part of a view or a stream, or put on a
 *		continuous view what would never act.
 *
 * Parts belong to the extension's owner, so who is no superuser can do nothing
 * to them anyhow.  Here superusers are told, before they have done it, what would
 * break a view or have no effect, and what to do instead.  They may do to a table
 * what changes neither its rows nor their form: storage parameters, statistics
 * targets, a tablespace, a replica identity, an index that is not unique.  (Who owns a view
 * has indexes made by naming the view, see view_index.c.)
 *
 * What workers take for granted is compared all the same (query/layout.c): a
 * part may have been altered while the library was not loaded.
 *
 * While a dump is restored nothing is a part yet, so all it does is let through.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "catalog/object_name.h"
#include "command/command.h"
#include "push/follow.h"
#include "sink/sink.h"

#define HINT_SINK "Batches check no constraints and fire no triggers or rules. Let the view write to a table of yours (option streaming.sink), and put it there."

static Oid
find_relation(const RangeVar *name)
{
	return name ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
}

static void
refuse_part(const RangeVar *name, const char *hint)
{
	Oid			relid = find_relation(name);

	if (OidIsValid(relid))
		streaming_refuse_internal(relid, hint);
}

static void
refuse_on_view(const RangeVar *name, const char *what, const char *hint)
{
	Oid			relid = find_relation(name);
	StreamingView *view;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_VIEW)
		return;
	view = streaming_catalog_view(relid, true);
	if (view && !view->restored)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support %s", what),
				 errhint("%s", hint)));
}

/* ---------------------------------------------------------------------------
 * Tables that are to have to do with a part
 * ---------------------------------------------------------------------------
 */

static void
check_constraint(Constraint *constraint)
{
	if (constraint->contype == CONSTR_FOREIGN)
		refuse_part(constraint->pktable,
					"Refer to a table of yours. A view can write to one (option streaming.sink).");
}

static void
check_column(ColumnDef *column)
{
	ListCell   *lc;

	foreach(lc, column->constraints)
		check_constraint(lfirst_node(Constraint, lc));
}

/* Becoming a parent, a child, a partition, or what a foreign key refers to. */
static void
check_create(CreateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->inhRelations)
	{
		refuse_part(lfirst_node(RangeVar, lc), "Use LIKE to make a table with the same columns.");
		streaming_follow_refuse_child(find_relation(lfirst_node(RangeVar, lc)));
	}
	foreach(lc, stmt->tableElts)
	{
		if (IsA(lfirst(lc), ColumnDef))
			check_column(lfirst(lc));
		else if (IsA(lfirst(lc), Constraint))
			check_constraint(lfirst(lc));
	}
}

static void
check_other_relations(AlterTableCmd *cmd)
{
	static const char hint[] = "Query the view instead.";

	switch (cmd->subtype)
	{
		case AT_AddInherit:
		case AT_DropInherit:
			refuse_part((RangeVar *) cmd->def, hint);
			break;
		case AT_AttachPartition:
		case AT_DetachPartition:
			refuse_part(((PartitionCmd *) cmd->def)->name, hint);
			break;
		case AT_AddConstraint:
			check_constraint((Constraint *) cmd->def);
			break;
		case AT_AddColumn:
			check_column((ColumnDef *) cmd->def);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------------------
 * ALTER and DROP of a part
 * ---------------------------------------------------------------------------
 */

/*
 * Does it leave the rows of a part, and their form, as they are?  What the tables
 * of streams are made with they also keep, such as vacuum_truncate.
 */
static bool
is_tuning(Oid relid, AlterTableType subtype)
{
	char		relkind = get_rel_relkind(relid);
	Oid			table = relkind == RELKIND_INDEX ? IndexGetRelation(relid, false) : relid;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_INDEX)
		return false;
	if (get_rel_relkind(streaming_internal_whole(table)) != RELKIND_VIEW)
		return subtype == AT_SetTableSpace;
	switch (subtype)
	{
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplicaIdentity:
		case AT_SetTableSpace:
			return true;
		default:
			return false;
	}
}

static const char *
alter_hint(AlterTableType subtype)
{
	switch (subtype)
	{
		case AT_ColumnDefault:
		case AT_AddConstraint:
		case AT_SetNotNull:
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
			return HINT_SINK;
		case AT_EnableRowSecurity:
		case AT_ForceRowSecurity:
			return "Let the view write to a table of yours (option streaming.sink), and give that one policies.";
		case AT_AddIndex:
			return "Create an index that is not unique.";
		default:
			return NULL;
	}
}

static void
check_alter_table(AlterTableStmt *stmt)
{
	Oid			relid = find_relation(stmt->relation);
	bool		part = OidIsValid(relid) && OidIsValid(streaming_internal_root(relid));
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (part && !is_tuning(relid, cmd->subtype))
			streaming_refuse_internal(relid, alter_hint(cmd->subtype));
		check_other_relations(cmd);
		if (cmd->subtype == AT_ColumnDefault)
			refuse_on_view(stmt->relation, "defaults of columns", HINT_SINK);
	}
	if (OidIsValid(relid))
		streaming_check_alter(relid, stmt);
	if (OidIsValid(relid))
		streaming_follow_check_alter(relid, stmt);
}

/* The relation in a name of n more parts; NULL: none. */
static RangeVar *
relation_in(List *names, int n)
{
	if (list_length(names) <= n)
		return NULL;
	return makeRangeVarFromNameList(list_truncate(list_copy(names), list_length(names) - n));
}

/* The relation that object, of that type, is or belongs to; NULL: none. */
static RangeVar *
relation_of(ObjectType type, Node *object)
{
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_INDEX:
			return relation_in((List *) object, 0);
		case OBJECT_COLUMN:
		case OBJECT_TABCONSTRAINT:
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			return relation_in((List *) object, 1);
		default:
			return NULL;
	}
}

/* Was index made with the view? */
static bool
is_own_index(Oid index)
{
	StreamingView *view = streaming_catalog_view(streaming_internal_root(index), true);
	ListCell   *lc;

	foreach(lc, view ? view->relations : NIL)
	{
		if (strcmp(lfirst(lc), get_rel_name(index)) == 0)
			return true;
	}
	return false;
}

/* A trigger that is to be dropped or altered. */
static void
check_trigger(RangeVar *table, const char *name)
{
	Oid			relid = find_relation(table);

	if (OidIsValid(relid))
		streaming_follow_check_trigger(relid, name);
}

static void
check_drop(DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		RangeVar   *name = relation_of(stmt->removeType, lfirst(lc));
		Oid			relid = find_relation(name);

		switch (stmt->removeType)
		{
			case OBJECT_INDEX:
				if (OidIsValid(relid) && is_own_index(relid))
					streaming_refuse_internal(relid, NULL);
				break;
			case OBJECT_TRIGGER:
				check_trigger(name, strVal(llast((List *) lfirst(lc))));
				pg_fallthrough;
			case OBJECT_RULE:
				refuse_on_view(name, "dropping their triggers and rules",
							   "Drop the view and create it again.");
				pg_fallthrough;
			case OBJECT_POLICY:
				refuse_part(name, NULL);
				break;
			default:			/* the dependency tells what to drop instead */
				break;
		}
	}
}

static void
check_index(IndexStmt *stmt)
{
	Oid			relid = find_relation(stmt->relation);

	if (OidIsValid(relid) &&
		(stmt->unique || !is_tuning(relid, AT_SetStatistics)))
		streaming_refuse_internal(relid, stmt->unique ? alter_hint(AT_AddIndex) : NULL);
}

/* ---------------------------------------------------------------------------
 * All statements
 * ---------------------------------------------------------------------------
 */

void
streaming_check_statement(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			check_alter_table((AlterTableStmt *) stmt);
			break;
		case T_RenameStmt:
			refuse_part(((RenameStmt *) stmt)->relation, NULL);
			if (((RenameStmt *) stmt)->renameType == OBJECT_TRIGGER)
				check_trigger(((RenameStmt *) stmt)->relation, ((RenameStmt *) stmt)->subname);
			break;
		case T_AlterObjectSchemaStmt:
			refuse_part(((AlterObjectSchemaStmt *) stmt)->relation, NULL);
			break;
		case T_AlterObjectDependsStmt:
			refuse_part(((AlterObjectDependsStmt *) stmt)->relation, NULL);
			if (((AlterObjectDependsStmt *) stmt)->objectType == OBJECT_TRIGGER)
				check_trigger(((AlterObjectDependsStmt *) stmt)->relation,
							  strVal(llast((List *) ((AlterObjectDependsStmt *) stmt)->object)));
			break;
		case T_AlterExtensionContentsStmt:
			refuse_part(relation_of(((AlterExtensionContentsStmt *) stmt)->objtype,
									((AlterExtensionContentsStmt *) stmt)->object), NULL);
			break;
		case T_CreateStmt:
			check_create((CreateStmt *) stmt);
			break;
		case T_CreateForeignTableStmt:
			check_create(&((CreateForeignTableStmt *) stmt)->base);
			break;
		case T_ViewStmt:
			if (!((ViewStmt *) stmt)->replace)
				break;
			refuse_part(((ViewStmt *) stmt)->view, NULL);
			streaming_refuse_replace((ViewStmt *) stmt);
			break;
		case T_IndexStmt:
			check_index((IndexStmt *) stmt);
			break;
		case T_CreateTrigStmt:
			refuse_part(((CreateTrigStmt *) stmt)->relation, HINT_SINK);
			refuse_on_view(((CreateTrigStmt *) stmt)->relation, "triggers", HINT_SINK);
			break;
		case T_RuleStmt:
			refuse_part(((RuleStmt *) stmt)->relation, HINT_SINK);
			refuse_on_view(((RuleStmt *) stmt)->relation, "rules", HINT_SINK);
			break;
		case T_CreatePolicyStmt:
			refuse_part(((CreatePolicyStmt *) stmt)->table, alter_hint(AT_EnableRowSecurity));
			break;
		case T_AlterPolicyStmt:
			refuse_part(((AlterPolicyStmt *) stmt)->table, alter_hint(AT_EnableRowSecurity));
			break;
		case T_CreateStatsStmt:
			foreach(lc, ((CreateStatsStmt *) stmt)->relations)
			{
				if (IsA(lfirst(lc), RangeVar))
					refuse_part(lfirst(lc), NULL);
			}
			break;
		case T_CommentStmt:
			refuse_part(relation_of(((CommentStmt *) stmt)->objtype,
									((CommentStmt *) stmt)->object), NULL);
			break;
		case T_SecLabelStmt:
			refuse_part(relation_of(((SecLabelStmt *) stmt)->objtype,
									((SecLabelStmt *) stmt)->object), NULL);
			break;
		case T_DropStmt:
			check_drop((DropStmt *) stmt);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------------------
 * Publications
 * ---------------------------------------------------------------------------
 */

/* Subscribers find no row to update or delete, unless all of it is sent. */
static void
check_published(const RangeVar *name)
{
	Oid			relid = find_relation(name);
	Relation	rel;
	bool		identified;

	if (!OidIsValid(relid) || !OidIsValid(streaming_internal_root(relid)) ||
		get_rel_relkind(relid) != RELKIND_RELATION)
		return;
	rel = relation_open(relid, AccessShareLock);
	identified = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
	relation_close(rel, AccessShareLock);
	if (!identified)
		ereport(WARNING,
				(errmsg("subscribers cannot apply updates and deletes of \"%s\", which has no replica identity",
						get_rel_name(relid)),
				 errhint("Run ALTER TABLE %s REPLICA IDENTITY FULL, or publish a table of yours that the view writes to (option streaming.sink).",
						 streaming_qualified_name(relid))));
}

void
streaming_check_publication(Node *stmt)
{
	List	   *objects = IsA(stmt, CreatePublicationStmt) ?
		((CreatePublicationStmt *) stmt)->pubobjects : ((AlterPublicationStmt *) stmt)->pubobjects;
	ListCell   *lc;

	foreach(lc, objects)
	{
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, lc);

		if (object->pubobjtype == PUBLICATIONOBJ_TABLE)
			check_published(object->pubtable->relation);
	}
}
