/*
 * source_kafka.c
 *		A Kafka topic as a source: all its partitions, without a consumer group.
 *
 *		partition 0 ─┐ librdkafka's          one queue, ordered       poll
 *		partition 1 ─┼─ broker threads ────▶ within a partition ────▶ (ours)
 *		partition n ─┘                            │
 *							watch thread ──▶ pipe ┴▶ wait_fd
 *
 * Positions are ours, in the checkpoints of the views, so nothing is committed
 * to Kafka, and librdkafka's simple consumer is used: assign() would do the
 * same through a group that nobody needs.  Partitions start at the offsets
 * given by seek; those that are found later, by the watch (kafka_topic.c),
 * start at their earliest.
 *
 * Offsets have gaps: compaction, transaction markers, aborted transactions.
 * Where a partition ends with one, librdkafka's end-of-partition event carries
 * the offset behind it, which moves the position; so who waits for a position
 * to reach an end sees it reached.
 *
 * An offset that the broker does not have (retention) ends the source: poll
 * delivers what came before, then fails, until seek.
 *
 * A topic that is created anew while it is read is another one, and its offsets
 * mean nothing.  librdkafka goes on with it as if nothing had happened, but not
 * without a look at the metadata: the fetch that was under way when the topic was
 * deleted has failed.  So when it has asked for metadata of its own accord, or when
 * the watch has, nothing is delivered before the topic's marks have been compared
 * (kafka_identity.c), by a second client, since the first one is reading on.  Who
 * deletes, creates and fills a topic while one fetch waits is found out when the
 * watch has asked next.
 *
 * Memory: librdkafka keeps at most streaming.source_memory of messages in the
 * queue, plus one response of each broker; a message costs MESSAGE_OVERHEAD
 * besides its bytes.  When the queue is full librdkafka stops to fetch, and
 * before 2.2 (fetch.queue.backoff.ms) it looks again only a second later.  A
 * reader slower than the wire would be idle for most of that second; see
 * nudge().
 */
#include "postgres.h"

#include <limits.h>

#include "commands/defrem.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "streaming.h"

#include "base/clock.h"
#include "kafka.h"
#include "source/kafka_consumer.h"
#include "source/kafka_group.h"
#include "source/kafka_identity.h"
#include "source/kafka_messages.h"
#include "source/kafka_topic.h"
#include "source/source.h"

/* Bytes that librdkafka and malloc spend on a message besides its own. */
#define MESSAGE_OVERHEAD	400

/* ms that poll waits for an answer whether the topic is still the one it was */
#define VERIFY_WAIT		3000

/* ms between looks of the watch, unless the server says otherwise */
#define WATCH_INTERVAL	10000

/* nudge: at most this often (ms) */
#define NUDGE_INTERVAL	5

typedef struct Partition
{
	bool		started;
	bool		touched;		/* next has moved in this poll */
	int64		next;			/* the offset to come; -1: the earliest */
} Partition;

/*
 * What was got from librdkafka.  malloc'ed, since it is given back by the
 * thread that closes the client (release_consumer), maybe after the source.
 */
typedef struct Consumer
{
	rd_kafka_topic_t *topic;
	StreamingKafkaMessages messages;
	Partition  *partitions;		/* by number */
	int			npartitions;
	StreamingKafkaCommit commit;
} Consumer;

typedef struct KafkaSource
{
	StreamingSource base;		/* must be first */
	StreamingReadMode mode;
	MemoryContext context;
	StreamingKafka *client;		/* NULL: closed */
	Consumer   *consumer;
	StreamingKafkaWatch *watch; /* NULL until seek */
	MemoryContextCallback callback;

	int64		incarnation;	/* of the topic; 0: it is not looked after */
	StreamingKafkaMarks marks;	/* that it is known by */
	StreamingKafka *verifier;	/* client that compares them; NULL: not yet made */
	bool		unverified;		/* records have been delivered since */
	uint64		surprises;		/* of the client when they were compared last */
	uint64		rounds;			/* likewise, of the watch */

	bool		failed;			/* poll fails from now on, until seek */
	int32		lost_partition;
	int64		lost_offset;
	char		gap[STREAMING_KAFKA_TEXT];	/* that was skipped last */

	StreamingKafkaGroup group;

	bool		nudging;		/* this librdkafka needs it */
	size_t		full_messages;	/* in the queue: it may be full, or */
	size_t		full_bytes;
	size_t		largest;		/* message since the last nudge, in bytes */
	size_t		most_queued;	/* since the last nudge */
	instr_time	nudged;
} KafkaSource;

static StreamingSource *kafka_open(StreamingStream *stream, StreamingReadMode mode);
static int64 kafka_identify(StreamingSource *source, int timeout);
static void kafka_bounds(StreamingSource *source, int timeout,
						 StreamingPositions *begin, StreamingPositions *end);
static void kafka_start(StreamingSource *source, const char *start, int timeout,
						StreamingPositions *positions);
static StreamingRelease kafka_release(StreamingSource *source, const StreamingPositions *needed);
static void kafka_seek(StreamingSource *source, const StreamingPositions *positions);
static int	kafka_poll(StreamingSource *source, StreamingRecord *records, int max,
					   StreamingPositions *positions);
static int	kafka_wait_fd(StreamingSource *source);
static void kafka_known_end(StreamingSource *source, StreamingPositions *end);
static const char *kafka_last_error(StreamingSource *source);
static void kafka_close(StreamingSource *source);

/* opening and closing */
static void close_callback(void *argument);
static void release_consumer(void *argument);

/* partitions */
static Partition *get_partition(Consumer *consumer, int32 partition);
static void start_partition(KafkaSource *kafka, int32 partition, int64 offset);
static void stop_partition(Consumer *consumer, int32 partition);

/* poll */
static void take_news(KafkaSource *kafka);
static bool take_message(KafkaSource *kafka, rd_kafka_message_t *message,
						 StreamingRecord *record);
static void take_event(KafkaSource *kafka, rd_kafka_message_t *message);
static void nudge(KafkaSource *kafka);
static bool verify(KafkaSource *kafka, bool delivers);
static void fail_lost_offset(KafkaSource *kafka);
static void skip_lost(KafkaSource *kafka, StreamingRecord *record,
					  StreamingPositions *positions);

/* headers */

const StreamingSourceRoutine streaming_source_kafka = {
	.name = "kafka",
	.open = kafka_open,
	.identify = kafka_identify,
	.bounds = kafka_bounds,
	.start = kafka_start,
	.settle = NULL,
	.forget = NULL,
	.release = kafka_release,
	.seek = kafka_seek,
	.poll = kafka_poll,
	.wait_fd = kafka_wait_fd,
	.fd_tells_rest = true,
	.known_end = kafka_known_end,
	.last_error = kafka_last_error,
	.close = kafka_close
};

/* ------------------------------------------------------------------------
 * Opening and closing
 * ------------------------------------------------------------------------ */

static size_t
size_property(KafkaSource *kafka, const char *name)
{
	const char *value = streaming_kafka_property(kafka->client, name);

	return value ? strtoul(value, NULL, 10) : 0;
}

static StreamingSource *
kafka_open(StreamingStream *stream, StreamingReadMode mode)
{
	KafkaSource *kafka = palloc0(sizeof(KafkaSource));
	Consumer   *consumer;

	kafka->base.routine = &streaming_source_kafka;
	kafka->base.stream = stream;
	kafka->mode = mode;
	kafka->context = CurrentMemoryContext;
	kafka->callback.func = close_callback;
	kafka->callback.arg = kafka;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &kafka->callback);

	kafka->client = streaming_kafka_consumer(stream, streaming_source_memory, mode, stream->topic);
	kafka->nudging = !streaming_kafka_is_property("fetch.queue.backoff.ms");
	/* the messages of a poll tell the size of the others roughly */
	kafka->full_messages = size_property(kafka, "queued.min.messages") / 2;
	kafka->full_bytes = size_property(kafka, "queued.max.messages.kbytes") * 1024 / 4;

	consumer = calloc(1, sizeof(Consumer));
	if (consumer == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	kafka->consumer = consumer;
	kafka->group.commit = &consumer->commit;
	streaming_kafka_on_close(kafka->client, release_consumer, consumer);

	consumer->topic = rd_kafka_topic_new(streaming_kafka_handle(kafka->client),
										 stream->topic, NULL);
	if (consumer->topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not use topic \"%s\" of stream %s: %s",
						stream->topic, stream->name,
						rd_kafka_err2str(rd_kafka_last_error()))));
	streaming_kafka_messages_open(&consumer->messages, kafka->client);
	return &kafka->base;
}

/*
 * All partitions share one queue, so its limits are those of the stream.  Half
 * of the memory is for the payloads and half for the overhead; messages
 * smaller than the overhead meet the second limit first.
 */
StreamingKafka *
streaming_kafka_consumer(StreamingStream *stream, int memory, StreamingReadMode mode,
						 const char *topic)
{
	int			half = Max(memory / 2, 1024);	/* kB */
	char		retry_max[16];
	char		messages[16];
	char		kbytes[16];
	StreamingKafkaSetting settings[] = {
		{"client.id", "streaming"},
		{"queued.max.messages.kbytes", kbytes},
		{"queued.min.messages", messages},
		{"reconnect.backoff.ms", "100"},
		{"reconnect.backoff.max.ms", retry_max},
		{"topic.metadata.refresh.interval.ms", "-1", true},	/* the watch asks */
		{"fetch.wait.max.ms", "500"},	/* the broker answers earlier if it can */
		{"fetch.min.bytes", "1"},
		{"fetch.error.backoff.ms", "100"},
		{"socket.nagle.disable", "true"},
		{"fetch.queue.backoff.ms", "10", false, true},
		{"isolation.level", "read_committed"},
		{"allow.auto.create.topics", "false", true},
		{"auto.offset.reset", "error", true},
		{"enable.auto.commit", "false", true},
		{"enable.auto.offset.store", "false", true},
		{"enable.partition.eof", "true", true},
		/* only to tell it offsets: nobody joins it */
		{mode == STREAMING_READ_FOLLOW && stream->group_id ? "group.id" : NULL, stream->group_id, true},
		{NULL}
	};

	snprintf(kbytes, sizeof(kbytes), "%d", Min(half, 2097151));
	snprintf(messages, sizeof(messages), "%d",
			 (int) Min((int64) half * 1024 / MESSAGE_OVERHEAD, 1000000));
	snprintf(retry_max, sizeof(retry_max), "%d",
			 Max(Min(streaming_retry_max, STREAMING_KAFKA_RETRY_MAX), 100));
	if (topic != NULL && mode == STREAMING_READ_FOLLOW && stream->group_id == NULL)
		return streaming_kafka_join(stream->client_options, settings, topic);
	return streaming_kafka_open(RD_KAFKA_CONSUMER, stream->client_options, settings);
}

static void
kafka_close(StreamingSource *source)
{
	KafkaSource *kafka = (KafkaSource *) source;
	StreamingKafka *client = kafka->client;
	StreamingKafka *verifier = kafka->verifier;

	kafka->client = NULL;
	kafka->verifier = NULL;
	kafka->consumer = NULL;
	if (verifier != NULL)
		streaming_kafka_close(verifier);
	if (client != NULL)
		streaming_kafka_close(client);
}

static void
close_callback(void *argument)
{
	kafka_close(argument);
}

/* Runs in any thread, so without anything of PostgreSQL. */
static void
release_consumer(void *argument)
{
	Consumer   *consumer = argument;

	streaming_kafka_messages_release(&consumer->messages);
	for (int i = 0; i < consumer->npartitions; i++)
		stop_partition(consumer, i);
	if (consumer->topic != NULL)
		rd_kafka_topic_destroy(consumer->topic);
	streaming_kafka_messages_close(&consumer->messages);
	free(consumer->partitions);
	free(consumer);
}

/* ------------------------------------------------------------------------
 * Identity
 * ------------------------------------------------------------------------ */

static int64
kafka_identify(StreamingSource *source, int timeout)
{
	KafkaSource *kafka = (KafkaSource *) source;
	MemoryContext old = MemoryContextSwitchTo(kafka->context);

	for (int i = 0; i < kafka->consumer->npartitions; i++)
		stop_partition(kafka->consumer, i);
	kafka->surprises = streaming_kafka_surprises(kafka->client);
	kafka->rounds = 0;
	kafka->incarnation = streaming_topic_identify(kafka->client, source->stream, timeout,
												  kafka->mode != STREAMING_READ_BATCH,
												  &kafka->marks);
	MemoryContextSwitchTo(old);
	return kafka->incarnation;
}

/*
 * Compares the topic's marks if there is a reason to.  False: it is not known
 * whether it is still the topic it was.  delivers: there are records that depend on
 * it.
 */
static bool
verify(KafkaSource *kafka, bool delivers)
{
	uint64		surprises = streaming_kafka_surprises(kafka->client);
	bool		surprised = surprises != kafka->surprises;
	uint64		rounds = kafka->watch == NULL ? 0 :
		streaming_kafka_watch_rounds(kafka->client, kafka->watch,
									 kafka->unverified || surprised || delivers);
	MemoryContext old;
	bool		answered;

	if (kafka->incarnation == 0 || kafka->mode == STREAMING_READ_BATCH)
		return true;
	kafka->unverified |= delivers;
	/* most surprises of a handle that is shared are other topics' */
	if (surprised && !delivers && streaming_kafka_is_shared(kafka->client))
		surprised = rounds != kafka->rounds;
	if (!surprised && (!kafka->unverified || rounds == kafka->rounds))
		return true;
	old = MemoryContextSwitchTo(kafka->context);
	if (kafka->verifier == NULL)
		kafka->verifier = streaming_kafka_consumer(kafka->base.stream, 0, kafka->mode,
													 kafka->base.stream->topic);
	answered = streaming_topic_verify(kafka->verifier, kafka->base.stream, VERIFY_WAIT,
									  kafka->mode == STREAMING_READ_FOLLOW,
									  kafka->incarnation, &kafka->marks);
	MemoryContextSwitchTo(old);
	streaming_kafka_serve(kafka->verifier);
	if (answered)
	{
		kafka->surprises = surprises;
		kafka->rounds = rounds;
		kafka->unverified = delivers;
	}
	else
	{
		const char *trouble = streaming_kafka_trouble(kafka->verifier);

		/* The watch asks until it is over, and wakes us. */
		streaming_kafka_set_trouble(kafka->client, trouble ? trouble : "no answer from Kafka");
	}
	return answered;
}

/* ------------------------------------------------------------------------
 * Offsets
 * ------------------------------------------------------------------------ */

/*
 * A source that is consuming answers later by up to fetch.wait.max.ms: the
 * broker serves the requests of a connection in turn.
 */
static void
kafka_bounds(StreamingSource *source, int timeout,
			 StreamingPositions *begin, StreamingPositions *end)
{
	KafkaSource *kafka = (KafkaSource *) source;

	streaming_kafka_topic_offsets(kafka->client, source->stream, timeout,
								  begin, end, 0, NULL);
}

static void
kafka_start(StreamingSource *source, const char *start, int timeout,
			StreamingPositions *positions)
{
	KafkaSource *kafka = (KafkaSource *) source;
	StreamingPositions *begin = NULL;
	StreamingPositions *end = NULL;
	StreamingPositions *at = NULL;
	int64		time_ms = 0;

	switch (streaming_kafka_start_of(source->stream, start, &time_ms))
	{
		case STREAMING_KAFKA_EARLIEST:
			begin = positions;
			break;
		case STREAMING_KAFKA_LATEST:
			end = positions;
			break;
		case STREAMING_KAFKA_TIME:
			at = positions;
			break;
	}
	streaming_kafka_topic_offsets(kafka->client, source->stream, timeout,
								  begin, end, time_ms, at);
}

StreamingKafkaStart
streaming_kafka_start_of(StreamingStream *stream, const char *start, int64 *time_ms)
{
	TimestampTz time;
	int64		us;

	*time_ms = 0;
	if (strcmp(start, "earliest") == 0)
		return STREAMING_KAFKA_EARLIEST;
	if (strcmp(start, "latest") == 0)
		return STREAMING_KAFKA_LATEST;
	time = streaming_start_time(stream, start);
	if (TIMESTAMP_IS_NOBEGIN(time))
		return STREAMING_KAFKA_EARLIEST;
	if (TIMESTAMP_IS_NOEND(time))
		return STREAMING_KAFKA_LATEST;

	/* the first whole ms at or after it; Kafka knows none before 1970 */
	us = time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	*time_ms = us <= 0 ? 0 : (us + 999) / 1000;
	return STREAMING_KAFKA_TIME;
}

/*
 * Ends as the last answers to fetches told them.  Messages of transactions
 * that are still open count, although they are not delivered yet.  -1 for a
 * partition that has not answered.
 */
static void
kafka_known_end(StreamingSource *source, StreamingPositions *end)
{
	KafkaSource *kafka = (KafkaSource *) source;

	streaming_positions_init(end);
	for (int i = 0; i < kafka->consumer->npartitions; i++)
	{
		Partition  *partition = &kafka->consumer->partitions[i];
		int64		low;
		int64		high;

		if (!partition->started)
			continue;
		if (rd_kafka_get_watermark_offsets(streaming_kafka_handle(kafka->client),
										   source->stream->topic, i,
										   &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
			high = -1;
		/* the end that an event told is newer than the cached one */
		streaming_positions_set(end, i, high < 0 ? -1 : Max(high, partition->next));
	}
}

/* ------------------------------------------------------------------------
 * Partitions
 * ------------------------------------------------------------------------ */

static const char *
place_of(void *source, int32 number, int32 *partition)
{
	*partition = number;
	return ((KafkaSource *) source)->base.stream->topic;
}

static StreamingRelease
kafka_release(StreamingSource *source, const StreamingPositions *needed)
{
	KafkaSource *kafka = (KafkaSource *) source;

	return streaming_kafka_group_release(&kafka->group, kafka->client, source, needed, place_of,
										 kafka->context);
}

static void
kafka_seek(StreamingSource *source, const StreamingPositions *positions)
{
	KafkaSource *kafka = (KafkaSource *) source;
	Consumer   *consumer = kafka->consumer;
	int			expected = 0;

	streaming_kafka_messages_release(&consumer->messages);
	for (int i = 0; i < consumer->npartitions; i++)
		stop_partition(consumer, i);
	kafka->failed = false;

	for (int i = 0; i < positions->n; i++)
	{
		start_partition(kafka, positions->pos[i].partition, positions->pos[i].offset);
		if (positions->pos[i].offset > 0)
			expected = Max(expected, positions->pos[i].partition + 1);
	}

	if (kafka->watch == NULL)
	{
		kafka->watch = streaming_kafka_watch_topic(kafka->client, source->stream->topic,
												   streaming_kafka_watch_interval(source->stream),
												   Min(streaming_retry_max, STREAMING_KAFKA_RETRY_MAX));
	}
	streaming_kafka_watch_expect(kafka->client, kafka->watch, expected);
	take_news(kafka);
}

int
streaming_kafka_watch_interval(StreamingStream *stream)
{
	ListCell   *lc;
	int			interval = WATCH_INTERVAL;

	foreach(lc, stream->client_options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "topic.metadata.refresh.interval.ms") == 0)
			interval = atoi(defGetString(option));
	}
	return interval > 0 ? interval : WATCH_INTERVAL;
}

/* The entry of a partition, made if it is new.  Moves the others. */
static Partition *
get_partition(Consumer *consumer, int32 partition)
{
	if (partition >= consumer->npartitions)
	{
		Partition  *grown = NULL;

		if (partition < INT_MAX / 2)
			grown = realloc(consumer->partitions,
							sizeof(Partition) * ((size_t) partition + 1));
		if (grown == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		consumer->partitions = grown;
		while (consumer->npartitions <= partition)
		{
			Partition  *made = &grown[consumer->npartitions++];

			made->started = false;
			made->touched = false;
			made->next = -1;
		}
	}
	return &consumer->partitions[partition];
}

/*
 * Begins to fetch a partition at offset (-1: the earliest).  One that does not
 * exist yet is waited for by librdkafka.
 */
static void
start_partition(KafkaSource *kafka, int32 partition, int64 offset)
{
	Partition  *p = get_partition(kafka->consumer, partition);

	if (rd_kafka_consume_start_queue(kafka->consumer->topic, partition,
									 offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset,
									 kafka->consumer->messages.queue) < 0)
		elog(ERROR, "could not consume partition %d of topic \"%s\": %s",
			 partition, kafka->base.stream->topic,
			 rd_kafka_err2str(rd_kafka_last_error()));
	p->started = true;
	p->next = offset < 0 ? -1 : offset;
}

/* What of it is still queued becomes outdated, so is never delivered. */
static void
stop_partition(Consumer *consumer, int32 partition)
{
	Partition  *p = &consumer->partitions[partition];

	if (p->started)
		(void) rd_kafka_consume_stop(consumer->topic, partition);
	p->started = false;
	p->next = -1;
}

/* ------------------------------------------------------------------------
 * Polling
 * ------------------------------------------------------------------------ */

static int
kafka_poll(StreamingSource *source, StreamingRecord *records, int max,
		   StreamingPositions *positions)
{
	KafkaSource *kafka = (KafkaSource *) source;
	Consumer   *consumer = kafka->consumer;
	int			n;
	int			delivered = 0;

	streaming_kafka_messages_begin(&consumer->messages, max);

	/* in this order: what comes after the clearing makes it readable again */
	streaming_kafka_clear_fd(kafka->client);
	streaming_kafka_serve(kafka->client);
	if (kafka->watch != NULL)
		take_news(kafka);
	if (kafka->failed && !source->stream->skip_lost)
		fail_lost_offset(kafka);
	if (!verify(kafka, false))
		return 0;
	if (kafka->failed)
	{
		skip_lost(kafka, &records[0], positions);
		return 1;
	}
	n = streaming_kafka_messages_take(&consumer->messages, max);
	if (n == 0)
		return 0;
	if (!verify(kafka, true))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("no answer from Kafka whether topic \"%s\" of stream %s is still the one it was",
						source->stream->topic, source->stream->name),
				 errdetail_internal("%s", streaming_kafka_trouble(kafka->client))));
	if (n == max)
		streaming_kafka_wake(kafka->client);	/* there may be more */
	if (kafka->nudging)
		nudge(kafka);

	for (int i = 0; i < n; i++)
	{
		if (take_message(kafka, consumer->messages.messages[i], &records[delivered]))
			delivered++;
	}

	for (int i = 0; i < consumer->npartitions; i++)
	{
		Partition  *p = &consumer->partitions[i];

		if (p->touched && p->next > streaming_positions_get(positions, i))
			streaming_positions_set(positions, i, p->next);
		p->touched = false;
	}
	return delivered;
}

/* Starts the partitions that the watch has found; fails if some are gone. */
static void
take_news(KafkaSource *kafka)
{
	Consumer   *consumer = kafka->consumer;
	bool		shrunk;
	int			n = streaming_kafka_watch_news(kafka->client, kafka->watch, &shrunk);

	for (int i = 0; i < n; i++)
		if (i >= consumer->npartitions || !consumer->partitions[i].started)
			start_partition(kafka, i, -1);

	for (int i = n; shrunk && !kafka->failed && i < consumer->npartitions; i++)
	{
		if (consumer->partitions[i].next > 0)
		{
			kafka->failed = true;
			kafka->lost_partition = i;
			kafka->lost_offset = consumer->partitions[i].next;
		}
	}
}

/* Fills record if message is one; otherwise sees to the event that it is. */
static inline bool
take_message(KafkaSource *kafka, rd_kafka_message_t *message, StreamingRecord *record)
{
	Partition  *p;

	if (unlikely(message->err != RD_KAFKA_RESP_ERR_NO_ERROR))
	{
		take_event(kafka, message);
		return false;
	}

	/* started, so it is there */
	p = &kafka->consumer->partitions[message->partition];
	streaming_kafka_check_offset(message, kafka->base.stream->topic, p->next);
	p->next = message->offset + 1;
	p->touched = true;

	streaming_kafka_record(message, message->partition, NULL, record);
	return true;
}

static void
take_event(KafkaSource *kafka, rd_kafka_message_t *message)
{
	Consumer   *consumer = kafka->consumer;
	Partition  *p = NULL;
	char		text[STREAMING_KAFKA_TEXT];

	if (message->rkt != NULL && message->partition >= 0 &&
		message->partition < consumer->npartitions)
		p = &consumer->partitions[message->partition];

	switch (message->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			if (p != NULL && message->offset > p->next)
			{
				p->next = message->offset;
				p->touched = true;
			}
			return;

		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			if (p == NULL)
				break;
			if (p->next >= 0 && !kafka->failed)
			{
				kafka->failed = true;
				kafka->lost_partition = message->partition;
				kafka->lost_offset = p->next;
			}
			else if (p->next < 0)
			{
				/* its earliest offset could not be found out: ask again */
				stop_partition(consumer, message->partition);
				start_partition(kafka, message->partition, -1);
				break;
			}
			streaming_kafka_wake(kafka->client);
			return;

		default:
			break;
	}

	if (p != NULL)
		snprintf(text, sizeof(text), "partition %d of topic \"%s\": %s",
				 message->partition, kafka->base.stream->topic,
				 rd_kafka_message_errstr(message));
	else
		snprintf(text, sizeof(text), "topic \"%s\": %s",
				 kafka->base.stream->topic, rd_kafka_message_errstr(message));
	streaming_kafka_set_trouble(kafka->client, text);
}

/*
 * Makes the broker threads look at the queue again, when half of what it held
 * has been taken.  Any request to a broker wakes its thread; the offsets of
 * our partitions are one for each leader, need no right that a consumer lacks,
 * and with the timeout 0 the answer is not waited for.  librdkafka tells the
 * number of messages in the queue but not their bytes, nor whether it has stopped
 * to fetch, so a few of these requests are made in vain.
 */
static void
nudge(KafkaSource *kafka)
{
	Consumer   *consumer = kafka->consumer;
	size_t		queued = rd_kafka_queue_length(consumer->messages.queue);
	rd_kafka_topic_partition_list_t *list;
	instr_time	now;
	instr_time	since;

	if (queued + consumer->messages.n > kafka->most_queued)
		kafka->most_queued = queued + consumer->messages.n;
	for (int i = 0; i < consumer->messages.n; i++)
		kafka->largest = Max(kafka->largest, consumer->messages.messages[i]->len);
	if (queued > kafka->most_queued / 2 ||
		(kafka->most_queued < kafka->full_messages &&
		 kafka->most_queued * kafka->largest < kafka->full_bytes))
		return;
	INSTR_TIME_SET_CURRENT(now);
	since = now;
	INSTR_TIME_SUBTRACT(since, kafka->nudged);
	if (INSTR_TIME_GET_MILLISEC(since) < NUDGE_INTERVAL)
		return;

	kafka->nudged = now;
	kafka->most_queued = queued;
	kafka->largest = 0;
	list = rd_kafka_topic_partition_list_new(consumer->npartitions);
	for (int i = 0; i < consumer->npartitions; i++)
		rd_kafka_topic_partition_list_add(list, kafka->base.stream->topic, i)->offset =
			RD_KAFKA_OFFSET_END;
	if (consumer->npartitions > 0)
		(void) rd_kafka_offsets_for_times(streaming_kafka_handle(kafka->client), list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static void
fail_lost_offset(KafkaSource *kafka)
{
	StreamingStream *stream = kafka->base.stream;

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("offset " INT64_FORMAT " of partition %d of topic \"%s\" is not there any more",
					kafka->lost_offset, kafka->lost_partition, stream->topic),
			 errdetail("Messages that stream %s has not taken were deleted by the topic's retention, or the topic was created anew.",
					   stream->name),
			 errhint("Call streaming.reset() to begin the view again where its option \"start\" says: 'earliest' takes what the topic still holds, 'latest' what comes from now on. Or set the stream's option \"on_lost_offset\" to \"skip\".")));
}

/*
 * Goes on with the first message that there is.  Record is one that is none: it says
 * what is missing, for streaming.rejected_rows.
 */
static void
skip_lost(KafkaSource *kafka, StreamingRecord *record, StreamingPositions *positions)
{
	StreamingStream *stream = kafka->base.stream;
	int32		partition = kafka->lost_partition;
	StreamingPositions begin;
	int64		first;

	streaming_kafka_topic_offsets(kafka->client, stream, streaming_connect_timeout,
								  &begin, NULL, 0, NULL);
	first = streaming_positions_get(&begin, partition);
	if (first <= kafka->lost_offset)
		fail_lost_offset(kafka);	/* it is the end that is lost */
	snprintf(kafka->gap, sizeof(kafka->gap),
			 "messages from offset " INT64_FORMAT " to " INT64_FORMAT " are not in the topic any more, and are skipped",
			 kafka->lost_offset, first - 1);
	ereport(LOG,
			(errmsg("partition %d of topic \"%s\" of stream %s: %s",
					partition, stream->topic, stream->name, kafka->gap)));

	memset(record, 0, sizeof(*record));
	record->partition = partition;
	record->offset = kafka->lost_offset;
	record->timestamp_ms = -1;
	record->framing_error = kafka->gap;
	stop_partition(kafka->consumer, partition);
	start_partition(kafka, partition, first);
	streaming_positions_set(positions, partition, first);
	kafka->failed = false;
	streaming_kafka_wake(kafka->client);
}

static int
kafka_wait_fd(StreamingSource *source)
{
	return streaming_kafka_fd(((KafkaSource *) source)->client);
}

static const char *
kafka_last_error(StreamingSource *source)
{
	KafkaSource *kafka = (KafkaSource *) source;
	const char *trouble = streaming_kafka_trouble(kafka->client);

	return trouble ? trouble : streaming_kafka_group_trouble(&kafka->group, source->stream);
}
