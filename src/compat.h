/*
 * compat.h
 *		The only place that looks at PG_VERSION_NUM.
 *
 * Code is written to the newest API; each shim cites the upstream commit that
 * made the difference.
 */
#ifndef STREAMING_COMPAT_H
#define STREAMING_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "streaming needs PostgreSQL 15 or later"
#endif

/* pg_noreturn stands before the declaration since 28f04984f (18). */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/*
 * Grouping expressions stand where they are used before 247dea89f (18); after
 * this, nowhere else.
 */
#if PG_VERSION_NUM < 180000
#define streaming_flatten_group_exprs(query) ((void) (query))
#else
#define streaming_flatten_group_exprs(query) \
	do { \
		if ((query)->hasGroupRTE) \
		{ \
			(query)->targetList = (List *) \
				flatten_group_exprs(NULL, (query), (Node *) (query)->targetList); \
			(query)->havingQual = \
				flatten_group_exprs(NULL, (query), (query)->havingQual); \
			foreach_node(RangeTblEntry, group_rte, (query)->rtable) \
			{ \
				if (group_rte->rtekind == RTE_GROUP) \
					group_rte->groupexprs = NIL; \
			} \
			(query)->hasGroupRTE = false; \
		} \
	} while (0)
#endif

/* smgrzeroextend() is there since 4d330a61b (16). */
#if PG_VERSION_NUM >= 160000
#define STREAMING_HAS_ZEROEXTEND
#endif

/* The compiler's, or nothing. */
#ifdef __GNUC__
#define streaming_prefetch(address) __builtin_prefetch(address)
#else
#define streaming_prefetch(address) ((void) 0)
#endif

/* An attribute of the language stands where comments did before 19. */
#if PG_VERSION_NUM < 190000
#ifdef __GNUC__
#define pg_fallthrough __attribute__((fallthrough))
#else
#define pg_fallthrough ((void) 0)
#endif
#endif

/*
 * A parameter for statistics came with 0fbceae84 (18), flags for the caller with
 * dcd8cc1c8 (19).
 */
#if PG_VERSION_NUM < 180000
#define streaming_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#elif PG_VERSION_NUM < 190000
#define streaming_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define streaming_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0, SO_NONE)
#endif

/* Likewise. */
#if PG_VERSION_NUM < 190000
#define streaming_beginscan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL)
#else
#define streaming_beginscan(rel, snapshot) table_beginscan(rel, snapshot, 0, NULL, SO_NONE)
#endif

/* Likewise. */
#if PG_VERSION_NUM < 190000
#define streaming_beginscan_tidrange(rel, snapshot, from, upto) \
	table_beginscan_tidrange(rel, snapshot, from, upto)
#else
#define streaming_beginscan_tidrange(rel, snapshot, from, upto) \
	table_beginscan_tidrange(rel, snapshot, from, upto, SO_NONE)
#endif

/*
 * Who reads a page may mark it as all visible since b46e1e54d (19), and pins the
 * visibility map for that.  Nothing is marked for who is about to write.
 */
#if PG_VERSION_NUM < 190000
#define streaming_prune_page(rel, buffer) heap_page_prune_opt(rel, buffer)
#else
#define streaming_prune_page(rel, buffer) \
	do { \
		Buffer		visibility_ = InvalidBuffer; \
		heap_page_prune_opt(rel, buffer, &visibility_, false); \
		if (BufferIsValid(visibility_)) \
			ReleaseBuffer(visibility_); \
	} while (0)
#endif

/* Where attributes are is computed in advance since c456e3911 (19). */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) (desc))
#endif

/* Slots have flags for their maker since the same commit. */
#if PG_VERSION_NUM < 190000
#define streaming_make_slot(desc, ops) MakeTupleTableSlot(desc, ops)
#define streaming_init_scan_slot(estate, scan, desc, ops) \
	ExecInitScanTupleSlot(estate, scan, desc, ops)
#else
#define streaming_make_slot(desc, ops) MakeTupleTableSlot(desc, ops, 0)
#define streaming_init_scan_slot(estate, scan, desc, ops) \
	ExecInitScanTupleSlot(estate, scan, desc, ops, 0)
#endif

/* Window functions may pass over NULLs since 25a30bbd4 (19). */
#if PG_VERSION_NUM < 190000
#define streaming_skips_nulls(function) false
#else
#define streaming_skips_nulls(function) ((function)->ignore_nulls != NO_NULLTREATMENT)
#endif

/* The planner learns of EXPLAIN since c83ac02ec (19). */
#if PG_VERSION_NUM < 190000
#define STREAMING_PLANNER_PARAMETERS \
	Query *parse, const char *query_string, int cursor_options, ParamListInfo params
#define STREAMING_PLANNER_ARGUMENTS parse, query_string, cursor_options, params
#else
#define STREAMING_PLANNER_PARAMETERS \
	Query *parse, const char *query_string, int cursor_options, ParamListInfo params, \
	ExplainState *explain
#define STREAMING_PLANNER_ARGUMENTS parse, query_string, cursor_options, params, explain
#endif

/* Whatever has the name and the number of arguments; why nothing has, 83a564194 (19). */
#if PG_VERSION_NUM < 190000
#define streaming_function_candidates(names, nargs) \
	FuncnameGetCandidates(names, nargs, NIL, false, false, false, true)
#else
#define streaming_function_candidates(names, nargs) \
	FuncnameGetCandidates(names, nargs, NIL, false, false, false, true, &(int) {0})
#endif

/* A relation's file is a locator since b0a55e432 (16). */
#if PG_VERSION_NUM < 160000
#define streaming_read_recent_buffer(rel, block, buffer) \
	ReadRecentBuffer((rel)->rd_node, MAIN_FORKNUM, block, buffer)
#else
#define streaming_read_recent_buffer(rel, block, buffer) \
	ReadRecentBuffer((rel)->rd_locator, MAIN_FORKNUM, block, buffer)
#endif

/* Updates may concern summarizing indexes only since 19d8e2308 (16). */
#if PG_VERSION_NUM < 160000
#define streaming_update_indexes	bool
#define streaming_must_index(update_indexes)	(update_indexes)
#define streaming_only_summarizing(update_indexes)	false
#define streaming_insert_index_tuples(result, slot, estate, summarizing) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL)
#else
#define streaming_update_indexes	TU_UpdateIndexes
#define streaming_must_index(update_indexes)	((update_indexes) != TU_None)
#define streaming_only_summarizing(update_indexes)	((update_indexes) == TU_Summarizing)
/* in flags since 19 */
#if PG_VERSION_NUM < 190000
#define streaming_insert_index_tuples(result, slot, estate, summarizing) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, summarizing)
#else
#define streaming_insert_index_tuples(result, slot, estate, summarizing) \
	ExecInsertIndexTuples(result, estate, (summarizing) ? EIIT_ONLY_SUMMARIZING : 0, slot, \
						  NIL, NULL)
#endif
#endif

/* Who flattens names the planner's state since 2489d76c4 (16), or none. */
#if PG_VERSION_NUM < 160000
#define streaming_flatten_join_alias_vars(query, node) flatten_join_alias_vars(query, node)
#else
#define streaming_flatten_join_alias_vars(query, node) flatten_join_alias_vars(NULL, query, node)
#endif

/* Permissions to check are beside the range table since a61b1f748 (16). */
#if PG_VERSION_NUM < 160000
#define streaming_forget_permissions(rte) ((rte)->requiredPerms = 0)
#else
#define streaming_forget_permissions(rte) ((rte)->perminfoindex = 0)
#endif

/* VACUUM of a table need not read all of pg_class since a46a7011b (16). */
#if PG_VERSION_NUM < 160000
#define STREAMING_VACUUM_SKIPS_DATABASE_STATS false
#else
#define STREAMING_VACUUM_SKIPS_DATABASE_STATS true
#endif

/* One function a kind of object before afbfc0298 (16). */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_class_d.h"
#include "catalog/pg_database_d.h"
#define object_ownercheck(classid, objid, roleid) \
	((classid) == DatabaseRelationId ? \
	 pg_database_ownercheck((objid), (roleid)) : pg_class_ownercheck((objid), (roleid)))
#endif

/* Likewise for rights, c727f511b (16). */
#if PG_VERSION_NUM < 160000
#define streaming_function_aclcheck(function, roleid) \
	pg_proc_aclcheck((function), (roleid), ACL_EXECUTE)
#else
#define streaming_function_aclcheck(function, roleid) \
	object_aclcheck(ProcedureRelationId, (function), (roleid), ACL_EXECUTE)
#endif

#if PG_VERSION_NUM < 160000
#define streaming_tablespace_aclcheck(tablespace, roleid) \
	pg_tablespace_aclcheck((tablespace), (roleid), ACL_CREATE)
#else
#define streaming_tablespace_aclcheck(tablespace, roleid) \
	object_aclcheck(TableSpaceRelationId, (tablespace), (roleid), ACL_CREATE)
#endif

/* Conversions may report errors softly since 858e776c84f (16). */
#if PG_VERSION_NUM < 160000
#define streaming_qualified_names(string) stringToQualifiedNameList(string)
#else
#define streaming_qualified_names(string) stringToQualifiedNameList(string, NULL)
#endif

/* A place for soft errors, as the input functions want it, came with 16. */
#if PG_VERSION_NUM < 160000
#define streaming_make_range(type, lower, upper) make_range(type, lower, upper, false)
#else
#define streaming_make_range(type, lower, upper) make_range(type, lower, upper, false, NULL)
#endif

/* Backends were numbered from 1 before 024c52111 (17). */
#if PG_VERSION_NUM < 170000
#define streaming_my_proc_number() (MyProc->pgprocno)
#else
#define streaming_my_proc_number() MyProcNumber
#endif

/* Wait event sets belong to a resource owner since 50c67c201 (17). */
#if PG_VERSION_NUM < 170000
#define streaming_create_wait_event_set(nevents) \
	CreateWaitEventSet(TopMemoryContext, nevents)
#else
#define streaming_create_wait_event_set(nevents) \
	CreateWaitEventSet(NULL, nevents)
#endif

/* Room in front of a copied tuple came with cc5ef90ed (18). */
#if PG_VERSION_NUM < 180000
#define STREAMING_COPY_MINIMAL_ARGS TupleTableSlot *slot
#define streaming_form_minimal_tuple(desc, values, isnull) \
	heap_form_minimal_tuple(desc, values, isnull)
#else
#define STREAMING_COPY_MINIMAL_ARGS TupleTableSlot *slot, Size extra
#define streaming_form_minimal_tuple(desc, values, isnull) \
	heap_form_minimal_tuple(desc, values, isnull, extra)
#endif

/* fdw_restrictinfo came with 9e9931d2b (17), disabled_nodes with e22253467 (18). */
#if PG_VERSION_NUM < 170000
#define streaming_create_foreignscan_path(root, rel, rows, startup, total, outer) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, outer, NULL, NIL)
#elif PG_VERSION_NUM < 180000
#define streaming_create_foreignscan_path(root, rel, rows, startup, total, outer) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, outer, NULL, NIL, NIL)
#else
#define streaming_create_foreignscan_path(root, rel, rows, startup, total, outer) \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, NIL, outer, NULL, NIL, NIL)
#endif

/* The user a foreign scan runs as is in its plan node since 599b33b94 (16). */
#if PG_VERSION_NUM < 160000
#define streaming_scan_check_as_user(node) \
	(exec_rt_fetch(((Scan *) (node)->ss.ps.plan)->scanrelid, (node)->ss.ps.state)->checkAsUser)
#else
#define streaming_scan_check_as_user(node) \
	(((ForeignScan *) (node)->ss.ps.plan)->checkAsUser)
#endif
#define streaming_scan_userid(node) \
	(OidIsValid(streaming_scan_check_as_user(node)) ? \
	 streaming_scan_check_as_user(node) : GetUserId())

/* Whether a datum is copied is asked since 16. */
#if PG_VERSION_NUM < 160000
#define streaming_tuplesort_getdatum(state, value, isnull) \
	tuplesort_getdatum(state, true, value, isnull, NULL)
#else
#define streaming_tuplesort_getdatum(state, value, isnull) \
	tuplesort_getdatum(state, true, false, value, isnull, NULL)
#endif

/* The expression of a generated column can be changed since 5d06e99a3 (17). */
#if PG_VERSION_NUM < 170000
#define streaming_sets_expression(cmd) false
#else
#define streaming_sets_expression(cmd) ((cmd)->subtype == AT_SetExpression)
#endif

/* Generated columns can be virtual since 83ea6c540 (18). */
#if PG_VERSION_NUM < 180000
#define ATTRIBUTE_GENERATED_VIRTUAL 'v'
#endif

/* lsyscache.h: other kinds of indexes have orders, too. */
#if PG_VERSION_NUM >= 180000
#define get_op_btree_interpretation get_op_index_interpretation
#endif

#endif							/* STREAMING_COMPAT_H */
