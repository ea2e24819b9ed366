/*
 * topic_numbers.h
 *		The numbers of partitions of a stream that reads many topics.
 */
#ifndef STREAMING_TOPIC_NUMBERS_H
#define STREAMING_TOPIC_NUMBERS_H

#include "source/kafka_marks.h"

/* A stream can have had so many. */
#define STREAMING_MAX_TOPIC_PARTITIONS	10000

/* A row of streaming_internal.topic_partitions. */
typedef struct StreamingTopicPartition
{
	int32		number;			/* what the rest of the extension calls the partition */
	char	   *topic;
	bool		gone;			/* the topic has been deleted */
	StreamingKafkaMark mark;	/* its partition in the topic, and a record; offset -1:
								 * none */
} StreamingTopicPartition;

/* in topic_numbers.c; all run in a transaction */

/* Those of a stream, by number; in CurrentMemoryContext.  *n: how many. */
extern StreamingTopicPartition *streaming_topic_numbers_read(Oid stream, int *n);

/* Adds rows, whose numbers follow those that there are; with the stream's lock. */
extern void streaming_topic_numbers_add(Oid stream, const StreamingTopicPartition *rows, int n);

/* Puts rows in the place of those with their numbers; likewise. */
extern void streaming_topic_numbers_write(Oid stream, const StreamingTopicPartition *rows, int n);

/*
 * For people: partition of the stream as Kafka calls it, with its topic; palloc'd.
 */
extern char *streaming_partition_name(const StreamingStream *stream, int32 partition);

/* Has the topic of that number been deleted? */
extern bool streaming_topic_is_gone(Oid stream, int32 number);

#endif							/* STREAMING_TOPIC_NUMBERS_H */
