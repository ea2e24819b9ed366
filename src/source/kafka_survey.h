/*
 * kafka_survey.h
 *		What the brokers say about many topics at once.
 */
#ifndef STREAMING_KAFKA_SURVEY_H
#define STREAMING_KAFKA_SURVEY_H

#include "kafka.h"
#include "source/kafka_marks.h"

/* A topic that there is. */
typedef struct StreamingTopicFound
{
	char	   *name;
	int			npartitions;	/* 0: it is there, but has none that can be read yet */
} StreamingTopicFound;

/* Sorted by name. */
typedef struct StreamingTopicsFound
{
	int			n;
	StreamingTopicFound *topics;
} StreamingTopicsFound;

/* A partition of a topic, about which something is asked. */
typedef struct StreamingPlace
{
	const char *topic;
	int32		number;			/* the caller's own */
	StreamingKafkaMark mark;	/* its partition, and a mark (offset -1: none); compare
								 * may put another one in its place */

	/* answers */
	bool		there;			/* the brokers know of it */
	int64		begin;
	int64		end;
	int64		at;
	StreamingKafkaLikeness likeness;
} StreamingPlace;

/*
 * All of these are for the backend's thread, as those in kafka_topic.h and
 * kafka_marks.h, which ask about one topic.
 */

/*
 * The topics of the brokers, in CurrentMemoryContext.  Waits at most timeout ms.
 * Errors: ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION.
 */
extern void streaming_survey_topics(StreamingKafka *client, const StreamingStream *stream,
									int timeout, StreamingTopicsFound *found);

/*
 * Fills in begin and end of places, and with with_at the offset of the first message
 * at or after time_ms, the end if there is none.  Waits and fails likewise.
 */
extern void streaming_survey_offsets(StreamingKafka *client, StreamingStream *stream,
									 int timeout, StreamingPlace *places, int n,
									 bool with_at, int64 time_ms);

/*
 * Compares places with their marks: fills in likeness (of a place that is not there
 * SILENT) and, unless it is OTHER, puts a mark that will do for long in the place of
 * one that will not.  client consumes nothing of the topics meanwhile.  False: there
 * is no answer; the client's trouble may say why.
 */
extern bool streaming_survey_marks(StreamingKafka *client, int timeout,
								   StreamingPlace *places, int n);

/*
 * Looks for topics again and again, in a thread, as streaming_kafka_watch_topic does
 * for one: wakes the client when they are others than before.
 */
typedef struct StreamingSurvey StreamingSurvey;

extern StreamingSurvey *streaming_survey_begin(StreamingKafka *client, int interval,
											   int retry_max);

/* How often there was an answer.  wake: the client is woken at the next one. */
extern uint64 streaming_survey_rounds(StreamingKafka *client, StreamingSurvey *survey, bool wake);

/*
 * Takes the news: sets or clears the client's trouble.  True: there was an answer since
 * the last call, and *found is the latest, in CurrentMemoryContext.
 */
extern bool streaming_survey_news(StreamingKafka *client, StreamingSurvey *survey,
								  StreamingTopicsFound *found);

extern const StreamingTopicFound *streaming_survey_find(const StreamingTopicsFound *found,
														const char *topic);

#endif							/* STREAMING_KAFKA_SURVEY_H */
