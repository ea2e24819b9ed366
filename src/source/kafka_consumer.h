/*
 * kafka_consumer.h
 *		What reading one topic (source_kafka.c) and many (source_topics.c) have in
 *		common.
 */
#ifndef STREAMING_KAFKA_CONSUMER_H
#define STREAMING_KAFKA_CONSUMER_H

#include "kafka.h"
#include "source/source.h"

/* Longest pause (ms) before a broker is tried again; a connect costs little. */
#define STREAMING_KAFKA_RETRY_MAX	10000

/* in source_kafka.c */

/*
 * A client that consumes.  topic: it may share its handle with clients of other topics;
 * NULL: it may not.  memory (kB): for messages that have arrived.
 */
extern StreamingKafka *streaming_kafka_consumer(StreamingStream *stream, int memory,
												StreamingReadMode mode, const char *topic);

/* What the option start asks brokers for. */
typedef enum StreamingKafkaStart
{
	STREAMING_KAFKA_EARLIEST,
	STREAMING_KAFKA_LATEST,
	STREAMING_KAFKA_TIME		/* the first message at or after *time_ms */
} StreamingKafkaStart;

extern StreamingKafkaStart streaming_kafka_start_of(StreamingStream *stream, const char *start,
													int64 *time_ms);

/* ms between looks at metadata; the property by which librdkafka itself would ask */
extern int	streaming_kafka_watch_interval(StreamingStream *stream);

#endif							/* STREAMING_KAFKA_CONSUMER_H */
