/*
 * progress.h
 *		Running totals of a view, a row of streaming_internal.progress.
 */
#ifndef STREAMING_PROGRESS_H
#define STREAMING_PROGRESS_H

#include "catalog/catalog_table.h"
#include "utils/timestamp.h"

/* Of more stages of a view no totals are kept, so that the row stays small. */
#define STREAMING_COUNTED_STAGES	32

typedef struct StreamingStageTotals
{
	const char *kind;			/* not read */
	int64		input_rows;
	int64		output_rows;
	int64		state_rows;		/* in its tables */
	double		ms;
} StreamingStageTotals;

typedef struct StreamingProgress
{
	int64		batch_id;		/* of the last batch; 0: none yet */
	bool		is_reset;		/* it has none since it was reset; not written */
	int64		input_rows;
	int64		output_rows;
	int64		late_rows;
	int64		unknown_keys;	/* see stat_views */
	int64		state_rows;
	TimestampTz watermark;		/* DT_NOBEGIN: none yet */
	int			nstages;		/* those that are counted; not read */
	StreamingStageTotals stages[STREAMING_COUNTED_STAGES];	/* zeros behind them */
} StreamingProgress;

/* Reads view's totals; zeros if it has not run yet. */
extern StreamingProgress streaming_progress_read(Oid view);

/*
 * Writes them, in the batch's transaction.  place: where that was done last, zeros at
 * first, and is now.
 */
extern void streaming_progress_write(Oid view, const StreamingProgress *progress,
									 double batch_ms, TimestampTz batch_at,
									 StreamingRowPlace *place);

#endif							/* STREAMING_PROGRESS_H */
