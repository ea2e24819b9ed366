/*
 * alter_stream.c
 *		CREATE and ALTER FOREIGN TABLE of streams: checks that the validators
 *		cannot make, because they do not see the table; and ALTER of what views
 *		read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "streaming.h"
#include "base/attempt.h"
#include "base/depend.h"
#include "catalog/internal.h"
#include "catalog/view.h"
#include "query/program.h"
#include "push/source_push.h"
#include "shared/notify.h"
#include "command/command.h"

/* A streaming_attempt: do the tables of a view still fit? */
typedef struct Fit
{
	StreamingView *view;
	bool		fits;
} Fit;

static void
check_fit(void *arg)
{
	Fit		   *fit = arg;
	StreamingView *view = fit->view;
	Relation	rel = relation_open(view->definition, AccessShareLock);
	StreamingProgram *program = streaming_compile(get_view_query(rel), view->owner, view->id,
												  view->tables, &view->sink, view->output_mode);

	relation_close(rel, NoLock);
	fit->fits = streaming_layout_matches(program);
}

/*
 * The state of a view depends on what its stream has for a watermark, so that is
 * not changed below a view if the view's tables would have to be other ones.  A
 * view that could not be kept at all raises its own error; but who does not own it
 * is not kept from changing a stream by a view that could not be kept before either.
 */
static void
check_view(Oid view, Oid stream)
{
	Fit			fit = {streaming_catalog_view(view, true), true};
	ErrorData  *error;

	if (fit.view == NULL || fit.view->restored)
		return;
	if (has_privs_of_role(GetUserId(), fit.view->owner))
		check_fit(&fit);
	else if ((error = streaming_attempt(check_fit, &fit, CurrentMemoryContext)) != NULL)
	{
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING,
				(errmsg("continuous view \"%s\" cannot be kept: %s", get_rel_name(view),
						error->message)));
	}
	if (!fit.fits)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot change columns or watermark of stream \"%s\" because continuous view \"%s\" depends on them",
						get_rel_name(stream), get_rel_name(view)),
				 errhint("Drop the view, change the stream, and create the view again.")));
}

/* The relation that a rule is of; Invalid: there is no such rule. */
static Oid
relation_of_rule(Oid rule)
{
	Relation	rewrite = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rewrite, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rewrite, AccessShareLock);
	return relid;
}

/* The first continuous view whose query names a column; Invalid: none. */
static Oid
view_of_column(Oid relid, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, streaming_dependents(RelationRelationId, relid))
	{
		StreamingDependency *dependent = lfirst(lc);
		Oid			reader = dependent->own_column == attnum &&
			dependent->class == RewriteRelationId ? relation_of_rule(dependent->object) : InvalidOid;

		if (OidIsValid(reader) && get_rel_namespace(reader) == streaming_internal_namespace())
			return streaming_internal_whole(reader);
	}
	return InvalidOid;
}

void
streaming_refuse_column_type(Oid relid, AlterTableStmt *stmt)
{
	ListCell   *lc;

	/* Others learn nothing of it. */
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		return;
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		AttrNumber	attnum = cmd->subtype == AT_AlterColumnType ?
			get_attnum(relid, cmd->name) : InvalidAttrNumber;
		Oid			view = attnum > 0 ? view_of_column(relid, attnum) : InvalidOid;

		if (OidIsValid(view))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot alter type of a column used by a continuous view"),
					 errdetail("Continuous view \"%s\" depends on column \"%s\".",
							   get_rel_name(view), cmd->name),
					 errhint("Drop the view, alter the column, and create the view again as streaming.viewdef shows it.")));
	}
}

/* What a record means to a view that has read others: see streaming_refuse_change_options. */
static bool
is_change_option(Oid relid, DefElem *option)
{
	return strcmp(option->defname, "changes") == 0 ||
		(strcmp(option->defname, "key") == 0 && streaming_stream_changes(relid));
}

void
streaming_refuse_change_options(Oid relid, AlterTableStmt *stmt)
{
	List	   *views;
	ListCell   *lc;
	ListCell   *option;
	StreamingSourceKind kind;

	if (!streaming_is_stream(relid, &kind) ||
		!object_ownercheck(RelationRelationId, relid, GetUserId()))
		return;
	views = streaming_catalog_views_of_stream(relid);
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype != AT_GenericOptions || views == NIL)
			continue;
		foreach(option, (List *) cmd->def)
		{
			if (is_change_option(relid, lfirst_node(DefElem, option)))
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot change option \"%s\" of stream \"%s\" because continuous view \"%s\" depends on it",
								lfirst_node(DefElem, option)->defname, get_rel_name(relid),
								get_rel_name(linitial_oid(views))),
						 errhint("Drop the view, change the stream, and create the view again.")));
		}
	}
}

/* Is relid what a command attaches to a partitioned table, or a part of that? */
static bool
is_attached(Oid relid, AlterTableCmd *command)
{
	Oid			attached = RangeVarGetRelid(castNode(PartitionCmd, command->def)->name, NoLock, true);

	return relid == attached ||
		(get_rel_relispartition(relid) &&
		 list_member_oid(get_partition_ancestors(relid), attached));
}

/* May rows of relid that are there break a constraint that stmt adds? */
static bool
adds_constraint(Oid relid, Node *stmt)
{
	ListCell   *lc;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) stmt)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		switch (command->subtype)
		{
			case AT_AddConstraint:
				if (!castNode(Constraint, command->def)->skip_validation)
					return true;
				break;
			case AT_AttachPartition:
				if (is_attached(relid, command))
					return true;
				break;
			case AT_AddColumn:
			case AT_AlterColumnType:
			case AT_SetNotNull:
			case AT_ValidateConstraint:
				return true;
			default:
				break;
		}
	}
	return false;
}

/*
 * Nobody asks the one who writes a file or a message, so constraints of what is
 * read could only be believed; but the planner believes them, too.
 */
static void
refuse_constraints(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	if (constr && (constr->num_check > 0 || constr->has_not_null))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream \"%s\" cannot have a %s constraint", RelationGetRelationName(rel),
						constr->num_check > 0 ? "CHECK" : "NOT NULL"),
				 errdetail("Only streams of server \"streaming\" enforce constraints."),
				 errhint("Leave out what does not hold with WHERE in the continuous view, or give the column a domain with the constraint: records that break it are rejected.")));
	relation_close(rel, NoLock);
}

static void
check_stream(Oid relid, Node *stmt)
{
	StreamingSourceKind kind;
	ListCell   *lc;

	if (!streaming_is_stream(relid, &kind))
		return;
	LockRelationOid(relid, AccessShareLock);
	(void) streaming_stream_open(relid, GetUserId());
	if (kind != STREAMING_SOURCE_PUSH)
		refuse_constraints(relid);
	foreach(lc, streaming_catalog_views_of_stream(relid))
		check_view(lfirst_oid(lc), relid);
	if (kind == STREAMING_SOURCE_PUSH)
	{
		streaming_push_create_tables(relid);
		/* rows of ours have been checked where they come from, and not as our owner; those
		 * of a capture lack what was not captured yet */
		if (!OidIsValid(streaming_internal_whole(relid)) && adds_constraint(relid, stmt))
			streaming_push_check_rows(relid);
	}
	streaming_workers_notify();
}

/* Tables that are of the type of a relation (CREATE TABLE ... OF). */
static List *
typed_tables(Oid relid)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, streaming_dependents(TypeRelationId, get_rel_type_id(relid)))
	{
		StreamingDependency *dependent = lfirst(lc);

		if (dependent->class == RelationRelationId && dependent->column == 0 &&
			dependent->object != relid)
			result = lappend_oid(result, dependent->object);
	}
	return result;
}

void
streaming_check_relation(Oid relid, Node *stmt)
{
	ListCell   *lc;

	CommandCounterIncrement();
	if (get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
	{
		/* ALTER TYPE ... CASCADE */
		foreach(lc, typed_tables(relid))
			streaming_check_relation(lfirst_oid(lc), stmt);
		return;
	}
	if (!has_subclass(relid))
	{
		check_stream(relid, stmt);
		return;
	}
	/* What is done to a table is done to those that inherit from it. */
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		check_stream(lfirst_oid(lc), stmt);
}
