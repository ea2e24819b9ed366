/*
 * source_scan.h
 *		Reads a source from some positions to its present end, row by row.
 */
#ifndef STREAMING_SOURCE_SCAN_H
#define STREAMING_SOURCE_SCAN_H

#include "catalog/missed_rows.h"
#include "format/format.h"
#include "source/source.h"

typedef struct StreamingSourceScan
{
	StreamingStream *stream;
	StreamingSource *source;
	StreamingDecoder *decoder;
	bool		write_rejects;	/* else records that are malformed are skipped */

	StreamingPositions begin;	/* of the source, when its end was asked for */
	StreamingPositions end;
	StreamingPositions positions;	/* delivered or skipped up to here */
	int64		rejected;		/* records that streaming.stat_streams does not count yet */
	StreamingMissed *missed;	/* gets the records that were rejected; NULL: nobody
								 * wants to know */
	MemoryContext missed_context;	/* of that list */

	/* the row that next has returned */
	const StreamingRecord *record;
	Datum	   *values;
	bool	   *isnull;

	/* private */
	MemoryContext context;
	MemoryContext block_context;
	StreamingRecord *records;
	int			nrecords;
	int			current;
	bool	   *result;
	Datum	   *block_values;
	bool	   *block_isnull;
} StreamingSourceScan;

/*
 * Opens the source in a context of its own below CurrentMemoryContext, for
 * STREAMING_READ_CATCHUP or _BATCH.  needed: as for streaming_decoder_open.
 */
extern StreamingSourceScan *streaming_source_scan_open(StreamingStream *stream,
													   StreamingReadMode mode,
													   Bitmapset *needed);

/*
 * Asks the source for its end and goes on from positions (NULL: from where it
 * is).  Waits at most streaming.connect_timeout.
 */
extern void streaming_source_scan_start(StreamingSourceScan *scan,
										const StreamingPositions *positions);

/* Has it been read to the end that was asked for? */
extern bool streaming_source_scan_at_end(StreamingSourceScan *scan);

/*
 * Next row; at most max records are asked for at once.  False: at the end, or
 * max records have been looked at without a row in the last ones.  Values are
 * valid until the next call.  Errors: the source's and the decoder's; no
 * progress for streaming.connect_timeout.
 */
extern bool streaming_source_scan_next(StreamingSourceScan *scan, int64 max);

/* Frees; must not ereport. */
extern void streaming_source_scan_close(StreamingSourceScan *scan);

#endif							/* STREAMING_SOURCE_SCAN_H */
