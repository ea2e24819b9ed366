/*
 * query.h
 *		SQL -> steps: checks a continuous query and compiles it.
 */
#ifndef STREAMING_QUERY_H
#define STREAMING_QUERY_H

#include "catalog/view.h"
#include "nodes/parsenodes.h"

/*
 * What CREATE VIEW needs to know of a query before the view exists.  Made by
 * streaming_query_spec in CurrentMemoryContext.
 */
typedef struct StreamingViewSpec
{
	List	   *streams;		/* of Oid: streams and continuous views read, and
								 * tables followed */
	StreamingOutputMode output_mode;	/* as given or resolved */
	List	   *tables;			/* of char *: DDL statements that make the
								 * view's own tables, all in schema
								 * streaming_internal, in this order; run with
								 * search_path = pg_catalog */
	char	   *result_name;	/* unqualified name of the table the view reads
								 * (result_<id>); NULL if there is none */
	List	   *upstreams;		/* of Oid: continuous views read as streams, which
								 * nobody has read so far */
	List	   *change_streams; /* of char *, one for each: DDL of a foreign table
								 * that carries the changes to the readers.  Run
								 * like tables, but it belongs to the upstream */
	List	   *change_stream_names;	/* of char *, one for each: unqualified */
	char	   *growth;			/* why nothing bounds the rows it keeps; or NULL */
	char	   *growth_hint;
	char	   *view_query;		/* SELECT the users' view is made with, all
								 * names qualified */
} StreamingViewSpec;

/*
 * Checks query (analyzed, not rewritten: as get_view_query returns it) and
 * lays out view number id, of the current user.  tables (of Oid): those that are
 * followed.  mode: the output mode asked for, or -1.  Errors: ERRCODE_FEATURE_NOT_SUPPORTED with a hint for what is not kept.
 */
extern StreamingViewSpec *streaming_query_spec(Query *query, int32 id, List *tables,
											   const StreamingSinkSpec *sink, int mode);

/*
 * The name of an ordinary view, named by query, that reads a stream; NULL: there is
 * none.  And lets query, in place, read what such views read, and those that read one
 * of tables (of Oid), which are to be followed (expand_views.c); true: there were some.
 */
extern char *streaming_hiding_view(Query *query);
extern bool streaming_expand_views(Query *query, List *tables);

/* Tables of users (of Oid) that query reads, also through ordinary views (followed.c). */
extern List *streaming_ordinary_tables(Query *query);

#endif							/* STREAMING_QUERY_H */
