/*
 * source_topics.c
 *		All Kafka topics that match a regular expression, as one source.
 *
 *		topic a, partition 0 ─┐
 *		topic a, partition 1 ─┼─ one client ────▶ one queue ──▶ poll: number, offset
 *		topic b, partition 0 ─┘                      │
 *				survey: which topics are there ─▶ pipe ┴▶ wait_fd
 *
 * What one topic does (source_kafka.c) holds for each of them: positions, gaps, offsets
 * that are lost, marks.  Here is what is different.  A partition is told by its number
 * (topic_numbers.c).  Everything is asked of all topics at once (kafka_survey.c), so
 * that a hundred of them cost one client, with its threads and connections, one
 * request each for metadata, and one for offsets of each broker.  The client has its
 * handle alone: one handle consumes a topic once, and a stream of that topic may share
 * the process.
 *
 * Topics come and go while others are read (topic_parts.c).  One that is new is
 * registered in the transaction of the poll that notices it, and read by the first poll
 * after that transaction.  Where the transaction is aborted, the source is closed.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "streaming.h"

#include "source/kafka_consumer.h"
#include "source/kafka_identity.h"
#include "source/kafka_topic.h"
#include "source/topics_internal.h"

/* ms that poll waits for an answer whether topics are still those that they were */
#define VERIFY_WAIT		3000

/* nudge: at most this often (ms); see source_kafka.c */
#define NUDGE_INTERVAL	5

/* Of numbers: what librdkafka calls a partition. */
typedef struct MessageKey
{
	rd_kafka_topic_t *topic;
	int64		partition;
} MessageKey;

typedef struct MessageNumber
{
	MessageKey	key;			/* must be first */
	int32		number;
} MessageNumber;

static StreamingSource *topics_open(StreamingStream *stream, StreamingReadMode mode);
static int64 topics_identify(StreamingSource *source, int timeout);
static void topics_bounds(StreamingSource *source, int timeout,
						  StreamingPositions *begin, StreamingPositions *end);
static bool topics_settle(StreamingSource *source, StreamingPositions *end);
static void topics_start(StreamingSource *source, const char *start, int timeout,
						 StreamingPositions *positions);
static StreamingRelease topics_release(StreamingSource *source, const StreamingPositions *needed);
static void topics_seek(StreamingSource *source, const StreamingPositions *positions);
static int	topics_poll(StreamingSource *source, StreamingRecord *records, int max,
						StreamingPositions *positions);
static int	topics_wait_fd(StreamingSource *source);
static void topics_known_end(StreamingSource *source, StreamingPositions *end);
static const char *topics_last_error(StreamingSource *source);
static void topics_close(StreamingSource *source);

/* opening and closing */
static void close_callback(void *argument);
static void release_fetches(void *argument);

/* parts */
static void find_topics(StreamingTopics *topics, int timeout, bool may_register);
static StreamingPlace *ask_offsets(StreamingTopics *topics, int timeout, bool with_at,
								   int64 time_ms, int *n);
static StreamingFetch *get_fetch(StreamingTopics *topics, int32 number);
static void start_part(StreamingTopics *topics, int32 number, int64 offset);
static void start_new(StreamingTopics *topics);
static int32 find_number(StreamingTopics *topics, const rd_kafka_message_t *message);

/* poll */
static void note_delivered(StreamingTopics *topics);
static void take_news(StreamingTopics *topics);
static bool verify(StreamingTopics *topics, bool delivers);
static bool take_message(StreamingTopics *topics, rd_kafka_message_t *message,
						 StreamingRecord *record);
static void take_event(StreamingTopics *topics, rd_kafka_message_t *message, int32 number);
static bool is_lost(StreamingTopics *topics);
static void fail_lost_offset(StreamingTopics *topics);
static void skip_lost(StreamingTopics *topics, StreamingRecord *record,
					  StreamingPositions *positions);
static void nudge(StreamingTopics *topics);

const StreamingSourceRoutine streaming_source_topics = {
	.name = "kafka",
	.open = topics_open,
	.identify = topics_identify,
	.bounds = topics_bounds,
	.settle = topics_settle,
	.start = topics_start,
	.forget = NULL,
	.release = topics_release,
	.seek = topics_seek,
	.poll = topics_poll,
	.wait_fd = topics_wait_fd,
	.fd_tells_rest = true,
	.known_end = topics_known_end,
	.last_error = topics_last_error,
	.close = topics_close
};

/* ------------------------------------------------------------------------
 * Opening and closing
 * ------------------------------------------------------------------------ */

static StreamingSource *
topics_open(StreamingStream *stream, StreamingReadMode mode)
{
	StreamingTopics *topics = palloc0(sizeof(StreamingTopics));
	HASHCTL		control = {.keysize = sizeof(MessageKey),.entrysize = sizeof(MessageNumber)};
	StreamingFetches *fetches;

	topics->base.routine = &streaming_source_topics;
	topics->base.stream = stream;
	topics->mode = mode;
	topics->context = CurrentMemoryContext;
	topics->registered = -1;
	topics->found_context = AllocSetContextCreate(CurrentMemoryContext, "streaming topics",
												  ALLOCSET_DEFAULT_SIZES);
	control.hcxt = CurrentMemoryContext;
	topics->numbers = hash_create("streaming topic partitions", 64, &control,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	topics->callback.func = close_callback;
	topics->callback.arg = topics;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &topics->callback);

	topics->client = streaming_kafka_consumer(stream, streaming_source_memory, mode, NULL);
	topics->nudging = !streaming_kafka_is_property("fetch.queue.backoff.ms");
	fetches = calloc(1, sizeof(StreamingFetches));
	if (fetches == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	topics->fetches = fetches;
	topics->group.commit = &fetches->commit;
	streaming_kafka_on_close(topics->client, release_fetches, fetches);
	streaming_kafka_messages_open(&fetches->messages, topics->client);
	return &topics->base;
}

static void
topics_close(StreamingSource *source)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	StreamingKafka *client = topics->client;
	StreamingKafka *verifier = topics->verifier;

	topics->client = NULL;
	topics->verifier = NULL;
	topics->fetches = NULL;
	if (verifier != NULL)
		streaming_kafka_close(verifier);
	if (client != NULL)
		streaming_kafka_close(client);
}

static void
close_callback(void *argument)
{
	topics_close(argument);
}

/* Runs in any thread, so without anything of PostgreSQL. */
static void
release_fetches(void *argument)
{
	StreamingFetches *fetches = argument;

	streaming_kafka_messages_release(&fetches->messages);
	for (int i = 0; i < fetches->nparts; i++)
	{
		StreamingFetch *fetch = &fetches->parts[i];

		if (fetch->started)
			(void) rd_kafka_consume_stop(fetch->topic, fetch->partition);
		if (fetch->topic != NULL)
			rd_kafka_topic_destroy(fetch->topic);
	}
	streaming_kafka_messages_close(&fetches->messages);
	free(fetches->parts);
	free(fetches);
}

StreamingKafka *
streaming_topics_verifier(StreamingTopics *topics)
{
	MemoryContext old = MemoryContextSwitchTo(topics->context);

	if (topics->verifier == NULL)
		topics->verifier = streaming_kafka_consumer(topics->base.stream, 0, topics->mode, NULL);
	MemoryContextSwitchTo(old);
	return topics->verifier;
}

/* ------------------------------------------------------------------------
 * Which topics, and their offsets
 * ------------------------------------------------------------------------ */

static int64
topics_identify(StreamingSource *source, int timeout)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	int64		incarnation = streaming_pattern_identify(source->stream, timeout,
														 topics->mode != STREAMING_READ_BATCH);

	for (int i = 0; i < topics->nparts; i++)
		streaming_parts_stop(topics, i);
	topics->positioned = false;
	topics->surprises = streaming_kafka_surprises(topics->client);
	topics->rounds = 0;
	find_topics(topics, timeout, false);
	if (!streaming_parts_verify(topics, topics->client, true, timeout))
	{
		const char *trouble;

		streaming_kafka_serve(topics->client);
		trouble = streaming_kafka_trouble(topics->client);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("no answer from Kafka about the topics of stream %s", source->stream->name),
				 trouble ? errdetail_internal("%s", trouble) :
				 errdetail("Their records could not be read within %d ms.", timeout),
				 errhint("Check whether the broker runs, and whether the user may read the topics.")));
	}
	return incarnation;
}

/* Asks the brokers; the answer is kept for polls. */
static void
find_topics(StreamingTopics *topics, int timeout, bool may_register)
{
	MemoryContext old;

	MemoryContextReset(topics->found_context);
	memset(&topics->found, 0, sizeof(topics->found));
	old = MemoryContextSwitchTo(topics->found_context);
	streaming_survey_topics(topics->client, topics->base.stream, timeout, &topics->found);
	MemoryContextSwitchTo(old);
	streaming_parts_take(topics, &topics->found, may_register, timeout, false);
}

/* Those of a topic that has gone since are left out. */
static StreamingPlace *
ask_offsets(StreamingTopics *topics, int timeout, bool with_at, int64 time_ms, int *n)
{
	StreamingPlace *places = streaming_parts_places(topics, n);
	int			answered = 0;

	streaming_survey_offsets(topics->client, topics->base.stream, timeout, places, *n,
							 with_at, time_ms);
	for (int i = 0; i < *n; i++)
	{
		if (places[i].there)
			places[answered++] = places[i];
		else
			topics->parts[places[i].number].there = false;
	}
	*n = answered;
	return places;
}

static void
topics_bounds(StreamingSource *source, int timeout,
			  StreamingPositions *begin, StreamingPositions *end)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	StreamingPlace *places;
	int			n;

	find_topics(topics, timeout, topics->mode == STREAMING_READ_FOLLOW);
	places = ask_offsets(topics, timeout, false, 0, &n);
	streaming_positions_init(begin);
	streaming_positions_init(end);
	for (int i = 0; i < n; i++)
	{
		streaming_positions_set(begin, places[i].number, places[i].begin);
		streaming_positions_set(end, places[i].number, places[i].end);
		topics->parts[places[i].number].end = places[i].end > places[i].begin ? places[i].end : -1;
	}
	pfree(places);
	if (topics->positioned)
		start_new(topics);
}

static bool
topics_settle(StreamingSource *source, StreamingPositions *end)
{
	return streaming_parts_settle((StreamingTopics *) source, end);
}

static void
topics_start(StreamingSource *source, const char *start, int timeout,
			 StreamingPositions *positions)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	int64		time_ms;
	StreamingKafkaStart where = streaming_kafka_start_of(source->stream, start, &time_ms);
	StreamingPlace *places;
	int			n;

	find_topics(topics, timeout, topics->mode != STREAMING_READ_BATCH);
	places = ask_offsets(topics, timeout, where == STREAMING_KAFKA_TIME, time_ms, &n);
	streaming_positions_init(positions);
	for (int i = 0; i < n; i++)
		streaming_positions_set(positions, places[i].number,
								where == STREAMING_KAFKA_EARLIEST ? places[i].begin :
								where == STREAMING_KAFKA_LATEST ? places[i].end : places[i].at);
	pfree(places);
}

/* As of one topic; what is gone has all been taken. */
static void
topics_known_end(StreamingSource *source, StreamingPositions *end)
{
	StreamingTopics *topics = (StreamingTopics *) source;

	streaming_positions_init(end);
	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];
		int64		low;
		int64		high;

		if (!part->there || part->row.gone)
		{
			if (part->next >= 0)
				streaming_positions_set(end, i, part->next);
			continue;
		}
		if (i >= topics->fetches->nparts || !topics->fetches->parts[i].started ||
			rd_kafka_get_watermark_offsets(streaming_kafka_handle(topics->client),
										   part->row.topic, part->row.mark.partition,
										   &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
			high = -1;
		streaming_positions_set(end, i, high < 0 ? -1 : Max(high, part->next));
	}
}

/* ------------------------------------------------------------------------
 * Fetching
 * ------------------------------------------------------------------------ */

static StreamingFetch *
get_fetch(StreamingTopics *topics, int32 number)
{
	StreamingFetches *fetches = topics->fetches;
	StreamingFetch *fetch;
	MessageKey	key = {0};
	MessageNumber *entry;

	if (number >= fetches->nparts)
	{
		StreamingFetch *grown = realloc(fetches->parts, sizeof(StreamingFetch) * topics->nparts);

		if (grown == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		memset(grown + fetches->nparts, 0,
			   sizeof(StreamingFetch) * (topics->nparts - fetches->nparts));
		fetches->parts = grown;
		fetches->nparts = topics->nparts;
	}
	fetch = &fetches->parts[number];
	if (fetch->topic == NULL)
	{
		const StreamingTopicPartition *row = &topics->parts[number].row;

		fetch->topic = rd_kafka_topic_new(streaming_kafka_handle(topics->client), row->topic, NULL);
		if (fetch->topic == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("could not use topic \"%s\" of stream %s: %s", row->topic,
							topics->base.stream->name, rd_kafka_err2str(rd_kafka_last_error()))));
		fetch->partition = row->mark.partition;
	}
	/* a topic that was made anew has the number that is read now */
	key.topic = fetch->topic;
	key.partition = fetch->partition;
	entry = hash_search(topics->numbers, &key, HASH_ENTER, NULL);
	entry->number = number;
	return fetch;
}

/* offset -1: the earliest */
static void
start_part(StreamingTopics *topics, int32 number, int64 offset)
{
	StreamingFetch *fetch = get_fetch(topics, number);

	if (rd_kafka_consume_start_queue(fetch->topic, fetch->partition,
									 offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset,
									 topics->fetches->messages.queue) < 0)
		elog(ERROR, "could not consume \"%s\": %s", topics->parts[number].path,
			 rd_kafka_err2str(rd_kafka_last_error()));
	fetch->started = true;
	topics->parts[number].next = offset < 0 ? -1 : offset;
}

/* What of it is still queued becomes outdated, so is never delivered. */
void
streaming_parts_stop(StreamingTopics *topics, int32 number)
{
	StreamingFetch *fetch;

	if (number >= topics->fetches->nparts)
		return;
	fetch = &topics->fetches->parts[number];
	if (fetch->started)
		(void) rd_kafka_consume_stop(fetch->topic, fetch->partition);
	fetch->started = false;
}

/* Those that are there and not yet read, unless this transaction has registered them. */
static void
start_new(StreamingTopics *topics)
{
	bool		pending = TransactionIdIsValid(topics->pending) &&
		TransactionIdIsCurrentTransactionId(topics->pending);

	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];

		if (!part->there || part->row.gone || (pending && i >= topics->pending_from) ||
			(i < topics->fetches->nparts && topics->fetches->parts[i].started))
			continue;
		start_part(topics, i, part->next);
	}
	if (!pending)
		topics->pending = InvalidTransactionId;
}

static void
topics_seek(StreamingSource *source, const StreamingPositions *positions)
{
	StreamingTopics *topics = (StreamingTopics *) source;

	streaming_kafka_messages_release(&topics->fetches->messages);
	for (int i = 0; i < topics->nparts; i++)
	{
		streaming_parts_stop(topics, i);
		topics->parts[i].next = streaming_positions_get(positions, i);
	}
	topics->failed = false;
	topics->positioned = true;
	topics->pending = InvalidTransactionId; /* a poll comes after the commit */
	start_new(topics);
	if (topics->survey == NULL)
		topics->survey = streaming_survey_begin(topics->client,
												streaming_kafka_watch_interval(source->stream),
												Min(streaming_retry_max, STREAMING_KAFKA_RETRY_MAX));
}

/* -1: of none that is read */
static int32
find_number(StreamingTopics *topics, const rd_kafka_message_t *message)
{
	MessageKey	key = {0};
	MessageNumber *entry;

	if (message->rkt == NULL)
		return -1;
	key.topic = message->rkt;
	key.partition = message->partition;
	entry = hash_search(topics->numbers, &key, HASH_FIND, NULL);
	return entry != NULL && topics->fetches->parts[entry->number].started ? entry->number : -1;
}

/* ------------------------------------------------------------------------
 * The group's offsets
 * ------------------------------------------------------------------------ */

/* Of the parts that are there. */
static const char *
place_of(void *source, int32 number, int32 *partition)
{
	StreamingTopics *topics = source;
	const StreamingPart *part;

	if (number >= topics->nparts)
		return NULL;
	part = &topics->parts[number];
	*partition = part->row.mark.partition;
	return part->there && !part->row.gone ? part->row.topic : NULL;
}

static StreamingRelease
topics_release(StreamingSource *source, const StreamingPositions *needed)
{
	StreamingTopics *topics = (StreamingTopics *) source;

	return streaming_kafka_group_release(&topics->group, topics->client, source, needed, place_of,
										 topics->context);
}

/* ------------------------------------------------------------------------
 * Polling
 * ------------------------------------------------------------------------ */

static int
topics_poll(StreamingSource *source, StreamingRecord *records, int max,
			StreamingPositions *positions)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	StreamingFetches *fetches = topics->fetches;
	int			n;
	int			delivered = 0;

	streaming_kafka_messages_begin(&fetches->messages, max);

	/* in this order: what comes after the clearing makes it readable again */
	streaming_kafka_clear_fd(topics->client);
	streaming_kafka_serve(topics->client);
	take_news(topics);
	start_new(topics);
	if (!verify(topics, false))
		return 0;
	if (is_lost(topics))
	{
		if (!source->stream->skip_lost)
			fail_lost_offset(topics);
		skip_lost(topics, &records[0], positions);
		return 1;
	}
	n = streaming_kafka_messages_take(&fetches->messages, max);
	if (n == 0)
		return 0;
	note_delivered(topics);
	if (!verify(topics, true))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("no answer from Kafka whether the topics of stream %s are still those that they were",
						source->stream->name),
				 errdetail_internal("%s", streaming_kafka_trouble(topics->client))));
	if (n == max)
		streaming_kafka_wake(topics->client);	/* there may be more */
	if (topics->nudging)
		nudge(topics);

	for (int i = 0; i < n; i++)
	{
		if (take_message(topics, fetches->messages.messages[i], &records[delivered]))
			delivered++;
	}
	for (int i = 0; i < topics->nparts; i++)
	{
		StreamingPart *part = &topics->parts[i];

		if (part->touched && part->next > streaming_positions_get(positions, i))
			streaming_positions_set(positions, i, part->next);
		part->touched = false;
	}
	return delivered;
}

/* Which parts messages are of that are to be delivered. */
static void
note_delivered(StreamingTopics *topics)
{
	StreamingFetches *fetches = topics->fetches;

	for (int i = 0; i < fetches->messages.n; i++)
	{
		int32		number = find_number(topics, fetches->messages.messages[i]);
		StreamingPart *part = &topics->parts[Max(number, 0)];

		if (number < 0 || fetches->messages.messages[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		part->delivered = true;
		topics->unmarked |= part->row.mark.offset < 0 && !part->compared;
	}
}

/* Only a follower looks for topics that come and go. */
static void
take_news(StreamingTopics *topics)
{
	MemoryContext context;
	MemoryContext old;
	StreamingTopicsFound found;
	bool		follows = topics->mode == STREAMING_READ_FOLLOW;
	int			known = topics->nparts;

	if (topics->survey == NULL)
		return;
	context = AllocSetContextCreate(topics->context, "streaming topics", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	if (streaming_survey_news(topics->client, topics->survey, &found) && follows)
	{
		MemoryContextDelete(topics->found_context);
		topics->found_context = context;
		topics->found = found;
		topics->stale = true;
	}
	else
		MemoryContextDelete(context);
	MemoryContextSwitchTo(old);
	if (!follows || !topics->stale)
		return;
	streaming_parts_take(topics, &topics->found, true, 0, true);
	if (streaming_parts_give_up(topics))
		(void) streaming_survey_rounds(topics->client, topics->survey, true);
	if (topics->nparts > known)
		streaming_kafka_wake(topics->client);	/* to be read after the commit */
}

/*
 * As of one topic: compares marks if there is a reason to, and looks for those of a
 * partition when it delivers for the first time.  False: it is not known whether the
 * topics are still those that they were.
 */
static bool
verify(StreamingTopics *topics, bool delivers)
{
	uint64		surprises = streaming_kafka_surprises(topics->client);
	bool		surprised = surprises != topics->surprises || topics->failed;
	uint64		rounds;
	bool		answered;
	const char *trouble;

	if (topics->mode == STREAMING_READ_BATCH || topics->survey == NULL)
		return true;
	topics->unverified |= delivers;
	rounds = streaming_survey_rounds(topics->client, topics->survey,
									 topics->unverified || surprised || topics->stale);
	if (!surprised && !topics->unmarked && (!topics->unverified || rounds == topics->rounds))
		return true;
	topics->unmarked = false;
	answered = streaming_parts_verify(topics, streaming_topics_verifier(topics), surprised,
									  VERIFY_WAIT);
	streaming_kafka_serve(topics->verifier);
	if (answered)
	{
		topics->surprises = surprises;
		topics->rounds = rounds;
		topics->unverified = delivers;
		if (topics->stale)
			streaming_kafka_wake(topics->client);	/* what is under the name now */
		return true;
	}
	trouble = streaming_kafka_trouble(topics->verifier);
	/* The survey asks until it is over, and wakes us. */
	streaming_kafka_set_trouble(topics->client, trouble ? trouble : "no answer from Kafka");
	return false;
}

/* Fills record if message is one; otherwise sees to the event that it is. */
static bool
take_message(StreamingTopics *topics, rd_kafka_message_t *message, StreamingRecord *record)
{
	int32		number = find_number(topics, message);
	StreamingPart *part;

	if (unlikely(message->err != RD_KAFKA_RESP_ERR_NO_ERROR))
	{
		take_event(topics, message, number);
		return false;
	}
	if (number < 0)
		return false;			/* its topic has been given up */
	part = &topics->parts[number];
	streaming_kafka_check_offset(message, part->row.topic, part->next);
	part->next = message->offset + 1;
	part->touched = true;
	streaming_kafka_record(message, number, part->path, record);
	return true;
}

static void
take_event(StreamingTopics *topics, rd_kafka_message_t *message, int32 number)
{
	StreamingPart *part = number < 0 ? NULL : &topics->parts[number];
	char		text[STREAMING_KAFKA_TEXT];

	switch (message->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			if (part != NULL && message->offset > part->next)
			{
				part->next = message->offset;
				part->touched = true;
			}
			return;

		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			if (part == NULL)
				break;
			if (part->next < 0)
			{
				/* its earliest offset could not be found out: ask again */
				streaming_parts_stop(topics, number);
				start_part(topics, number, -1);
				break;
			}
			if (!topics->failed)
			{
				topics->failed = true;
				topics->lost_number = number;
				topics->lost_offset = part->next;
			}
			streaming_kafka_wake(topics->client);
			return;

		default:
			break;
	}
	if (part != NULL)
		snprintf(text, sizeof(text), "partition %d of topic \"%s\": %s",
				 message->partition, part->row.topic, rd_kafka_message_errstr(message));
	else if (message->rkt != NULL)
		return;					/* of a topic that has been given up */
	else
		snprintf(text, sizeof(text), "%s", rd_kafka_message_errstr(message));
	streaming_kafka_set_trouble(topics->client, text);
}

/* ------------------------------------------------------------------------
 * Offsets that are lost
 * ------------------------------------------------------------------------ */

/* Not so if verify has found that the topic is another one. */
static bool
is_lost(StreamingTopics *topics)
{
	if (topics->failed && !topics->parts[topics->lost_number].there)
		topics->failed = false;
	return topics->failed;
}

static void
fail_lost_offset(StreamingTopics *topics)
{
	const StreamingTopicPartition *row = &topics->parts[topics->lost_number].row;
	StreamingStream *stream = topics->base.stream;

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("offset " INT64_FORMAT " of partition %d of topic \"%s\" is not there any more",
					topics->lost_offset, row->mark.partition, row->topic),
			 errdetail("Messages that stream %s has not taken were deleted by the topic's retention, or the topic was created anew.",
					   stream->name),
			 errhint("Call streaming.reset() to begin the view again where its option \"start\" says: 'earliest' takes what the topics still hold, 'latest' what comes from now on. Or set the stream's option \"on_lost_offset\" to \"skip\".")));
}

/* As of one topic. */
static void
skip_lost(StreamingTopics *topics, StreamingRecord *record, StreamingPositions *positions)
{
	StreamingStream *stream = topics->base.stream;
	int32		number = topics->lost_number;
	StreamingPart *part = &topics->parts[number];
	StreamingPlace place = {.topic = part->row.topic,.number = number,.mark = part->row.mark};

	streaming_survey_offsets(topics->client, stream, streaming_connect_timeout, &place, 1,
							 false, 0);
	if (!place.there || place.begin <= topics->lost_offset)
		fail_lost_offset(topics);	/* it is the end that is lost */
	snprintf(topics->gap, sizeof(topics->gap),
			 "messages from offset " INT64_FORMAT " to " INT64_FORMAT " are not in the topic any more, and are skipped",
			 topics->lost_offset, place.begin - 1);
	ereport(LOG,
			(errmsg("partition %d of topic \"%s\" of stream %s: %s",
					part->row.mark.partition, part->row.topic, stream->name, topics->gap)));

	memset(record, 0, sizeof(*record));
	record->partition = number;
	record->path = part->path;
	record->offset = topics->lost_offset;
	record->timestamp_ms = -1;
	record->framing_error = topics->gap;
	streaming_parts_stop(topics, number);
	start_part(topics, number, place.begin);
	streaming_positions_set(positions, number, place.begin);
	topics->failed = false;
	streaming_kafka_wake(topics->client);
}

/* ------------------------------------------------------------------------
 * Waiting
 * ------------------------------------------------------------------------ */

/*
 * Makes the broker threads look at the queue again, of the partitions of this poll:
 * see source_kafka.c.
 */
static void
nudge(StreamingTopics *topics)
{
	StreamingFetches *fetches = topics->fetches;
	rd_kafka_topic_partition_list_t *list;
	int32		last = -1;

	if (streaming_now() < topics->nudge_at ||
		rd_kafka_queue_length(fetches->messages.queue) > fetches->messages.n)
		return;
	topics->nudge_at = streaming_time_plus(streaming_now(), NUDGE_INTERVAL);
	list = rd_kafka_topic_partition_list_new(16);
	for (int i = 0; i < fetches->messages.n; i++)
	{
		int32		number = find_number(topics, fetches->messages.messages[i]);

		if (number >= 0 && number != last)
			rd_kafka_topic_partition_list_add(list, topics->parts[number].row.topic,
											  fetches->parts[number].partition)->offset =
				RD_KAFKA_OFFSET_END;
		last = number;
	}
	if (list->cnt > 0)
		(void) rd_kafka_offsets_for_times(streaming_kafka_handle(topics->client), list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static int
topics_wait_fd(StreamingSource *source)
{
	return streaming_kafka_fd(((StreamingTopics *) source)->client);
}

static const char *
topics_last_error(StreamingSource *source)
{
	StreamingTopics *topics = (StreamingTopics *) source;
	const char *trouble = streaming_kafka_trouble(topics->client);

	return trouble ? trouble : streaming_kafka_group_trouble(&topics->group, source->stream);
}
