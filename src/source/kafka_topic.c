/*
 * kafka_topic.c
 *		What the brokers say about a topic: its partitions and their offsets.
 *
 * librdkafka answers such questions by functions that wait.  Those that a
 * backend waits for run in a thread of their own (StreamingKafkaCall), so that
 * a cancel is obeyed at once; and one thread of a consumer, the watch, asks
 * all the time, for partitions that are new and, while the consumer is in
 * trouble, whether that is over: librdkafka tells that a connection is lost
 * but not that it has come back.
 *
 * Everything named ask_* and run_* runs in those threads.
 */
#include "postgres.h"

#include <limits.h>
#include <time.h>

#include "streaming.h"

#include "base/clean_text.h"
#include "kafka.h"
#include "source/kafka_topic.h"

/* ms a topic may take to be known everywhere after it has been created */
#define TOPIC_GRACE		1000

/*
 * ms the first question waits for an answer, besides fetch.wait.max.ms: a broker
 * serves the requests of a connection in turn, and a fetch may be before it.
 * Each question that got no answer doubles it, up to 4 times.
 */
#define PATIENCE		1000

/* ms a topic may seem to have fewer partitions than it had */
#define SHRUNK_GRACE	10000

/* ms between questions of the watch in trouble, doubled up to retry_max */
#define FIRST_RETRY		250

/* A question of streaming_kafka_topic_offsets and its answer. */
typedef struct TopicQuestion
{
	StreamingKafkaCall call;	/* must be first */
	char	   *topic;
	int			timeout;
	int			patience;
	bool		want_begin;
	bool		want_end;
	bool		want_at;
	int64		time_ms;

	bool		answered;
	int			n;				/* partitions */
	int64	   *begin;			/* n each, NULL if not wanted */
	int64	   *end;
	int64	   *at;
	bool		missing;		/* there is no such topic */
	char		text[STREAMING_KAFKA_TEXT]; /* why it is not answered */
} TopicQuestion;

struct StreamingKafkaWatch
{
	StreamingKafkaCall call;	/* must be first */

	/* immutable */
	char	   *topic;
	int			patience;
	int			interval;
	int			retry_max;

	/* guarded by the client's lock */
	bool		news;
	int			expected;		/* partitions that it had once */
	int			n;				/* partitions, 0: not known */
	uint64		rounds;			/* that have been answered */
	bool		wake;			/* somebody waits for the next one */
	bool		shrunk;			/* n < expected for SHRUNK_GRACE */
	bool		ok;				/* the last round found nothing wrong */
	uint64		number;			/* trouble's number when that round began */
	char		text[STREAMING_KAFKA_TEXT]; /* what was wrong */
};

static void run_question(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_question(StreamingKafkaCall *call);
static void run_watch(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_watch(StreamingKafkaCall *call);
static bool ask_all_offsets(StreamingKafka *client, TopicQuestion *question, int timeout);
static void take_positions(StreamingPositions *positions, int n, const int64 *offsets);

/* ------------------------------------------------------------------------
 * Questions that somebody waits for
 * ------------------------------------------------------------------------ */

void
streaming_kafka_topic_offsets(StreamingKafka *client, StreamingStream *stream,
							  int timeout, StreamingPositions *begin,
							  StreamingPositions *end,
							  int64 time_ms, StreamingPositions *at)
{
	TopicQuestion *question = calloc(1, sizeof(TopicQuestion));
	char		text[STREAMING_KAFKA_TEXT] = "";
	bool		missing = false;

	if (question != NULL)
		question->topic = strdup(stream->topic);
	if (question == NULL || question->topic == NULL)
	{
		free(question);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	question->call.run = run_question;
	question->call.dispose = dispose_question;
	question->timeout = timeout;
	question->patience = streaming_kafka_first_patience(client);
	question->want_begin = begin != NULL;
	question->want_end = end != NULL || at != NULL;
	question->want_at = at != NULL;
	question->time_ms = time_ms;

	/* a little more patience than the thread has, to hear what was wrong */
	if (streaming_kafka_call(client, &question->call, Min(timeout, INT_MAX - 200) + 200))
	{
		if (question->answered)
		{
			if (begin)
				take_positions(begin, question->n, question->begin);
			if (end)
				take_positions(end, question->n, question->end);
			if (at)
			{
				/* no message is that new: what comes next will be */
				for (int i = 0; i < question->n; i++)
					if (question->at[i] < 0)
						question->at[i] = question->end[i];
				take_positions(at, question->n, question->at);
			}
			streaming_kafka_call_end(&question->call);
			return;
		}
		strlcpy(text, question->text, sizeof(text));
		streaming_clean_text(text);
		missing = question->missing;
		streaming_kafka_call_end(&question->call);
	}

	/* librdkafka's own text says best why there was no answer */
	streaming_kafka_serve(client);
	if (!missing && streaming_kafka_trouble(client) != NULL)
		strlcpy(text, streaming_kafka_trouble(client), sizeof(text));
	if (missing)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("topic \"%s\" of stream %s does not exist",
						stream->topic, stream->name),
				 errhint("Create the topic, or check the stream's option \"topic\" and the server's option \"bootstrap_servers\".")));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("no answer from Kafka about topic \"%s\" of stream %s",
					stream->topic, stream->name),
			 text[0] ? errdetail_internal("%s", text) :
			 errdetail("There was none within %d ms.", timeout),
			 errhint("Check the option \"bootstrap_servers\" of the stream's server and whether the broker runs.")));
}

static void
take_positions(StreamingPositions *positions, int n, const int64 *offsets)
{
	streaming_positions_init(positions);
	for (int i = 0; i < n; i++)
		streaming_positions_set(positions, i, offsets[i]);
}

/*
 * Asks until there is an answer or the timeout is over.  A question that got
 * none is asked again with more patience each time, so that the client can
 * close in between, and yet a slow line is waited for.
 */
static void
run_question(StreamingKafka *client, StreamingKafkaCall *call)
{
	TopicQuestion *question = (TopicQuestion *) call;
	int64		begun = streaming_kafka_clock_ms();
	int			patience = question->patience;
	rd_kafka_topic_t *topic;

	topic = rd_kafka_topic_new(streaming_kafka_handle(client), question->topic, NULL);
	if (topic == NULL)
	{
		strlcpy(question->text, rd_kafka_err2str(rd_kafka_last_error()),
				sizeof(question->text));
		return;
	}

	for (;;)
	{
		int64		left = question->timeout - (streaming_kafka_clock_ms() - begun);
		bool		troubled;
		uint64		number;

		if (left <= 0)
			break;
		question->n = streaming_kafka_ask_partitions(client, topic, Min(patience, left),
									 &question->missing, question->text);
		if (question->n > 0 &&
			ask_all_offsets(client, question, Min(patience, left)))
		{
			question->answered = true;
			break;
		}
		if (question->missing && streaming_kafka_clock_ms() - begun >= TOPIC_GRACE)
			break;
		patience = Min(patience * 2, question->patience * 4);
		number = streaming_kafka_trouble_number(client, &troubled);
		if (!streaming_kafka_sleep(client, 50, number))
			break;
	}
	rd_kafka_topic_destroy(topic);
}

static bool
ask_all_offsets(StreamingKafka *client, TopicQuestion *question, int timeout)
{
	struct
	{
		bool		wanted;
		int64		when;
		int64	  **offsets;
	}			parts[] = {
		{question->want_begin, RD_KAFKA_OFFSET_BEGINNING, &question->begin},
		{question->want_at, question->time_ms, &question->at},
		{question->want_end, RD_KAFKA_OFFSET_END, &question->end}
	};

	for (int i = 0; i < lengthof(parts); i++)
	{
		if (!parts[i].wanted)
			continue;
		free(*parts[i].offsets);
		*parts[i].offsets = malloc(sizeof(int64) * question->n);
		if (*parts[i].offsets == NULL ||
			!streaming_kafka_ask_offsets(client, question->topic, question->n, parts[i].when,
						 timeout, *parts[i].offsets, question->text))
			return false;
	}
	return true;
}

static void
dispose_question(StreamingKafkaCall *call)
{
	TopicQuestion *question = (TopicQuestion *) call;

	free(question->topic);
	free(question->begin);
	free(question->end);
	free(question->at);
	free(question);
}

/* ------------------------------------------------------------------------
 * The watch
 * ------------------------------------------------------------------------ */

StreamingKafkaWatch *
streaming_kafka_watch_topic(StreamingKafka *client, const char *topic,
							int interval, int retry_max)
{
	StreamingKafkaWatch *watch = calloc(1, sizeof(StreamingKafkaWatch));

	if (watch != NULL)
		watch->topic = strdup(topic);
	if (watch == NULL || watch->topic == NULL)
	{
		free(watch);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	watch->call.run = run_watch;
	watch->call.dispose = dispose_watch;
	watch->patience = streaming_kafka_first_patience(client);
	watch->interval = interval;
	watch->retry_max = Max(retry_max, FIRST_RETRY);
	streaming_kafka_start(client, &watch->call);
	return watch;
}

void
streaming_kafka_watch_expect(StreamingKafka *client, StreamingKafkaWatch *watch, int n)
{
	streaming_kafka_lock(client);
	watch->expected = n;
	watch->shrunk = false;
	streaming_kafka_unlock(client);
}

uint64
streaming_kafka_watch_rounds(StreamingKafka *client, StreamingKafkaWatch *watch, bool wake)
{
	uint64		rounds;

	streaming_kafka_lock(client);
	rounds = watch->rounds;
	watch->wake = wake;
	streaming_kafka_unlock(client);
	return rounds;
}

int
streaming_kafka_watch_news(StreamingKafka *client, StreamingKafkaWatch *watch,
						   bool *shrunk)
{
	bool		news;
	bool		ok;
	uint64		number;
	int			n;
	char		text[STREAMING_KAFKA_TEXT];

	streaming_kafka_lock(client);
	news = watch->news;
	watch->news = false;
	ok = watch->ok;
	number = watch->number;
	n = watch->n;
	*shrunk = watch->shrunk;
	if (news && !ok)
		memcpy(text, watch->text, sizeof(text));
	streaming_kafka_unlock(client);

	if (news && ok)
		streaming_kafka_clear_trouble(client, number);
	else if (news && streaming_kafka_trouble(client) == NULL)
		streaming_kafka_set_trouble(client, text);
	return n;
}

/*
 * The trouble's number is read before a round begins: a round that went well
 * says nothing about trouble that came in the meantime.  Such trouble also
 * ends the sleep between rounds.
 */
static void
run_watch(StreamingKafka *client, StreamingKafkaCall *call)
{
	StreamingKafkaWatch *watch = (StreamingKafkaWatch *) call;
	rd_kafka_topic_t *topic;
	int			patience = watch->patience;
	int			retry = FIRST_RETRY;
	int			known = 0;		/* the most partitions that it had */
	int64		short_since = 0;	/* clock_ms, 0: it is not */
	bool		open = true;

	topic = rd_kafka_topic_new(streaming_kafka_handle(client), watch->topic, NULL);
	while (open && topic != NULL)
	{
		bool		troubled;
		uint64		number = streaming_kafka_trouble_number(client, &troubled);
		char		text[STREAMING_KAFKA_TEXT] = "";
		bool		missing;
		int			n = streaming_kafka_ask_partitions(client, topic, patience, &missing, text);
		bool		ok = n > 0 && text[0] == '\0';
		bool		wake;

		if (ok && troubled)
		{
			int64	   *ends = malloc(sizeof(int64) * n);

			ok = ends != NULL &&
				streaming_kafka_ask_offsets(client, watch->topic, n, RD_KAFKA_OFFSET_END,
							patience, ends, text);
			free(ends);
		}

		if (missing || (n > 0 && n < known))
			streaming_kafka_surprise(client);
		known = Max(n, known);
		streaming_kafka_lock(client);
		if (n == 0 || n >= watch->expected)
			short_since = 0;
		else
		{
			if (short_since == 0)
				short_since = streaming_kafka_clock_ms();
			watch->shrunk = streaming_kafka_clock_ms() - short_since >= SHRUNK_GRACE;
			snprintf(text, sizeof(text), "partition %d of topic \"%s\" does not exist",
					 watch->expected - 1, watch->topic);
			ok = false;
		}
		wake = n > watch->n || ok == troubled || watch->shrunk || (watch->wake && n > 0);
		watch->news = true;
		watch->n = Max(watch->n, n);
		watch->rounds += n > 0;
		watch->ok = ok;
		watch->number = number;
		strlcpy(watch->text, text, sizeof(watch->text));
		streaming_kafka_unlock(client);
		if (wake)
			streaming_kafka_wake(client);

		if (ok)
		{
			patience = watch->patience;
			retry = FIRST_RETRY;
			open = streaming_kafka_sleep(client, watch->interval, number);
		}
		else
		{
			/* not cut short by new trouble, or it would not be a back-off */
			patience = Min(patience * 2, watch->patience * 4);
			open = streaming_kafka_sleep(client, retry, UINT64_MAX);
			retry = Min(retry * 2, watch->retry_max);
		}
	}
	if (topic != NULL)
		rd_kafka_topic_destroy(topic);
}

static void
dispose_watch(StreamingKafkaCall *call)
{
	StreamingKafkaWatch *watch = (StreamingKafkaWatch *) call;

	free(watch->topic);
	free(watch);
}

/* ------------------------------------------------------------------------
 * Questions themselves
 * ------------------------------------------------------------------------ */

int
streaming_kafka_ask_partitions(StreamingKafka *client, rd_kafka_topic_t *topic, int timeout,
			   bool *missing, char *text)
{
	const struct rd_kafka_metadata *metadata;
	const struct rd_kafka_metadata_topic *found;
	rd_kafka_resp_err_t err;
	int			n = 0;

	*missing = false;
	streaming_kafka_ask_begin(client);
	err = rd_kafka_metadata(streaming_kafka_handle(client), 0, topic, &metadata, timeout);
	streaming_kafka_ask_end(client);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		snprintf(text, STREAMING_KAFKA_TEXT, "broker down: %s", rd_kafka_err2str(err));
		return 0;
	}

	found = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
	if (found == NULL || found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		(found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->partition_cnt == 0))
	{
		*missing = true;
		snprintf(text, STREAMING_KAFKA_TEXT, "topic \"%s\" does not exist",
				 rd_kafka_topic_name(topic));
	}
	else if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(text, STREAMING_KAFKA_TEXT, "topic \"%s\": %s",
				 rd_kafka_topic_name(topic), rd_kafka_err2str(found->err));
	else
	{
		n = found->partition_cnt;
		for (int i = 0; i < n; i++)
			if (found->partitions[i].leader < 0)
				snprintf(text, STREAMING_KAFKA_TEXT,
						 "partition %d of topic \"%s\" has no leader: broker down",
						 (int) found->partitions[i].id, rd_kafka_topic_name(topic));
	}
	rd_kafka_metadata_destroy(metadata);
	return n;
}

/* Kafka's protocol writes the two constants as times that are negative. */
bool
streaming_kafka_ask_list(StreamingKafka *client, rd_kafka_topic_partition_list_t *list, int64 when,
						 int timeout, char *text)
{
	rd_kafka_resp_err_t err;

	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = when;
	streaming_kafka_ask_begin(client);
	err = rd_kafka_offsets_for_times(streaming_kafka_handle(client), list, timeout);
	streaming_kafka_ask_end(client);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(text, STREAMING_KAFKA_TEXT, "broker down: %s", rd_kafka_err2str(err));
	for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		const rd_kafka_topic_partition_t *answer = &list->elems[i];

		err = answer->err;
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			snprintf(text, STREAMING_KAFKA_TEXT, "partition %d of topic \"%s\": %s",
					 (int) answer->partition, answer->topic, rd_kafka_err2str(err));
		else if (when < 0 && answer->offset < 0)
		{
			/* left out of the answer, or nonsense */
			err = RD_KAFKA_RESP_ERR__BAD_MSG;
			snprintf(text, STREAMING_KAFKA_TEXT, "partition %d of topic \"%s\": the broker told no offset",
					 (int) answer->partition, answer->topic);
		}
	}
	return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool
streaming_kafka_ask_offsets(StreamingKafka *client, const char *topic, int n, int64 when,
			int timeout, int64 *offsets, char *text)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
	bool		answered;

	for (int i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, topic, i);
	answered = streaming_kafka_ask_list(client, list, when, timeout, text);
	for (int i = 0; i < list->cnt && answered; i++)
		offsets[list->elems[i].partition] = list->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(list);
	return answered;
}

int
streaming_kafka_first_patience(StreamingKafka *client)
{
	char	   *wait = streaming_kafka_property(client, "fetch.wait.max.ms");

	return PATIENCE + (wait ? atoi(wait) : 0);
}

int64
streaming_kafka_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
