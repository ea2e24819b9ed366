/*
 * batch_result.h
 *		What is told of a batch.
 */
#ifndef STREAMING_BATCH_RESULT_H
#define STREAMING_BATCH_RESULT_H

#include "utils/timestamp.h"

typedef struct StreamingBatchResult
{
	int64		batch_id;		/* of the batch that was committed */
	int64		input_rows;
	int64		output_rows;
	bool		more;			/* a limit ended the batch: run again at once */
	bool		held_back;		/* no batch: those who read its sink are far behind */
	TimestampTz started_at;
	double		duration_ms;
	double		read_ms,		/* phases: parts of duration_ms */
				merge_ms,
				write_ms,
				commit_ms;
} StreamingBatchResult;

#endif							/* STREAMING_BATCH_RESULT_H */
