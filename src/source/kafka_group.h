/*
 * kafka_group.h
 *		Option group_id: how far the slowest view is becomes the offsets of that group.
 */
#ifndef STREAMING_KAFKA_GROUP_H
#define STREAMING_KAFKA_GROUP_H

#include "kafka.h"
#include "source/source.h"

/* Of the last answer.  Part of what the thread that closes the client gives back. */
typedef struct StreamingKafkaCommit
{
	bool		pending;		/* there is no answer yet */
	char		error[STREAMING_KAFKA_TEXT];	/* or "" */
} StreamingKafkaCommit;

/* Zero to begin with. */
typedef struct StreamingKafkaGroup
{
	StreamingKafkaCommit *commit;
	StreamingPositions told;	/* pos NULL: nothing */
	StreamingTime next_at;		/* not before that again */
	char		trouble[STREAMING_KAFKA_TEXT * 2];
} StreamingKafkaGroup;

/* Topic and partition of a number; NULL: its offset is not told. */
typedef const char *(*StreamingKafkaPlaceOf) (void *source, int32 number, int32 *partition);

/*
 * As release of a source; what is kept is in context.  Nobody reads the offsets here, so it
 * does not matter when, or whether, that succeeds.
 */
extern StreamingRelease streaming_kafka_group_release(StreamingKafkaGroup *group,
													  StreamingKafka *client, StreamingSource *source,
													  const StreamingPositions *needed,
													  StreamingKafkaPlaceOf place_of,
													  MemoryContext context);

/* What the last answer complained of, or NULL.  Valid until the next call. */
extern const char *streaming_kafka_group_trouble(StreamingKafkaGroup *group,
												 const StreamingStream *stream);

#endif							/* STREAMING_KAFKA_GROUP_H */
