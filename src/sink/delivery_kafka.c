/*
 * delivery_kafka.c
 *		Delivers messages to a Kafka topic, exactly once.
 *
 * A delivery is one Kafka transaction.  With its messages it commits an offset
 * of a consumer group that nobody consumes with: partition 0 of the topic, the
 * number of the delivery, and as its metadata the delivery's token.  So the
 * broker knows which delivery was the last, and says so to whoever asks, also
 * after a crash on either side.
 *
 * The transactional id and the group both have the name "streaming-" and the
 * identity of the stream, or that of the option "transactional_id".
 *
 *	recover		ask for the offset; then init_transactions, which fences any
 *				earlier producer of that id and ends its transaction; then ask
 *				again, since that may have been ended with a commit
 *
 * The first question keeps a copy of the database, which has the same identity,
 * from fencing the server that has gone on in its stead: what it knows of the
 * last delivery is out of date.  Two servers that go on from the same state do
 * fence each other once; the token tells whose delivery was committed, and the
 * other one stops there.
 *
 * All errors end with a new producer (delivery.h), which begins with recover; the
 * old one aborts its transaction when it closes, if it can.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/clean_text.h"
#include "base/clock.h"
#include "kafka.h"
#include "sink/delivery.h"

#define CALL_TIMEOUT	15000	/* ms, for one call of librdkafka's */
#define QUEUE_KBYTES	"65536" /* of messages that are not acknowledged yet */
#define QUEUE_MESSAGES	"500000"
#define ABORT_TIMEOUT	500		/* ms, when the producer closes */
#define LINGER			"1"		/* ms; a delivery has all its messages at once */
#define SOON			20		/* ms of looks at the queue every ms, then every */
#define QUEUE_WAIT		5		/* ms */
#define TROUBLE_WAIT	2000	/* ms after which a wait for the queue is shown */

typedef struct KafkaDelivery
{
	StreamingDelivery base;
	MemoryContextCallback callback;
	char	   *id;				/* transactional id and group */
	StreamingKafka *producer;
	rd_kafka_topic_t *topic;
	int64		number;			/* of the delivery under way */
	StreamingTime waiting_since;	/* for the queue; 0: not */
} KafkaDelivery;

/* What is given back when the producer closes; in malloc'ed memory. */
typedef struct Owned
{
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
} Owned;

typedef enum CallKind
{
	CALL_FIND_TOPIC,
	CALL_INIT,
	CALL_BEGIN,
	CALL_COMMITTED,
	CALL_COMMIT
} CallKind;

/* A call that waits for the broker; in malloc'ed memory. */
typedef struct TransactionCall
{
	StreamingKafkaCall call;	/* must be first */
	CallKind	kind;
	int			timeout;
	char	   *topic;
	char	   *group;
	int64		offset;			/* to be committed; answer of CALL_COMMITTED, -1:
								 * none */
	char		token[64];		/* likewise, "": none */

	rd_kafka_resp_err_t error;	/* RD_KAFKA_RESP_ERR_NO_ERROR: it went well */
	char		text[STREAMING_KAFKA_TEXT];
} TransactionCall;

/* any thread */
static void run_call(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_call(StreamingKafkaCall *call);
static void find_topic(rd_kafka_t *rk, TransactionCall *call);
static void ask_committed(rd_kafka_t *rk, TransactionCall *call);
static rd_kafka_error_t *commit(rd_kafka_t *rk, TransactionCall *call);

/* the worker's own */
static void release(void *argument);
static void close_clients(void *argument);
static TransactionCall *make_call(KafkaDelivery *kafka, CallKind kind, int timeout);
static void do_call(KafkaDelivery *kafka, StreamingKafka *client, TransactionCall *call);
static int64 last_delivery(KafkaDelivery *kafka, char *token);
pg_noreturn static void fail(KafkaDelivery *kafka, rd_kafka_resp_err_t error, const char *text);
static bool is_fenced(rd_kafka_resp_err_t error);
static void wait_for_queue(KafkaDelivery *kafka);
static rd_kafka_headers_t *make_headers(const StreamingMessage *message);

/* ---- Opening ---- */

static StreamingDelivery *
kafka_delivery_open(StreamingStream *stream, const char *identity)
{
	KafkaDelivery *kafka = palloc0(sizeof(KafkaDelivery));
	Owned	   *owned;
	StreamingKafkaSetting settings[] = {
		{"client.id", "streaming"},
		{"linger.ms", LINGER},
		{"reconnect.backoff.ms", "100"},
		{"reconnect.backoff.max.ms", "10000"},
		{"queue.buffering.max.kbytes", QUEUE_KBYTES},
		{"queue.buffering.max.messages", QUEUE_MESSAGES},
		{"socket.nagle.disable", "true"},
		/* that of Java's producer; the default takes an empty key for none */
		{"partitioner", "murmur2_random"},
		{"allow.auto.create.topics", "false", true},
		{"enable.idempotence", "true", true},
		{"transactional.id", NULL, true},
		{NULL}
	};

	kafka->id = stream->transactional_id ? stream->transactional_id :
		psprintf("streaming-%s", identity);
	settings[lengthof(settings) - 2].value = kafka->id;
	kafka->producer = streaming_kafka_open(RD_KAFKA_PRODUCER, stream->client_options, settings);
	kafka->callback.func = close_clients;
	kafka->callback.arg = kafka;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &kafka->callback);

	kafka->topic = rd_kafka_topic_new(streaming_kafka_handle(kafka->producer), stream->topic,
									  NULL);
	if (kafka->topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not use topic \"%s\" of stream %s: %s",
						stream->topic, stream->name,
						rd_kafka_err2str(rd_kafka_last_error()))));
	owned = malloc(sizeof(Owned));
	if (owned == NULL)
	{
		rd_kafka_topic_destroy(kafka->topic);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	owned->rk = streaming_kafka_handle(kafka->producer);
	owned->topic = kafka->topic;
	streaming_kafka_on_close(kafka->producer, release, owned);
	return &kafka->base;
}

/*
 * A transaction under way is aborted: librdkafka stops the process if it is
 * destroyed while it is about to register a partition with one.  That needs no
 * broker; for telling the broker, a moment is enough, or init_transactions does
 * it.
 */
static void
release(void *argument)
{
	Owned	   *owned = argument;
	rd_kafka_error_t *error = rd_kafka_abort_transaction(owned->rk, ABORT_TIMEOUT);

	if (error)
		rd_kafka_error_destroy(error);
	rd_kafka_topic_destroy(owned->topic);
	free(owned);
}

static void
close_clients(void *argument)
{
	KafkaDelivery *kafka = argument;

	if (kafka->producer)
		streaming_kafka_close(kafka->producer);
	kafka->producer = NULL;
}

static void
kafka_delivery_close(StreamingDelivery *base)
{
	close_clients(base);
}

static int
kafka_delivery_fd(StreamingDelivery *base)
{
	return streaming_kafka_fd(((KafkaDelivery *) base)->producer);
}

static void
kafka_delivery_serve(StreamingDelivery *base)
{
	KafkaDelivery *kafka = (KafkaDelivery *) base;

	streaming_kafka_clear_fd(kafka->producer);
	streaming_kafka_serve(kafka->producer);
}

/* ---- What has happened ---- */

/*
 * Has delivery number happened?  last: what the broker says of the last one, -1:
 * nothing.  A smaller number may be years old, from a time when the stream had
 * this topic before.  Errors: what the broker says is not of this database.
 */
static bool
check_last(KafkaDelivery *kafka, int64 number, bool done, int64 last, const char *token)
{
	StreamingStream *stream = kafka->base.stream;
	bool		ours = kafka->base.token && strcmp(token, kafka->base.token) == 0;

	if (last == number && ours)
		return true;
	if (last < 0 && (done || number == 1))
		return false;			/* it may have expired since, but nothing is in doubt */
	if (last < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("whether the last delivery to topic \"%s\" was committed is not known any more",
						stream->topic),
				 errdetail("Group \"%s\" has no committed offset, though " INT64_FORMAT " deliveries were made.",
						   kafka->id, number - 1),
				 errhint("Offsets expire (broker setting offsets.retention.minutes), and go with their topic. See what the topic holds, then call streaming.restart_delivery.")));
	if (last < number)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("topic \"%s\" has deliveries that this database has not made",
					stream->topic),
			 errdetail("The last one is number " INT64_FORMAT " of \"%s\"; here, it is " INT64_FORMAT ".",
					   last, kafka->id, number),
			 errhint("Another server runs with a copy of this database, or this one was set back by a restore. Call streaming.restart_delivery to go on from here.")));
}

static bool
kafka_delivery_recover(StreamingDelivery *base, int64 number, bool done, const char *note)
{
	KafkaDelivery *kafka = (KafkaDelivery *) base;
	char		token[64];
	int64		last;

	do_call(kafka, kafka->producer, make_call(kafka, CALL_FIND_TOPIC, CALL_TIMEOUT));
	last = last_delivery(kafka, token);
	(void) check_last(kafka, number, done, last, token);
	do_call(kafka, kafka->producer, make_call(kafka, CALL_INIT, CALL_TIMEOUT));
	last = last_delivery(kafka, token);
	return check_last(kafka, number, done, last, token);
}

/*
 * The number of the last delivery that is committed, -1: none, and its token.
 * A producer cannot ask for the offsets of a group, so a consumer is made for
 * that.
 */
static int64
last_delivery(KafkaDelivery *kafka, char *token)
{
	StreamingKafkaSetting settings[] = {
		{"client.id", "streaming"},
		{"reconnect.backoff.ms", "100"},
		{"isolation.level", "read_committed", true},
		{"enable.auto.commit", "false", true},
		{"allow.auto.create.topics", "false", true},
		{"group.id", kafka->id, true},
		{NULL}
	};
	StreamingKafka *consumer = streaming_kafka_open(RD_KAFKA_CONSUMER,
													kafka->base.stream->client_options,
													settings);
	volatile int64 offset = -1;

	PG_TRY();
	{
		TransactionCall *call = make_call(kafka, CALL_COMMITTED, CALL_TIMEOUT);

		if (!streaming_kafka_call(consumer, &call->call, CALL_TIMEOUT + 200))
		{
			streaming_kafka_serve(consumer);
			fail(kafka, RD_KAFKA_RESP_ERR__TIMED_OUT,
				 streaming_kafka_trouble(consumer) ? streaming_kafka_trouble(consumer) :
				 "no answer about the group's offset");
		}
		if (call->error != RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			char	   *text = pstrdup(call->text);
			rd_kafka_resp_err_t error = call->error;

			streaming_kafka_call_end(&call->call);
			streaming_kafka_serve(consumer);
			if (error == RD_KAFKA_RESP_ERR__TIMED_OUT && streaming_kafka_trouble(consumer))
				text = pstrdup(streaming_kafka_trouble(consumer));
			fail(kafka, error, text);
		}
		offset = call->offset;
		strlcpy(token, call->token, sizeof(call->token));
		streaming_kafka_call_end(&call->call);
	}
	PG_FINALLY();
	{
		streaming_kafka_close(consumer);
	}
	PG_END_TRY();
	return offset;
}

/* ---- A delivery ---- */

static void
kafka_delivery_begin(StreamingDelivery *base, int64 number)
{
	KafkaDelivery *kafka = (KafkaDelivery *) base;

	do_call(kafka, kafka->producer, make_call(kafka, CALL_BEGIN, CALL_TIMEOUT));
	kafka->number = number;
	kafka->waiting_since = 0;
}

static void
kafka_delivery_write(StreamingDelivery *base, const StreamingMessage *message)
{
	KafkaDelivery *kafka = (KafkaDelivery *) base;
	rd_kafka_t *rk = streaming_kafka_handle(kafka->producer);
	int32		partition = message->partition >= 0 ? message->partition : RD_KAFKA_PARTITION_UA;
	rd_kafka_resp_err_t error;

	/* That what follows is the whole result is nothing to a log. */
	if (message->flags & STREAMING_MESSAGE_COMPLETE)
		return;
	for (;;)
	{
		if (message->timestamp == 0 && message->headers == NULL)
			error = rd_kafka_produce(kafka->topic, partition, RD_KAFKA_MSG_F_COPY,
									 unconstify(char *, message->payload),
									 message->payload_length,
									 message->key, message->key_length, NULL) == 0 ?
				RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
		else
		{
			rd_kafka_headers_t *headers = make_headers(message);

			error = rd_kafka_producev(rk, RD_KAFKA_V_RKT(kafka->topic),
									  RD_KAFKA_V_PARTITION(partition),
									  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
									  RD_KAFKA_V_VALUE(unconstify(char *, message->payload),
													   message->payload_length),
									  RD_KAFKA_V_KEY(message->key, message->key_length),
									  RD_KAFKA_V_TIMESTAMP(message->timestamp),
									  RD_KAFKA_V_HEADERS(headers),
									  RD_KAFKA_V_END);
			/* librdkafka owns the headers only if it has taken the message */
			if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
				rd_kafka_headers_destroy(headers);
		}
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail(kafka, error, rd_kafka_err2str(error));
		wait_for_queue(kafka);
	}
	kafka->waiting_since = 0;
}

/*
 * Messages leave the queue as the broker acknowledges them, or when they are
 * too old (message.timeout.ms, which is the transaction's).
 */
static void
wait_for_queue(KafkaDelivery *kafka)
{
	StreamingTime now = streaming_now();
	bool		soon = kafka->waiting_since == 0 ||
		!streaming_time_passed(kafka->waiting_since, now, SOON);
	const char *trouble;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 soon ? 1 : QUEUE_WAIT, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	streaming_kafka_serve(kafka->producer);
	trouble = streaming_kafka_trouble(kafka->producer);
	if (kafka->waiting_since == 0)
		kafka->waiting_since = now;
	else if (trouble && streaming_time_passed(kafka->waiting_since, now, TROUBLE_WAIT))
		streaming_delivery_trouble(trouble);
}

static rd_kafka_headers_t *
make_headers(const StreamingMessage *message)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
	const char *at = message->headers;
	const char *end = at + message->headers_length;

	while (at < end)
	{
		const char *name = at;
		int32		length;

		at += strlen(name) + 1;
		memcpy(&length, at, sizeof(length));
		at += sizeof(length);
		rd_kafka_header_add(headers, name, -1, length < 0 ? NULL : at, Max(length, 0));
		at += Max(length, 0);
	}
	return headers;
}

static void
kafka_delivery_commit(StreamingDelivery *base)
{
	KafkaDelivery *kafka = (KafkaDelivery *) base;
	TransactionCall *call;

	/* Otherwise the call would serve the queue, in a thread of its own. */
	while (rd_kafka_outq_len(streaming_kafka_handle(kafka->producer)) > 0)
		wait_for_queue(kafka);
	call = make_call(kafka, CALL_COMMIT, CALL_TIMEOUT);
	call->offset = kafka->number;
	strlcpy(call->token, base->token, sizeof(call->token));
	do_call(kafka, kafka->producer, call);
	streaming_kafka_serve(kafka->producer);
}

/* ---- Calls ---- */

static TransactionCall *
make_call(KafkaDelivery *kafka, CallKind kind, int timeout)
{
	TransactionCall *call = calloc(1, sizeof(TransactionCall));

	if (call)
	{
		call->topic = strdup(kafka->base.stream->topic);
		call->group = strdup(kafka->id);
	}
	if (call == NULL || call->topic == NULL || call->group == NULL)
	{
		if (call)
			dispose_call(&call->call);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	call->call.run = run_call;
	call->call.dispose = dispose_call;
	call->kind = kind;
	call->timeout = timeout;
	return call;
}

static void
dispose_call(StreamingKafkaCall *base)
{
	TransactionCall *call = (TransactionCall *) base;

	free(call->topic);
	free(call->group);
	free(call);
}

/* Runs and ends call; errors are raised. */
static void
do_call(KafkaDelivery *kafka, StreamingKafka *client, TransactionCall *call)
{
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	char		text[STREAMING_KAFKA_TEXT] = "no answer in time";
	const char *trouble;

	if (streaming_kafka_call(client, &call->call, call->timeout + 1000))
	{
		error = call->error;
		strlcpy(text, call->text, sizeof(text));
		streaming_kafka_call_end(&call->call);
	}
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	streaming_kafka_serve(client);
	trouble = streaming_kafka_trouble(client);
	fail(kafka, error, error == RD_KAFKA_RESP_ERR__TIMED_OUT && trouble ? trouble : text);
}

static void
run_call(StreamingKafka *client, StreamingKafkaCall *base)
{
	TransactionCall *call = (TransactionCall *) base;
	rd_kafka_t *rk = streaming_kafka_handle(client);
	rd_kafka_error_t *error = NULL;

	switch (call->kind)
	{
		case CALL_FIND_TOPIC:
			find_topic(rk, call);
			break;
		case CALL_INIT:
			error = rd_kafka_init_transactions(rk, call->timeout);
			break;
		case CALL_BEGIN:
			error = rd_kafka_begin_transaction(rk);
			break;
		case CALL_COMMITTED:
			ask_committed(rk, call);
			break;
		case CALL_COMMIT:
			error = commit(rk, call);
			break;
	}
	if (error)
	{
		call->error = rd_kafka_error_code(error);
		strlcpy(call->text, rd_kafka_error_string(error), sizeof(call->text));
		rd_kafka_error_destroy(error);
	}
}

static void
find_topic(rd_kafka_t *rk, TransactionCall *call)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, call->topic, NULL);

	if (topic == NULL)
	{
		call->error = rd_kafka_last_error();
		strlcpy(call->text, rd_kafka_err2str(call->error), sizeof(call->text));
		return;
	}
	call->error = rd_kafka_metadata(rk, 0, topic, &metadata, call->timeout);
	if (call->error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		call->error = metadata->topic_cnt == 1 ? metadata->topics[0].err :
			RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		rd_kafka_metadata_destroy(metadata);
	}
	strlcpy(call->text, rd_kafka_err2str(call->error), sizeof(call->text));
	rd_kafka_topic_destroy(topic);
}

static void
ask_committed(rd_kafka_t *rk, TransactionCall *call)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, call->topic, 0);
	call->error = rd_kafka_committed(rk, list, call->timeout);
	if (call->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		call->error = list->elems[0].err;
	call->offset = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
	if (list->elems[0].metadata)
		memcpy(call->token, list->elems[0].metadata,
			   Min(list->elems[0].metadata_size, sizeof(call->token) - 1));
	strlcpy(call->text, rd_kafka_err2str(call->error), sizeof(call->text));
	rd_kafka_topic_partition_list_destroy(list);
}

/* The offset first: it belongs to the transaction. */
static rd_kafka_error_t *
commit(rd_kafka_t *rk, TransactionCall *call)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *partition = rd_kafka_topic_partition_list_add(list, call->topic, 0);
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(call->group);
	rd_kafka_error_t *error;

	partition->offset = call->offset;
	partition->metadata = strdup(call->token);
	partition->metadata_size = partition->metadata ? strlen(partition->metadata) : 0;
	error = rd_kafka_send_offsets_to_transaction(rk, list, group, call->timeout);
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
	if (error == NULL)
		error = rd_kafka_commit_transaction(rk, call->timeout);
	return error;
}

/* ---- Errors ---- */

static bool
is_fenced(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR__FENCED ||
		error == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
		error == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static void
fail(KafkaDelivery *kafka, rd_kafka_resp_err_t error, const char *text)
{
	StreamingStream *stream = kafka->base.stream;
	char		fatal[STREAMING_KAFKA_TEXT];
	char		clean[STREAMING_KAFKA_TEXT];

	/* What came first says more than what followed from it. */
	if (rd_kafka_fatal_error(streaming_kafka_handle(kafka->producer), fatal,
							 sizeof(fatal)) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		error = rd_kafka_fatal_error(streaming_kafka_handle(kafka->producer), fatal,
									 sizeof(fatal));
		text = fatal;
	}
	strlcpy(clean, text, sizeof(clean));
	streaming_clean_text(clean);
	text = clean;
	if (is_fenced(error))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_EXCEPTION),
				 errmsg("delivery to topic \"%s\" was taken over by another server", stream->topic),
				 errdetail("Another producer uses the transactional id \"%s\": %s",
						   kafka->id, text),
				 errhint("Stop the other server, which has a copy of this database, or call streaming.restart_delivery in one of them.")));
	if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("topic \"%s\" of stream %s does not exist", stream->topic, stream->name),
				 errhint("Create the topic, or check the stream's option \"topic\".")));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("could not deliver to topic \"%s\" of stream %s: %s",
					stream->topic, stream->name, text)));
}

const StreamingDeliveryRoutine streaming_delivery_kafka = {
	.name = "kafka",
	.open = kafka_delivery_open,
	.recover = kafka_delivery_recover,
	.begin = kafka_delivery_begin,
	.write = kafka_delivery_write,
	.commit = kafka_delivery_commit,
	.close = kafka_delivery_close,
	.fd = kafka_delivery_fd,
	.serve = kafka_delivery_serve,
};
