/*
 * view.h
 *		The extension's tables: one struct per row that C code reads.
 *
 * The tables are made in streaming.sql; view.c is the only file that knows
 * their columns.  Rows are read with the latest catalog snapshot and written
 * in the caller's transaction.  Functions that write act with the rights of
 * the extension's owner, whoever calls.
 *
 * A row that makes no sense is passed over by functions that look at all views,
 * with a warning, and is an error of those that were asked for that view.
 */
#ifndef STREAMING_VIEW_H
#define STREAMING_VIEW_H

#include "catalog/extension.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

typedef enum StreamingOutputMode
{
	STREAMING_OUTPUT_APPEND,
	STREAMING_OUTPUT_UPDATE,
	STREAMING_OUTPUT_COMPLETE
} StreamingOutputMode;

typedef enum StreamingTriggerKind
{
	STREAMING_TRIGGER_ASAP,
	STREAMING_TRIGGER_INTERVAL,
	STREAMING_TRIGGER_MANUAL
} StreamingTriggerKind;

/* Where the results of a view go. */
typedef enum StreamingSinkKind
{
	STREAMING_SINK_OWN,			/* result_<id>, a logged table */
	STREAMING_SINK_MEMORY,		/* result_<id>, an unlogged table */
	STREAMING_SINK_RELATION,	/* a table or a stream of the user's */
	STREAMING_SINK_CONSOLE,		/* the server log */
	STREAMING_SINK_FOREACH,		/* a function called for each row */
	STREAMING_SINK_FOREACH_BATCH	/* a function called for each batch */
} StreamingSinkKind;

typedef struct StreamingSinkSpec
{
	StreamingSinkKind kind;
	Oid			relid;			/* relation, else Invalid */
} StreamingSinkSpec;

/* A row of streaming_internal.continuous_view. */
typedef struct StreamingView
{
	int32		id;				/* names its tables: result_<id>, state_<id>_<k> */
	Oid			view;			/* what users read */
	Oid			definition;		/* the ordinary view that holds the query */
	Oid			result;			/* result_<id>, or Invalid if there is none */
	StreamingSinkSpec sink;
	Oid			owner;			/* of view (from pg_class) */
	StreamingOutputMode output_mode;
	StreamingTriggerKind trigger;
	int64		trigger_us;		/* with STREAMING_TRIGGER_INTERVAL */
	char	   *trigger_text;	/* as the user wrote it */
	char	   *start;			/* NULL: the stream's */
	int64		max_rows;		/* per trigger and stream; 0: none */
	int64		max_files;		/* likewise */
	int64		catch_up_rate;	/* rows a second; 0: the setting's */
	bool		enabled;
	List	   *settings;		/* its batches run with them: see settings.h */
	int64		generation;		/* rises when options change or it is reset:
								 * whoever holds an older one reads it anew */
	List	   *relations;		/* of char *: names of all that was made for it
								 * in the internal schema */
	List	   *tables;			/* of Oid: ordinary tables that it follows */
	bool		restored;		/* comes from a dump or another database, and
								 * streaming_restore_views has not yet seen it
								 * complete: must not run */
	bool		begins;			/* restored, and without its data */
} StreamingView;

/* The home of a row that a dump without data has brought. */
#define STREAMING_HOME_NONE		"none"


/* in view.c; results in CurrentMemoryContext */
extern StreamingView *streaming_catalog_view(Oid view, bool missing_ok);
extern List *streaming_catalog_views(void); /* of StreamingView *, by id; without
											 * the restored ones */
extern List *streaming_catalog_restored_views(void);	/* likewise, only those and
														 * those that are no more */
extern List *streaming_catalog_views_of_stream(Oid stream);	/* of Oid; by dependency of
															 * the definition; also of a
															 * view that is read as a stream,
															 * or a table that is followed */
extern List *streaming_catalog_streams_of_view(Oid view);	/* of Oid: streams, and views
															 * it reads as streams */
extern List *streaming_catalog_named(Oid view, Oid class);	/* of Oid: objects of a
															 * system catalog that the
															 * query of any view names */
extern List *streaming_catalog_inputs(Oid definition);	/* ditto, of an ordinary view */
extern void streaming_catalog_insert_view(const StreamingView *view);
extern void streaming_catalog_update_view(const StreamingView *view);	/* options, generation + 1 */
extern void streaming_catalog_add_relation(Oid view, char *name);	/* to its relations */
extern void streaming_catalog_settle_view(Oid view);	/* is no longer restored */
extern void streaming_catalog_forget(Oid relid);	/* a relation is dropped: rows of it go */
extern int32 streaming_catalog_next_id(void);
extern char *streaming_definition_name(int32 id);
extern uint32 streaming_catalog_token(void);	/* in the names of streams' tables: tells
												 * those of this database from those of
												 * another, which a dump brings */
extern Oid	streaming_relation_owner(Oid relid, bool missing_ok);	/* Invalid: no such relation */

/*
 * May the current user see messages about relid, a view or a stream, which can
 * have data in them?  Who has its owner's rights, or those of pg_read_all_stats.
 */
extern bool streaming_may_monitor(Oid relid);
extern const char *streaming_catalog_damage(Oid view);	/* what is wrong with its row, if
														 * there is one; else NULL */
extern bool streaming_catalog_has_view(Oid relid);	/* is there a row of it, good or bad? */
extern const char *streaming_output_mode_name(StreamingOutputMode mode);
extern const char *streaming_sink_kind_name(StreamingSinkKind kind);
extern bool streaming_output_mode_parse(const char *name, StreamingOutputMode *mode);

/* The relation that a view of users reads; Invalid: its results are not kept. */
extern Oid	streaming_view_reads(const StreamingView *view);

/*
 * "asap", "manual" or a positive interval; *us is set for the last, a month
 * being 30 days.  Errors: ERRCODE_INVALID_PARAMETER_VALUE and those of
 * interval_in.
 */
extern StreamingTriggerKind streaming_trigger_parse(const char *text, int64 *us);

#endif							/* STREAMING_VIEW_H */
