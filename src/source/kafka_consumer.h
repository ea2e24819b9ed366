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

/* Fills record with a message, except for partition and path. */
extern void streaming_kafka_record(rd_kafka_message_t *message, StreamingRecord *record);

pg_noreturn extern void streaming_kafka_fail_bad_offset(const rd_kafka_message_t *message,
														const char *topic, int64 expected);

/*
 * Can message be the next one of its partition?  next: the offset to come; -1: the
 * earliest.  To take it otherwise would be to lose our place: an error, nothing of the
 * poll is taken.
 */
static inline void
streaming_kafka_check_offset(const rd_kafka_message_t *message, const char *topic, int64 next)
{
	if (unlikely(message->offset < Max(next, 0) || message->offset == PG_INT64_MAX))
		streaming_kafka_fail_bad_offset(message, topic, next);
}

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
