/*
 * sink_table_sql.h
 *		The statements that write a user's table.
 *
 * They read the rows that a batch hands over under the name "changes": the
 * outputs and "$sign".  In output modes append and update it is 1 or -1.  In
 * output mode complete the columns have the types of the sink, and "$sign" is
 * how many copies of the row the sink lacks, or has too many.
 */
#ifndef STREAMING_SINK_TABLE_SQL_H
#define STREAMING_SINK_TABLE_SQL_H

#include "access/tupdesc.h"
#include "query/program.h"

/* All names and operators qualified; NULL: not needed. */
typedef struct StreamingTableSql
{
	char	   *difference;		/* complete: what "changes" is made of */
	char	   *update;			/* foreign tables: rows whose key is there */
	char	   *insert;			/* all others; upserts where there is an index */
	char	   *delete;			/* rows that leave, by keys without NULL */
	char	   *delete_null;	/* by keys that have one */
} StreamingTableSql;

/* Of a program that its sink has checked. */
extern StreamingTableSql *streaming_table_sql(StreamingProgram *program);

/* Columns of the difference. */
extern TupleDesc streaming_table_difference_desc(StreamingProgram *program);

#endif							/* STREAMING_SINK_TABLE_SQL_H */
