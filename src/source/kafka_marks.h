/*
 * kafka_marks.h
 *		Records by which a topic is known again.
 */
#ifndef STREAMING_KAFKA_MARKS_H
#define STREAMING_KAFKA_MARKS_H

#include "kafka.h"
#include "source/source.h"

/* A record of a partition. */
typedef struct StreamingKafkaMark
{
	int32		partition;
	int64		offset;
	int64		sent_ms;		/* its timestamp */
	int64		digest;			/* of key and value */
} StreamingKafkaMark;

/* Palloc'd; sorted by partition, each partition at most once. */
typedef struct StreamingKafkaMarks
{
	int			n;
	StreamingKafkaMark *marks;
} StreamingKafkaMarks;

typedef enum StreamingKafkaLikeness
{
	STREAMING_TOPIC_SILENT,		/* no answer; the client's trouble may say why */
	STREAMING_TOPIC_SAME,		/* it has a mark, and no other record for one */
	STREAMING_TOPIC_UNTOLD,		/* it has no other record, either: they have gone by
								 * retention or compaction, or there were none */
	STREAMING_TOPIC_OTHER		/* it has another record, or none, where a mark was */
} StreamingKafkaLikeness;

/* in kafka_marks.c */

/*
 * Is stream's topic the one that has marks?  Waits at most timeout ms.  client
 * consumes nothing of the topic meanwhile.  Unless the answer is SILENT or OTHER,
 * *fresh is set in CurrentMemoryContext: marks of what the topic has now, those
 * in marks where they will do for long.  Errors: out of memory.
 */
extern StreamingKafkaLikeness streaming_kafka_compare(StreamingKafka *client,
													  StreamingStream *stream, int timeout,
													  const StreamingKafkaMarks *marks,
													  StreamingKafkaMarks *fresh);

/*
 * Makes a mark of a record; its partition is the caller's.  False: it is none.  Any
 * thread.
 */
extern bool streaming_kafka_make_mark(const rd_kafka_message_t *message, StreamingKafkaMark *mark);

#endif							/* STREAMING_KAFKA_MARKS_H */
