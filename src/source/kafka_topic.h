/*
 * kafka_topic.h
 *		What the brokers say about a topic: its partitions and their offsets.
 */
#ifndef STREAMING_KAFKA_TOPIC_H
#define STREAMING_KAFKA_TOPIC_H

#include "kafka.h"
#include "source/source.h"

/*
 * Asks for offsets of all partitions of stream's topic and waits at most
 * timeout ms: the first that can be read, the one behind the last, and that of
 * the first message at or after time_ms (Unix epoch; the end if there is
 * none).  Each of the vectors may be NULL, others are made in
 * CurrentMemoryContext.  Errors: ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION.
 */
extern void streaming_kafka_topic_offsets(StreamingKafka *client, StreamingStream *stream,
										  int timeout, StreamingPositions *begin,
										  StreamingPositions *end,
										  int64 time_ms, StreamingPositions *at);

/*
 * A watch asks about the topic again and again, in a thread, until the client
 * closes: every interval ms, and, while the client is in trouble, with a
 * back-off of at most retry_max ms until all partitions answer.  It wakes the
 * client when there is news.
 */
typedef struct StreamingKafkaWatch StreamingKafkaWatch;

extern StreamingKafkaWatch *streaming_kafka_watch_topic(StreamingKafka *client,
														const char *topic,
														int interval, int retry_max);

/*
 * Says that the topic is known to have had n partitions.  A topic never loses
 * partitions, so one that has fewer was created anew.
 */
extern void streaming_kafka_watch_expect(StreamingKafka *client,
										 StreamingKafkaWatch *watch, int n);

/*
 * Takes the news of the watch: sets or clears the client's trouble.  Returns
 * the number of partitions the topic has, 0 if not known.  *shrunk: it has had
 * fewer than expected for some time, so that no broker that lags behind the
 * others can be the reason.
 */
extern int	streaming_kafka_watch_news(StreamingKafka *client, StreamingKafkaWatch *watch,
									   bool *shrunk);

/*
 * How often the topic has been there when it was asked about.  wake: the client is
 * woken when that is so once more.
 */
extern uint64 streaming_kafka_watch_rounds(StreamingKafka *client, StreamingKafkaWatch *watch,
										   bool wake);

/* in kafka_topics.c */

/*
 * The names (char *) of the topics of a server (streaming_stream_of_server, with a
 * name), in order, without Kafka's own.  Waits and fails as the question above.
 */
extern List *streaming_kafka_topics(StreamingStream *server);

/* ----------
 * Questions, for threads of a client
 * ----------
 */

/*
 * The number of partitions, 0 if not known.  text (STREAMING_KAFKA_TEXT bytes)
 * tells what is wrong, also when the number is known; untouched if nothing is.
 */
extern int	streaming_kafka_ask_partitions(StreamingKafka *client, rd_kafka_topic_t *topic,
										   int timeout, bool *missing, char *text);

/*
 * Offsets of partitions 0 .. n - 1 for when: a time in ms, or one of
 * RD_KAFKA_OFFSET_BEGINNING and _END.  One request for each leader.  An offset is
 * -1 where no message is that new.
 */
extern bool streaming_kafka_ask_offsets(StreamingKafka *client, const char *topic, int n,
										int64 when, int timeout, int64 *offsets, char *text);

/*
 * The same of the partitions of list, into their offsets.  False: text says what is
 * wrong, such as a partition of which the broker tells no offset.
 */
extern bool streaming_kafka_ask_list(StreamingKafka *client, rd_kafka_topic_partition_list_t *list,
									 int64 when, int timeout, char *text);

/* ms that the first question should wait; of the backend's thread. */
extern int	streaming_kafka_first_patience(StreamingKafka *client);

extern int64 streaming_kafka_clock_ms(void);

#endif							/* STREAMING_KAFKA_TOPIC_H */
