/*
 * stats.h
 *		What monitoring knows of how far views are behind.
 */
#ifndef STREAMING_STATS_H
#define STREAMING_STATS_H

#include "catalog/stream.h"

/* in stats.c */

/*
 * Records between view's checkpoint and the end of stream as last known (see there what
 * that costs and means).  False: that is not known.
 */
extern bool streaming_stream_lag(Oid view, Oid stream, StreamingSourceKind kind, int64 *lag);

#endif							/* STREAMING_STATS_H */
