/*
 * reject.h
 *		streaming.rejected_rows: records that could not be decoded.
 */
#ifndef STREAMING_REJECT_H
#define STREAMING_REJECT_H

#include "format/format.h"

/*
 * Writes rejects in the current transaction, with the rights of the
 * extension's owner.  A record that is there already (it was read again) is
 * passed over.  Returns how many are new; those that streaming.rejected_limit leaves
 * out are.
 */
extern int64 streaming_reject(const StreamingStream *stream,
							  const StreamingReject *rejects, int nrejects);

/*
 * Columns of streaming.rejected_rows and of streaming_internal.missed_rows that are a
 * record, and takes it out of a row that SPI has returned with these columns.  In
 * CurrentMemoryContext.
 */
#define STREAMING_KEPT_COLUMNS "partition, position, path, payload, key, sent_ms"
extern void streaming_read_kept(StreamingSourceKind kind, HeapTuple row, TupleDesc desc,
								StreamingRecord *record);

#endif							/* STREAMING_REJECT_H */
