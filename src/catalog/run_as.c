/*
 * run_as.c
 *		What a user wrote runs as its owner, see run_as.h.
 *
 * A security-restricted operation, as core has it for REFRESH MATERIALIZED VIEW
 * and index expressions, keeps most of what would outlive it from being made:
 * temporary tables, prepared statements, cursors WITH HOLD, LISTEN, deferred
 * triggers, another role.  Workers run the code of many owners one after the
 * other, and so see to the rest:
 *
 *	settings		undone at the end
 *	session_user	the owner
 *	pg_temp			what is made there is an error (core refuses tables, and of late types)
 *	advisory locks	those of the session are released with the transaction
 *	setseed()		another seed when the owner changes
 *	dblink			its connections are closed when the owner changes
 *
 * What other libraries keep in their own memory nobody can clear.  (Trusted
 * languages keep a memory for each role.)
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/catcache.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "streaming.h"
#include "base/attempt.h"
#include "base/depend.h"
#include "catalog/view.h"
#include "catalog/run_as.h"
#include "base/settings.h"

#define SAFE_SEARCH_PATH	"pg_catalog, pg_temp"

/* What NewGUCNestLevel returns where nobody has begun a level of settings. */
#define FIRST_LEVEL			2

static bool is_worker = false;
static bool session_changed = false;	/* the session's user is an owner */
static bool has_run = false;	/* code of an owner, in this transaction */
static Oid	last_owner = InvalidOid;

static void
restore_session(void)
{
	if (!session_changed)
		return;
	session_changed = false;
	SetSessionAuthorization(GetAuthenticatedUserId(), true);
}

/* After an error the transaction itself has restored the current user. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	restore_session();
	if (has_run)
		LockReleaseSession(USER_LOCKMETHOD);
	has_run = false;
}

void
streaming_run_as_worker(void)
{
	if (is_worker)
		return;
	RegisterXactCallback(transaction_ended, NULL);
	is_worker = true;
}

/* Nobody is to foresee another owner's random(). */
static void
change_seed(void)
{
	uint64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random seed")));
	DirectFunctionCall1(setseed,
						Float8GetDatum((double) (number >> 11) / (UINT64CONST(1) << 53)));
}

/*
 * The function of extension dblink of that name and number of arguments (of text);
 * Invalid: there is none.
 */
static Oid
dblink_function(Oid extension, const char *name, int nargs)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			found = InvalidOid;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (form->pronargs == nargs && (nargs == 0 || form->proargtypes.values[0] == TEXTOID) &&
			getExtensionOfObject(ProcedureRelationId, form->oid) == extension)
			found = form->oid;
	}
	ReleaseSysCacheList(list);
	return found;
}

/* A streaming_attempt: fails where there is no such connection. */
static void
close_unnamed(void *arg)
{
	(void) OidFunctionCall0(*(Oid *) arg);
}

/* Connections of dblink outlive a transaction, and are anybody's in the process. */
static void
close_connections(void)
{
	Oid			extension = get_extension_oid("dblink", true);
	Oid			names;
	Oid			close_named;
	Oid			close;
	FmgrInfo	flinfo;
	Datum	   *elements;
	int			n;
	Datum		array;
	LOCAL_FCINFO(fcinfo, 0);

	if (!OidIsValid(extension) ||
		!OidIsValid(names = dblink_function(extension, "dblink_get_connections", 0)) ||
		!OidIsValid(close_named = dblink_function(extension, "dblink_disconnect", 1)) ||
		!OidIsValid(close = dblink_function(extension, "dblink_disconnect", 0)))
		return;
	fmgr_info(names, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, NULL);
	array = FunctionCallInvoke(fcinfo);
	if (!fcinfo->isnull)
	{
		deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, NULL, &n);
		for (int i = 0; i < n; i++)
			(void) OidFunctionCall1(close_named, elements[i]);
	}
	(void) streaming_attempt(close_unnamed, &close, CurrentMemoryContext);
}

void
streaming_run_as_begin(StreamingRunAs *saved, Oid owner, const List *settings)
{
	GetUserIdAndSecContext(&saved->userid, &saved->security_context);
	saved->session = is_worker && saved->security_context == 0;
	if (saved->session)
	{
		session_changed = true;
		SetSessionAuthorization(owner, superuser_arg(owner));
	}
	if (is_worker && owner != last_owner)
	{
		if (OidIsValid(last_owner))
		{
			change_seed();
			close_connections();
		}
		last_owner = owner;
	}
	has_run = true;
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, saved->security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	if (strcmp(namespace_search_path, SAFE_SEARCH_PATH) != 0)
		(void) set_config_option("search_path", SAFE_SEARCH_PATH, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* the first level of a worker's transaction is over the settings of its session */
	if (saved->session && saved->guc_level == FIRST_LEVEL)
		streaming_settings_use_known(settings);
	else
		streaming_settings_use(settings);
}

/* Is an object in our temporary schema one that we have made there? */
static bool
is_ours(StreamingDependency *dependent)
{
	return dependent->class == RelationRelationId &&
		streaming_relation_owner(dependent->object, true) == streaming_catalog_owner();
}

static void
refuse_temporary_objects(void)
{
	Oid			namespace;
	Oid			toast_namespace;
	ListCell   *lc;

	GetTempNamespaceState(&namespace, &toast_namespace);
	if (!OidIsValid(namespace))
		return;
	foreach(lc, streaming_dependents(NamespaceRelationId, namespace))
	{
		if (!is_ours(lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("cannot create temporary objects within security-restricted operation"),
					 errhint("Create them in another schema than pg_temp.")));
	}
}

void
streaming_run_as_end(const StreamingRunAs *saved)
{
	/* false: what the owner's code has SET is undone like the rest */
	AtEOXact_GUC(false, saved->guc_level);
	if (is_worker)
		refuse_temporary_objects();
	SetUserIdAndSecContext(saved->userid, saved->security_context);
	if (saved->session)
		restore_session();
}
