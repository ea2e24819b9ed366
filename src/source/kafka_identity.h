/*
 * kafka_identity.h
 *		Which topic a Kafka stream reads, whatever it is called.
 */
#ifndef STREAMING_KAFKA_IDENTITY_H
#define STREAMING_KAFKA_IDENTITY_H

#include "source/kafka_marks.h"

/* in kafka_identity.c; all run in a transaction */

/*
 * The number by which the stream's topic is known: that of the one it has read
 * before, if it is still that one, or another one if it has been read, too.
 * Otherwise a new number is written down if may_write, else it is 0.  *marks is
 * set in CurrentMemoryContext.  client consumes nothing meanwhile.  Waits at most
 * timeout ms for brokers.  Errors: ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION.
 */
extern int64 streaming_topic_identify(StreamingKafka *client, StreamingStream *stream,
									  int timeout, bool may_write, StreamingKafkaMarks *marks);

/*
 * Is it still the one that has marks?  Then *marks are replaced by those that it
 * should be known by, which are written down if may_write.  False: there is no
 * answer.  Errors: ERRCODE_DATA_EXCEPTION, if it is another one.
 */
extern bool streaming_topic_verify(StreamingKafka *client, StreamingStream *stream, int timeout,
								   bool may_write, int64 incarnation,
								   StreamingKafkaMarks *marks);

/*
 * The number by which the stream is known whose option "topic" is a pattern: the same
 * whatever topics there are (those have numbers of their own, topic_numbers.c), so that
 * a view that has read a single topic does not take its positions for those of many.
 */
extern int64 streaming_pattern_identify(StreamingStream *stream, int timeout, bool may_write);

/*
 * The error of a view that stands in the topic with the number was, while the
 * stream's topic is another one.
 */
pg_noreturn extern void streaming_topic_report(StreamingStream *stream, int64 was);

#endif							/* STREAMING_KAFKA_IDENTITY_H */
