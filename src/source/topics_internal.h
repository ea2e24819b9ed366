/*
 * topics_internal.h
 *		A source of many topics: what source_topics.c, which reads them, and
 *		topic_parts.c, which knows which there are, share.
 */
#ifndef STREAMING_TOPICS_INTERNAL_H
#define STREAMING_TOPICS_INTERNAL_H

#include "access/transam.h"
#include "base/clock.h"
#include "kafka.h"
#include "source/kafka_group.h"
#include "source/kafka_messages.h"
#include "source/kafka_survey.h"
#include "source/source.h"
#include "source/topic_numbers.h"
#include "utils/hsearch.h"

/* A partition of a topic; its place in the array is its number. */
typedef struct StreamingPart
{
	StreamingTopicPartition row;	/* as in the table */
	char	   *path;			/* for records and people: topic:partition */
	bool		there;			/* the brokers have it, and it is to be read */
	bool		other;			/* what is under its name is another topic */
	bool		touched;		/* next has moved in this poll */
	bool		delivered;		/* since its mark was compared */
	bool		compared;		/* it has been; or there was none to be had */
	int64		next;			/* the offset to come; -1: the earliest */
	int64		end;			/* when bounds asked */
	StreamingTime missing_since;	/* the brokers do not have it; 0: they do */
} StreamingPart;

/* What was got from librdkafka of a part. */
typedef struct StreamingFetch
{
	rd_kafka_topic_t *topic;	/* NULL: it was never fetched */
	int32		partition;
	bool		started;
} StreamingFetch;

/* malloc'ed, since it is given back by the thread that closes the client. */
typedef struct StreamingFetches
{
	StreamingKafkaMessages messages;
	StreamingFetch *parts;		/* by number */
	int			nparts;
	StreamingKafkaCommit commit;
} StreamingFetches;

typedef struct StreamingTopics
{
	StreamingSource base;		/* must be first */
	StreamingReadMode mode;
	MemoryContext context;
	MemoryContextCallback callback;
	StreamingKafka *client;		/* NULL: closed */
	StreamingFetches *fetches;
	StreamingSurvey *survey;	/* NULL until seek */
	StreamingKafka *verifier;	/* client that compares marks; NULL: not yet made */

	StreamingPart *parts;
	int			nparts;
	int			allocated;
	int			registered;		/* parts from here on are guesses, of batch mode */
	HTAB	   *numbers;		/* of what librdkafka delivers */

	MemoryContext found_context;
	StreamingTopicsFound found; /* the brokers' topics, as last told */
	bool		stale;			/* that has not been taken as it is */
	TransactionId pending;		/* has registered parts, in a poll */
	int			pending_from;	/* their numbers */

	bool		positioned;
	bool		unmarked;		/* a part without a mark has delivered */
	bool		unverified;		/* records have been delivered since marks were compared */
	uint64		surprises;		/* of the client then */
	uint64		rounds;			/* likewise, of the survey */

	bool		failed;			/* poll fails from now on, until seek */
	int32		lost_number;
	int64		lost_offset;
	char		gap[STREAMING_KAFKA_TEXT];	/* that was skipped last */

	StreamingKafkaGroup group;
	StreamingTime settle_at;	/* to ask the brokers again */

	bool		nudging;		/* this librdkafka needs it */
	StreamingTime nudge_at;
} StreamingTopics;

/* in topic_parts.c; all in a transaction */

/*
 * Makes parts of what the brokers have found.  may_register: new ones get numbers,
 * in a transaction that may write; the lock for that is waited for up to timeout ms
 * (0: stale is set if it is not to be had).  In a poll they are pending.
 */
extern void streaming_parts_take(StreamingTopics *topics, const StreamingTopicsFound *found,
								 bool may_register, int timeout, bool in_poll);

/* Of a follower: topics that the brokers have not had for long are given up. */
extern bool streaming_parts_give_up(StreamingTopics *topics);

/*
 * Compares the marks of parts that are there (all, or those that have delivered) by
 * client.  A topic that is another one is given up; a view that catches up fails then,
 * and is tried again.  False: there is no answer.
 */
extern bool streaming_parts_verify(StreamingTopics *topics, StreamingKafka *client, bool all,
								   int timeout);

/* Places of the parts that are there, in CurrentMemoryContext; *n: how many. */
extern StreamingPlace *streaming_parts_places(StreamingTopics *topics, int *n);

extern bool streaming_parts_settle(StreamingTopics *topics, StreamingPositions *end);

/* in source_topics.c */

extern void streaming_parts_stop(StreamingTopics *topics, int32 number);
extern StreamingKafka *streaming_topics_verifier(StreamingTopics *topics);

#endif							/* STREAMING_TOPICS_INTERNAL_H */
