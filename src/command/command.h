/*
 * command.h
 *		The user says something: utility statements that concern streams and
 *		continuous views.
 *
 * utility.c looks at each statement and hands those that concern us to the
 * file of the command.  Commands run with the rights and the search_path of
 * the user; only what they make in schema streaming_internal is made with the
 * rights of the extension's owner.
 */
#ifndef STREAMING_COMMAND_H
#define STREAMING_COMMAND_H

#include "access/tupdesc.h"
#include "catalog/internal.h"
#include "catalog/view.h"
#include "nodes/parsenodes.h"
#include "catalog/stream.h"
#include "tcop/utility.h"

/* Options of a continuous view, as in WITH (streaming.xxx = ...). */
typedef struct StreamingViewOptions
{
	char	   *trigger_text;
	int			output_mode;	/* -1: not given */
	StreamingSinkKind sink_kind;
	char	   *sink;			/* name of a relation */
	char	   *foreach;		/* names of functions; NULL: not given */
	char	   *foreach_open;
	char	   *foreach_close;
	char	   *foreach_batch;
	char	   *start;			/* NULL: the stream's */
	List	   *follow;			/* of char *: names of tables, or "all" alone */
	int64		max_rows;		/* 0: none */
	int64		max_files;
	int64		catch_up_rate;
	bool		enabled;
	List	   *settings;		/* all, see settings.h */
} StreamingViewOptions;

/* in utility.c: ProcessUtility and object-access hooks, dispatch only */
extern void streaming_command_init(void);	/* from _PG_init */

/* Runs a utility statement as if the user had said it, past our own hook. */
extern void streaming_process_utility(Node *stmt, const char *sql,
									  ProcessUtilityContext context, QueryCompletion *qc);

/* in view_options.c */
extern bool streaming_has_view_options(List *options);	/* any in our namespace? */
extern List *streaming_other_options(List *options);	/* those that are not */

/* Sets *result to defaults and then to options (others are passed over). */
extern void streaming_read_view_options(List *options, StreamingViewOptions *result);

/* Applies ALTER VIEW ... SET or RESET to view. */
extern void streaming_change_view_options(StreamingView *view, List *options, bool reset);

/*
 * in format_options.c: errors if options of a stream do not fit its format, and each
 * other
 */
extern void streaming_validate_format(List *options, StreamingSourceKind kind);

/* in stream_options.c: the validators, and */

/* The option of that name; NULL: there is none. */
extern DefElem *streaming_find_option(List *options, const char *name);


/*
 * Checks a value of option start ("earliest", "latest" or a time); returns it
 * in a form that means the same in every session.
 */
extern char *streaming_check_start(char *value);

/* in create_view.c */

/* CREATE VIEW ... WITH (streaming...); stmt is modified. */
extern void streaming_create_view(ViewStmt *stmt, const char *sql, int location, int length,
								  ProcessUtilityContext context, QueryCompletion *qc);

/* Errors if CREATE OR REPLACE VIEW would replace a continuous view. */
extern void streaming_refuse_replace(ViewStmt *stmt);

/* in view_functions.c */

/*
 * Makes the view that keeps the functions of options for continuous view number
 * id; returns its oid.  The names are looked up in the user's search_path, and
 * the user must have the right to execute them.  columns: those of the view.
 */
extern Oid	streaming_make_functions(const StreamingViewOptions *options, int32 id,
									 TupleDesc columns);

/* in alter_view.c */

/*
 * Takes our options out of stmt, which is modified, and applies them.  Returns
 * whether anything is left of stmt for PostgreSQL to do.
 */
extern bool streaming_alter_view_options(AlterTableStmt *stmt);
extern bool streaming_alters_view_options(AlterTableStmt *stmt);	/* has it any? */

/* Before a view is altered: errors if it may not be in that way. */
extern void streaming_check_alter(Oid relid, AlterTableStmt *stmt);

/*
 * Around a change of the owner of relid, a view or a stream, or of any (Invalid):
 * the latter gets what the former has returned.
 */
extern List *streaming_owner_changing(void);
extern void streaming_owner_changed(Oid relid, List *restricted);

/* in row_type.c */

/* A column has been added to relid, or is about to be dropped. */
extern void streaming_row_type_changed(Oid relid);

/* in shown_names.c */

/* A column, or an attribute, has been altered; a type of enumeration, likewise. */
extern void streaming_column_altered(Oid relid, AttrNumber attno);
extern void streaming_enum_altered(const AlterEnumStmt *stmt);

/* in alter_stream.c */

/*
 * Before a relation is altered: errors if a column of a continuous view's query is
 * to have another type.  PostgreSQL refuses it, too, but names parts of the view.
 */
extern void streaming_refuse_column_type(Oid relid, AlterTableStmt *stmt);

/*
 * Ditto of options that say which rows a stream's records change: what a view keeps is of
 * those that it has had.
 */
extern void streaming_refuse_change_options(Oid relid, AlterTableStmt *stmt);

/* After a foreign table was made or altered: is it a good stream? */
extern void streaming_check_relation(Oid relid, Node *stmt);

/*
 * in reachable.c: after a server, a stream or a view was made or altered, warn if
 * what it names is not there.  Others are passed over.
 */
extern void streaming_check_server_reachable(const char *name);
extern void streaming_check_stream_reachable(Oid relid);
extern void streaming_check_view_reachable(Oid relid);

/* in drop.c */
extern void streaming_relation_dropped(Oid relid);

/* in parts.c */

/*
 * Before a statement: errors if it would change a part, or put on a continuous
 * view what would never act.  Superusers, too, are refused.
 */
extern void streaming_check_statement(Node *stmt);

/* After CREATE or ALTER PUBLICATION: says what subscribers could not apply. */
extern void streaming_check_publication(Node *stmt);

/* in view_index.c */

/*
 * Runs what a statement says of indexes of continuous views, or of statistics of these,
 * for their owner.  Returns what is left for PostgreSQL to do; NULL: nothing.
 */
extern PlannedStmt *streaming_run_on_indexes(PlannedStmt *pstmt, const char *sql,
											 ProcessUtilityContext context,
											 QueryCompletion *qc);

#endif							/* STREAMING_COMMAND_H */
