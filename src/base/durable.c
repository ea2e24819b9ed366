/*
 * durable.c
 *		When what was committed without waiting for the disk is on it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/syncrep.h"

#include "streaming.h"
#include "base/durable.h"

void
streaming_make_durable(XLogRecPtr end)
{
	XLogFlush(end);
	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(end, false);
	RESUME_INTERRUPTS();
}

/*
 * Where the next record begins is behind the header of a page, if the last one ended
 * with the page before: XLogFlush fails for what is not written yet.
 */
void
streaming_make_all_durable(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();
	uint32		header = XLogSegmentOffset(end, wal_segment_size) < XLOG_BLCKSZ ?
		SizeOfXLogLongPHD : SizeOfXLogShortPHD;

	if (end % XLOG_BLCKSZ <= header)
		end -= end % XLOG_BLCKSZ;
	streaming_make_durable(end);
}
