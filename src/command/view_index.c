/*
 * view_index.c
 *		CREATE INDEX on a continuous view, and what else is said of such an index:
 *		DROP INDEX, REINDEX, COMMENT ON INDEX, ALTER INDEX ... RENAME; ANALYZE of a view.
 *
 * An index of a view is one of result_<id>, whose first columns are those of the view.
 * The statement is made one about that table and run with the rights of the extension's
 * owner, whom the table belongs to; the right that is asked for is that of the view's
 * owner.  As PostgreSQL's own, such an index goes through a dump and streaming.reset, and
 * batches keep it up to date.
 *
 * It is in the schema of its table, where views of all owners have theirs.  So the
 * server calls it result_<id>_<name>; users say <name>, as if it were in the schema of
 * the view, and are told of a relation of that name there.  Names that begin with "$"
 * are for indexes of ours.
 *
 * What an index calls, to be kept or when somebody analyzes or rebuilds it, is called as
 * the table's owner.  So it calls nothing but what came with the server, on values of
 * types that call nothing else to be compared.
 *
 * None of these statements may span transactions, since the user is another one
 * meanwhile: PostgreSQL would restore that one after an error.  So there is no
 * CONCURRENTLY; readers are not kept waiting anyway, and batches wait.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "command/command.h"
#include "query/key_index.h"
#include "sink/sink.h"
#include "streaming.h"

/* Of the view and of the column in a name that is made up. */
#define NAME_PART	20

/* Who runs a statement, and how. */
typedef struct Statement
{
	const char *sql;
	ProcessUtilityContext context;
	QueryCompletion *qc;
} Statement;

/* An index that users have made; index is Invalid if there is none. */
typedef struct ViewIndex
{
	Oid			view;
	Oid			index;
} ViewIndex;

/* ---------------------------------------------------------------------------
 * Views
 * ---------------------------------------------------------------------------
 */

/* Invalid if name is not that of a continuous view.  Locks nothing. */
static Oid
find_view(const RangeVar *name)
{
	Oid			relid = name && streaming_is_installed() ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;

	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW &&
		streaming_catalog_has_view(relid) ? relid : InvalidOid;
}

static void
check_owner(Oid view)
{
	if (!object_ownercheck(RelationRelationId, view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_VIEW, get_rel_name(view));
}

/*
 * Locks view, which the user must own.  ExclusiveLock keeps batches away, and has one
 * that takes long cancelled; those who read the view are in nobody's way.
 */
static StreamingView *
lock_view(Oid view, LOCKMODE lockmode)
{
	check_owner(view);
	LockRelationOid(view, lockmode);
	AcceptInvalidationMessages();
	if (!OidIsValid(streaming_relation_owner(view, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", view)));
	check_owner(view);			/* it may have changed hands meanwhile */
	return streaming_catalog_view(view, false);
}

/* result_<id> if it is a part of view; Invalid. */
static Oid
find_result(const StreamingView *view)
{
	Oid			relid = get_relname_relid(psprintf("result_%d", view->id),
										  streaming_internal_namespace());

	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_RELATION &&
		streaming_internal_whole(relid) == view->view ? relid : InvalidOid;
}

/* Are its rows in a table of ours? */
static bool
shows_result(const StreamingView *view)
{
	return view->sink.kind != STREAMING_SINK_RELATION && OidIsValid(view->result) &&
		OidIsValid(find_result(view));
}

/* The table behind a view that is locked, with its columns. */
static Oid
require_result(const StreamingView *view)
{
	Oid			result = find_result(view);
	Relation	rel;
	Relation	table;
	bool		fits;

	if (view->restored)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view \"%s\" has not been restored yet", get_rel_name(view->view)),
				 errhint("Wait until pg_restore has ended and the view is in streaming.views.")));
	if (view->sink.kind == STREAMING_SINK_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous view \"%s\" has no table of its own to index", get_rel_name(view->view)),
				 errdetail("It shows what is in its sink, \"%s\".", get_rel_name(view->sink.relid)),
				 errhint("Name \"%s\" instead.", get_rel_name(view->sink.relid))));
	if (!shows_result(view))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous view \"%s\" has no table of its own to index", get_rel_name(view->view)),
				 errdetail("Its results go to its sink and are kept nowhere.")));

	rel = relation_open(view->view, NoLock);
	table = relation_open(result, AccessShareLock);
	fits = RelationGetNumberOfAttributes(rel) <= RelationGetNumberOfAttributes(table);
	for (int i = 0; fits && i < RelationGetNumberOfAttributes(rel); i++)
		fits = TupleDescAttr(RelationGetDescr(rel), i)->atttypid ==
			TupleDescAttr(RelationGetDescr(table), i)->atttypid;
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table \"%s.%s\" does not fit its continuous view any more",
						STREAMING_INTERNAL_SCHEMA, RelationGetRelationName(table)),
				 errhint("Drop the view and create it again.")));
	relation_close(table, AccessShareLock);
	relation_close(rel, NoLock);
	return result;
}

static RangeVar *
internal_name(Oid relid)
{
	return makeRangeVar(pstrdup(STREAMING_INTERNAL_SCHEMA), get_rel_name(relid), -1);
}

/*
 * Runs a statement about our table with the rights of its owner.  Where an index is made
 * is for who says so, and not for the user's settings, to be asked for the right to.
 */
static void
run(Node *stmt, const Statement *statement)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	(void) set_config_option("default_tablespace", "", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	streaming_process_utility(stmt, statement->sql, statement->context, statement->qc);
	streaming_owner_rights_end(&rights);
	CommandCounterIncrement();
}

/* ---------------------------------------------------------------------------
 * Names
 * ---------------------------------------------------------------------------
 */

static char *
prefix_of(const StreamingView *view)
{
	return psprintf("result_%d_", view->id);
}

/* Is it longer than there is room for? */
static bool
is_too_long(const StreamingView *view, const char *name)
{
	return strlen(prefix_of(view)) + strlen(name) >= NAMEDATALEN;
}

static char *
full_name(const StreamingView *view, const char *name)
{
	if (is_too_long(view, name))
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name \"%s\" of an index of a continuous view is too long", name),
				 errdetail("The name of its table, \"result_%d\", is put before it.", view->id),
				 errhint("Use a name of at most %d bytes.",
						 (int) (NAMEDATALEN - 1 - strlen(prefix_of(view))))));
	return psprintf("%s%s", prefix_of(view), name);
}

/* Was index made with the view? */
static bool
is_part(const StreamingView *view, const char *index)
{
	ListCell   *lc;

	foreach(lc, view->relations)
	{
		if (strcmp(lfirst(lc), index) == 0)
			return true;
	}
	return false;
}

/* The index of view that users call name; Invalid: there is none. */
static Oid
index_of_view(const StreamingView *view, const char *name)
{
	Oid			result = find_result(view);
	Oid			index;
	char	   *full;

	if (!OidIsValid(result) || name[0] == '$' || is_too_long(view, name))
		return InvalidOid;
	full = full_name(view, name);
	if (is_part(view, full))
		return InvalidOid;
	index = get_relname_relid(full, streaming_internal_namespace());
	return OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX &&
		IndexGetRelation(index, true) == result ? index : InvalidOid;
}

/* Among the views in a schema. */
static ViewIndex
index_in_schema(Oid namespace, const char *name)
{
	ListCell   *lc;

	foreach(lc, streaming_catalog_views())
	{
		StreamingView *view = lfirst(lc);
		ViewIndex	found = {view->view, InvalidOid};

		if (get_rel_namespace(view->view) != namespace)
			continue;
		found.index = index_of_view(view, name);
		if (OidIsValid(found.index))
			return found;
	}
	return (ViewIndex) {InvalidOid, InvalidOid};
}

/* What the server calls by that name: an index of a view that users have made? */
static ViewIndex
index_by_full_name(Oid relid)
{
	ViewIndex	found = {InvalidOid, InvalidOid};
	StreamingView *view = NULL;

	if (get_rel_namespace(relid) == streaming_internal_namespace() &&
		get_rel_relkind(relid) == RELKIND_INDEX)
		view = streaming_catalog_view(streaming_internal_root(relid), true);
	if (view && strncmp(get_rel_name(relid), prefix_of(view), strlen(prefix_of(view))) == 0 &&
		index_of_view(view, get_rel_name(relid) + strlen(prefix_of(view))) == relid)
		found = (ViewIndex) {view->view, relid};
	return found;
}

/* What PostgreSQL itself finds by a name is what is meant, and else an index of a view. */
static ViewIndex
find_index(const RangeVar *name)
{
	ViewIndex	found = {InvalidOid, InvalidOid};
	Oid			relid;
	ListCell   *lc;

	if (name == NULL || !streaming_is_installed())
		return found;
	relid = RangeVarGetRelid(name, NoLock, true);
	if (OidIsValid(relid))
		return index_by_full_name(relid);
	if (name->schemaname)
	{
		Oid			namespace = LookupExplicitNamespace(name->schemaname, true);

		return OidIsValid(namespace) ? index_in_schema(namespace, name->relname) : found;
	}
	foreach(lc, fetch_search_path(false))
	{
		found = index_in_schema(lfirst_oid(lc), name->relname);
		if (OidIsValid(found.index))
			break;
	}
	return found;
}

/* Locks the view of an index that the user must own, and keeps its batches away. */
static StreamingView *
lock_index(const ViewIndex *index)
{
	StreamingView *view = lock_view(index->view, ExclusiveLock);

	if (!OidIsValid(index_by_full_name(index->index).index))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist", index->index)));
	return view;
}

static bool
is_taken(Oid namespace, const char *name)
{
	return OidIsValid(get_relname_relid(name, namespace)) ||
		OidIsValid(index_in_schema(namespace, name).index);
}

static void
refuse_name(const char *name)
{
	if (name[0] == '$')
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("index name \"%s\" is reserved", name),
				 errhint("Names of indexes of continuous views do not begin with \"$\".")));
}

/* As PostgreSQL names it: of the view, its columns, and a number if need be. */
static char *
choose_name(const StreamingView *view, IndexStmt *stmt)
{
	StringInfoData columns;
	char	   *table = get_rel_name(view->view);
	char	   *name;
	int			n = 0;
	ListCell   *lc;

	initStringInfo(&columns);
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *elem = lfirst_node(IndexElem, lc);

		appendStringInfo(&columns, "%s%s", columns.len ? "_" : "",
						 elem->name ? elem->name : elem->indexcolname ? elem->indexcolname : "expr");
	}
	columns.data[pg_mbcliplen(columns.data, columns.len, NAME_PART)] = '\0';
	table[pg_mbcliplen(table, strlen(table), NAME_PART)] = '\0';
	do
		name = makeObjectName(table, columns.data, n ? psprintf("idx%d", n) : "idx");
	while (is_taken(get_rel_namespace(view->view), name) && ++n);
	return name;
}

/* ---------------------------------------------------------------------------
 * What an index calls
 * ---------------------------------------------------------------------------
 */

static void
refuse_code(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("indexes of continuous views do not support %s", what),
			 errdetail("Such an index may call nothing but functions that came with PostgreSQL."),
			 errhint("Let the view write to a table of yours (option streaming.sink), and create the index there.")));
}

static bool
is_foreign_function(Oid function, void *context)
{
	AclResult	result;

	if (function >= FirstUnpinnedObjectId)
		refuse_code(psprintf("function %s", format_procedure(function)));
	result = streaming_function_aclcheck(function, GetUserId());
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	return false;
}

static void
check_type(Oid type)
{
	if (!streaming_type_is_plain(type))
		refuse_code(psprintf("values of type %s", format_type_be(type)));
}

/* Nodes are those that are known to call only what they name. */
static bool
check_expression(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
			break;
		case T_Var:
			if (((Var *) node)->varattno <= 0)
				refuse_code("whole rows");
			pg_fallthrough;
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CollateExpr:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_SubscriptingRef:
			check_type(exprType(node));
			break;
		default:
			refuse_code("such expressions");
	}
	(void) check_functions_in_node(node, is_foreign_function, NULL);
	return expression_tree_walker(node, check_expression, context);
}

/* A column of the view becomes the one of the table; collations keep their meaning. */
static void
convert_element(const StreamingView *view, Oid result, IndexElem *elem, Oid method)
{
	Oid			type;
	Oid			opclass;

	if (elem->name)
	{
		AttrNumber	attno = get_attnum(view->view, elem->name);

		if (attno == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" does not exist", elem->name)));
		elem->name = get_attname(result, attno, false);
		type = get_atttype(result, attno);
		check_type(type);
	}
	else
	{
		(void) check_expression(elem->expr, NULL);
		type = exprType(elem->expr);
	}
	if (elem->collation)
	{
		Oid			collation = get_collation_oid(elem->collation, false);
		HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
		Form_pg_collation form = (Form_pg_collation) GETSTRUCT(tuple);

		elem->collation = list_make2(makeString(get_namespace_name(form->collnamespace)),
									 makeString(pstrdup(NameStr(form->collname))));
		ReleaseSysCache(tuple);
	}
	if (!OidIsValid(method))
		return;					/* it is only kept */
	opclass = ResolveOpClass(elem->opclass, type, get_am_name(method), method);
	if (opclass >= FirstUnpinnedObjectId)
		refuse_code("operator classes that did not come with PostgreSQL");
}

/* ---------------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------------
 */

static void
refuse_concurrently(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("continuous views do not support %s", what),
			 errhint("Leave CONCURRENTLY out: who reads the view is not kept waiting, and batches go on afterwards.")));
}

static void
check_create(IndexStmt *stmt)
{
	if (stmt->unique || stmt->primary || stmt->isconstraint)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("continuous views do not support unique indexes"),
				 errdetail("Their rows are what their query says; nothing else can forbid one."),
				 errhint("Create an index that is not unique.")));
	if (stmt->concurrent)
		refuse_concurrently("CREATE INDEX CONCURRENTLY");
	if (stmt->tableSpace)
	{
		AclResult	result = streaming_tablespace_aclcheck(get_tablespace_oid(stmt->tableSpace, false),
														   GetUserId());

		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLESPACE, stmt->tableSpace);
	}
}

static void
create_index(Oid relid, IndexStmt *stmt, const Statement *statement)
{
	StreamingView *view = lock_view(relid, ExclusiveLock);
	Oid			result = require_result(view);
	Oid			method = get_index_am_oid(stmt->accessMethod, false);
	ListCell   *lc;

	check_create(stmt);
	if (method >= FirstUnpinnedObjectId)
		refuse_code(psprintf("access method %s", stmt->accessMethod));
	/* as the user, before anything is run as somebody else */
	stmt = transformIndexStmt(relid, copyObject(stmt), statement->sql);
	if (stmt->idxname == NULL)
		stmt->idxname = choose_name(view, stmt);
	refuse_name(stmt->idxname);
	if (is_taken(get_rel_namespace(relid), stmt->idxname))
	{
		ereport(stmt->if_not_exists ? NOTICE : ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 stmt->if_not_exists ?
				 errmsg("relation \"%s\" already exists, skipping", stmt->idxname) :
				 errmsg("relation \"%s\" already exists", stmt->idxname)));
		return;
	}
	foreach(lc, stmt->indexParams)
		convert_element(view, result, lfirst_node(IndexElem, lc), method);
	foreach(lc, stmt->indexIncludingParams)
		convert_element(view, result, lfirst_node(IndexElem, lc), InvalidOid);
	(void) check_expression(stmt->whereClause, NULL);
	stmt->idxname = full_name(view, stmt->idxname);
	stmt->relation = internal_name(result);
	run((Node *) stmt, statement);
}

/* Of the objects named, drops those that are indexes of views; returns whether others are left. */
static bool
drop_indexes(DropStmt *stmt, const Statement *statement)
{
	List	   *ours = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		ViewIndex	index = find_index(makeRangeVarFromNameList(lfirst(lc)));

		if (!OidIsValid(index.index))
		{
			others = lappend(others, lfirst(lc));
			continue;
		}
		if (stmt->concurrent)
			refuse_concurrently("DROP INDEX CONCURRENTLY");
		(void) lock_index(&index);
		ours = list_append_unique(ours, list_make2(makeString(STREAMING_INTERNAL_SCHEMA),
												   makeString(get_rel_name(index.index))));
	}
	if (ours)
	{
		DropStmt   *drop = copyObject(stmt);

		drop->objects = ours;
		run((Node *) drop, statement);
	}
	stmt->objects = others;
	return ours == NIL || others != NIL;
}

/* Is it one of ours?  Then runs it. */
static bool
reindex(ReindexStmt *stmt, const Statement *statement)
{
	RangeVar   *name = NULL;
	ListCell   *lc;

	if (stmt->kind == REINDEX_OBJECT_TABLE)
	{
		Oid			relid = find_view(stmt->relation);

		if (OidIsValid(relid))
			name = internal_name(require_result(lock_view(relid, ExclusiveLock)));
	}
	else if (stmt->kind == REINDEX_OBJECT_INDEX)
	{
		ViewIndex	index = find_index(stmt->relation);

		if (OidIsValid(index.index))
		{
			(void) lock_index(&index);
			name = internal_name(index.index);
		}
	}
	if (name == NULL)
		return false;
	foreach(lc, stmt->params)
	{
		DefElem    *param = lfirst_node(DefElem, lc);

		if (strcmp(param->defname, "concurrently") == 0 && defGetBoolean(param))
			refuse_concurrently("REINDEX CONCURRENTLY");
		if (strcmp(param->defname, "tablespace") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("indexes of continuous views cannot be moved by REINDEX"),
					 errhint("Drop the index, and create it in the other tablespace.")));
	}
	stmt = copyObject(stmt);
	stmt->relation = name;
	run((Node *) stmt, statement);
	return true;
}

/* Columns of the table for those of the view. */
static List *
convert_columns(Oid view, Oid result, List *columns)
{
	List	   *converted = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		AttrNumber	attno = get_attnum(view, strVal(lfirst(lc)));

		if (attno == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							strVal(lfirst(lc)), get_rel_name(view))));
		converted = lappend(converted, makeString(get_attname(result, attno, false)));
	}
	return converted;
}

/*
 * Analyzes those relations that are views, each in the transaction of the user's;
 * returns whether others are left, such as views whose rows are elsewhere.  As with a
 * table, that others own it is no error.
 */
static bool
analyze_views(VacuumStmt *stmt, const Statement *statement)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, stmt->rels)
	{
		VacuumRelation *rel = lfirst_node(VacuumRelation, lc);
		Oid			relid = find_view(rel->relation);
		VacuumStmt *analyze;
		Oid			result;

		if (OidIsValid(relid) && !object_ownercheck(RelationRelationId, relid, GetUserId()))
		{
			ereport(WARNING,
					(errmsg("skipping \"%s\" --- only its owner can analyze it", get_rel_name(relid))));
			continue;
		}
		if (!OidIsValid(relid) || !shows_result(streaming_catalog_view(relid, false)))
		{
			others = lappend(others, rel);
			continue;
		}
		result = require_result(lock_view(relid, AccessShareLock));
		analyze = copyObject(stmt);
		analyze->rels = list_make1(makeVacuumRelation(internal_name(result), InvalidOid,
													  convert_columns(relid, result, rel->va_cols)));
		run((Node *) analyze, statement);
	}
	stmt->rels = others;		/* there was one at least */
	return others != NIL;
}

/* Is it about an index of ours?  Then runs it. */
static bool
comment(CommentStmt *stmt, const Statement *statement)
{
	ViewIndex	index = find_index(makeRangeVarFromNameList((List *) stmt->object));

	if (!OidIsValid(index.index))
		return false;
	(void) lock_index(&index);
	stmt = copyObject(stmt);
	stmt->object = (Node *) list_make2(makeString(STREAMING_INTERNAL_SCHEMA),
									   makeString(get_rel_name(index.index)));
	run((Node *) stmt, statement);
	return true;
}

static bool
rename_index(RenameStmt *stmt, const Statement *statement)
{
	ViewIndex	index = find_index(stmt->relation);
	StreamingView *view;

	if (!OidIsValid(index.index))
		return false;
	view = lock_index(&index);
	refuse_name(stmt->newname);
	if (is_taken(get_rel_namespace(view->view), stmt->newname))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", stmt->newname)));
	stmt = copyObject(stmt);
	stmt->relation = internal_name(index.index);
	stmt->newname = full_name(view, stmt->newname);
	run((Node *) stmt, statement);
	return true;
}

PlannedStmt *
streaming_run_on_indexes(PlannedStmt *pstmt, const char *sql, ProcessUtilityContext context,
						 QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	Statement	statement = {sql, context, qc};
	bool		left = true;
	Oid			view;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			view = find_view(((IndexStmt *) stmt)->relation);
			if (OidIsValid(view))
				create_index(view, (IndexStmt *) stmt, &statement);
			left = !OidIsValid(view);
			break;
		case T_DropStmt:
			if (((DropStmt *) stmt)->removeType != OBJECT_INDEX)
				break;
			pstmt = copyObject(pstmt);
			left = drop_indexes((DropStmt *) pstmt->utilityStmt, &statement);
			break;
		case T_ReindexStmt:
			left = !reindex((ReindexStmt *) stmt, &statement);
			break;
		case T_VacuumStmt:
			if (((VacuumStmt *) stmt)->is_vacuumcmd || ((VacuumStmt *) stmt)->rels == NIL)
				break;
			pstmt = copyObject(pstmt);
			left = analyze_views((VacuumStmt *) pstmt->utilityStmt, &statement);
			break;
		case T_CommentStmt:
			if (((CommentStmt *) stmt)->objtype == OBJECT_INDEX)
				left = !comment((CommentStmt *) stmt, &statement);
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_INDEX)
				left = !rename_index((RenameStmt *) stmt, &statement);
			break;
		default:
			break;
	}
	return left ? pstmt : NULL;
}
