/*
 * position.h
 *		Positions in a source that can be read again (source/source.h): vectors of
 *		them, and the text that streaming.checkpoints has.
 */
#ifndef STREAMING_POSITION_H
#define STREAMING_POSITION_H

#include "catalog/stream.h"

typedef struct StreamingPosition
{
	int32		partition;
	int64		offset;			/* the next to take */
} StreamingPosition;

/* Sorted by partition, each partition once. */
typedef struct StreamingPositions
{
	int			n;
	int			allocated;
	StreamingPosition *pos;
} StreamingPositions;

/* in position.c */

/* Position vectors: get returns -1 for a partition that is not there. */
extern void streaming_positions_init(StreamingPositions *positions);
extern int64 streaming_positions_get(const StreamingPositions *positions, int32 partition);
extern void streaming_positions_set(StreamingPositions *positions, int32 partition, int64 offset);
extern void streaming_positions_copy(StreamingPositions *to, const StreamingPositions *from);

/*
 * Text form of a partition and a position for streaming.checkpoints and
 * stat_streams, and back: Kafka "3" and "12345"; directory "0" and
 * "file:record" such as "17:250".
 */
extern char *streaming_position_out(StreamingSourceKind kind, int64 offset);
extern int64 streaming_position_in(StreamingSourceKind kind, const char *text);

#endif							/* STREAMING_POSITION_H */
