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

#endif							/* STREAMING_REJECT_H */
