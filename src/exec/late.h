/*
 * late.h
 *		Rows that come after their group has closed.
 */
#ifndef STREAMING_LATE_H
#define STREAMING_LATE_H

#include "utils/timestamp.h"

/*
 * From now on, streaming_internal.in_time is NULL, and counts, in this process for
 * groups that close at or before watermark (DT_NOBEGIN: for none).
 */
extern void streaming_late_begin(TimestampTz watermark);

/* A scan of the batch begins anew: its rows will be looked at again. */
extern void streaming_late_rescan(void);

/*
 * A statement has ended: what the next one counts are other rows.  count: late rows are
 * those of this statement as well, and not only of one that reads the same rows.
 */
extern void streaming_late_next(bool count);

/* The time that is delay before; DT_NOBEGIN: there is none. */
extern TimestampTz streaming_time_less(TimestampTz time, const Interval *delay);

/* Back to "always true".  Returns the number of late rows since begin. */
extern int64 streaming_late_end(void);

#endif							/* STREAMING_LATE_H */
