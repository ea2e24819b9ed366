/*
 * kafka_marks.c
 *		Records by which a topic is known again.
 *
 * A topic that was deleted and made again has the name of the old one, and offsets
 * that begin anew.  Kafka tells them apart by an id, of which librdkafka 2.0 says
 * nothing.  So a topic is known by what does not change: of each partition one
 * record, the mark, is remembered, and read again where it was.
 *
 *		log start         mark                  end
 *		|-----------------[m]--------------------|      the same record: the same
 *		               another one there                another topic
 *		[m]  |---------------------------------|        gone by retention: untold
 *		|---------[ ]-----------------------------|     gone by compaction: untold
 *		|-------|         [m]                           shorter: another topic, or
 *		                                                messages that were lost
 *
 * A mark is chosen near the end of its partition, and another one when half of
 * the partition is behind it: retention takes what is in front first.
 *
 * Everything named run_* runs in a thread of the client.
 */
#include "postgres.h"

#include <limits.h>
#include <zlib.h>

#include "streaming.h"

#include "kafka.h"
#include "source/kafka_marks.h"
#include "source/kafka_topic.h"

/*
 * Offsets between a mark and the end of its partition, when it is chosen: the last
 * of them may belong to no record (markers of transactions).
 */
#define MARK_DISTANCE	100

/* ms in which a topic may seem to have fewer partitions than it has */
#define SHRUNK_GRACE	3000

/* ms that one look for a new mark may take: without one it goes, too */
#define CHOICE_TIME		1000

/* What is to be read of a partition, and was. */
typedef struct Probe
{
	int64		from;			/* -1: nothing */
	bool		answered;
	int64		offset;			/* -1: there is nothing from there on */
	int64		sent_ms;
	int64		digest;
} Probe;

typedef struct MarksQuestion
{
	StreamingKafkaCall call;	/* must be first */
	char	   *topic;
	int			timeout;
	int			patience;
	int			nmarks;
	StreamingKafkaMark *marks;

	StreamingKafkaLikeness likeness;
	int			n;				/* partitions, and length of fresh */
	StreamingKafkaMark *fresh;	/* offset -1: none */
	char		text[STREAMING_KAFKA_TEXT]; /* why there is no answer */
} MarksQuestion;

static void run_question(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_question(StreamingKafkaCall *call);
static bool run_comparison(StreamingKafka *client, rd_kafka_topic_t *topic,
						   MarksQuestion *question, int n, int timeout);
static bool run_probes(StreamingKafka *client, rd_kafka_topic_t *topic, Probe *probes, int n,
					   int timeout, char *text);
static void take_probe(Probe *probe, const rd_kafka_message_t *message);

StreamingKafkaLikeness
streaming_kafka_compare(StreamingKafka *client, StreamingStream *stream, int timeout,
						const StreamingKafkaMarks *marks, StreamingKafkaMarks *fresh)
{
	MarksQuestion *question = calloc(1, sizeof(MarksQuestion));
	StreamingKafkaLikeness likeness = STREAMING_TOPIC_SILENT;

	if (question != NULL)
	{
		question->topic = strdup(stream->topic);
		question->marks = malloc(sizeof(StreamingKafkaMark) * Max(marks->n, 1));
	}
	if (question == NULL || question->topic == NULL || question->marks == NULL)
	{
		if (question != NULL)
			dispose_question(&question->call);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	question->call.run = run_question;
	question->call.dispose = dispose_question;
	question->timeout = timeout;
	question->patience = streaming_kafka_first_patience(client);
	question->nmarks = marks->n;
	if (marks->n > 0)
		memcpy(question->marks, marks->marks, sizeof(StreamingKafkaMark) * marks->n);

	if (!streaming_kafka_call(client, &question->call, Min(timeout, INT_MAX - 200) + 200))
		return STREAMING_TOPIC_SILENT;
	likeness = question->likeness;
	if (likeness == STREAMING_TOPIC_SAME || likeness == STREAMING_TOPIC_UNTOLD)
	{
		fresh->n = 0;
		fresh->marks = palloc(sizeof(StreamingKafkaMark) * Max(question->n, 1));
		for (int i = 0; i < question->n; i++)
			if (question->fresh[i].offset >= 0)
				fresh->marks[fresh->n++] = question->fresh[i];
	}
	else if (likeness == STREAMING_TOPIC_SILENT && question->text[0])
		streaming_kafka_set_trouble(client, question->text);
	streaming_kafka_call_end(&question->call);
	return likeness;
}

/* Asks until there is an answer or the timeout is over. */
static void
run_question(StreamingKafka *client, StreamingKafkaCall *call)
{
	MarksQuestion *question = (MarksQuestion *) call;
	int64		begun = streaming_kafka_clock_ms();
	int			patience = question->patience;
	int			expected = 0;
	rd_kafka_topic_t *topic;

	for (int i = 0; i < question->nmarks; i++)
		expected = Max(expected, question->marks[i].partition + 1);
	topic = rd_kafka_topic_new(streaming_kafka_handle(client), question->topic, NULL);
	if (topic == NULL)
	{
		strlcpy(question->text, rd_kafka_err2str(rd_kafka_last_error()), sizeof(question->text));
		return;
	}

	for (;;)
	{
		int64		passed = streaming_kafka_clock_ms() - begun;
		int64		left = question->timeout - passed;
		bool		missing;
		int			n;

		if (left <= 0)
			break;
		n = streaming_kafka_ask_partitions(client, topic, Min(patience, left), &missing,
										   question->text);
		/* A broker may lag behind the others. */
		if (n > 0 && (n >= expected || passed >= Min(SHRUNK_GRACE, question->timeout / 2)) &&
			run_comparison(client, topic, question, n, left))
			break;
		patience = Min(patience * 2, question->patience * 4);
		if (!streaming_kafka_sleep(client, 50, UINT64_MAX))
			break;
	}
	rd_kafka_topic_destroy(topic);
}

/* False: it could not be made. */
static bool
run_comparison(StreamingKafka *client, rd_kafka_topic_t *topic, MarksQuestion *question, int n,
			   int timeout)
{
	int64	   *begin = malloc(sizeof(int64) * n);
	int64	   *end = malloc(sizeof(int64) * n);
	Probe	   *probes = calloc(n, sizeof(Probe));
	int			patience = Min(question->patience * 4, timeout);
	bool		answered;
	bool		other = false;
	int			found = 0;

	free(question->fresh);
	question->fresh = calloc(n, sizeof(StreamingKafkaMark));
	question->n = n;
	answered = begin != NULL && end != NULL && probes != NULL && question->fresh != NULL &&
		streaming_kafka_ask_offsets(client, question->topic, n, RD_KAFKA_OFFSET_BEGINNING,
									patience, begin, question->text) &&
		streaming_kafka_ask_offsets(client, question->topic, n, RD_KAFKA_OFFSET_END,
									patience, end, question->text);

	for (int i = 0; answered && i < n; i++)
	{
		question->fresh[i].partition = i;
		question->fresh[i].offset = -1;
		probes[i].from = -1;
	}
	for (int i = 0; answered && i < question->nmarks; i++)
	{
		const StreamingKafkaMark *mark = &question->marks[i];

		if (mark->partition >= n || mark->offset >= end[mark->partition])
			other = true;
		else if (mark->offset >= begin[mark->partition])
			probes[mark->partition].from = mark->offset;
	}
	answered = answered && (other || run_probes(client, topic, probes, n, timeout,
												question->text));
	for (int i = 0; answered && !other && i < question->nmarks; i++)
	{
		const StreamingKafkaMark *mark = &question->marks[i];
		const Probe *probe = &probes[mark->partition];

		if (probe->from < 0 || probe->offset != mark->offset)
			continue;			/* it has gone */
		found++;
		other = probe->sent_ms != mark->sent_ms || probe->digest != mark->digest;
		question->fresh[mark->partition] = *mark;
	}

	if (answered)
		question->likeness = other ? STREAMING_TOPIC_OTHER :
			found > 0 ? STREAMING_TOPIC_SAME : STREAMING_TOPIC_UNTOLD;
	if (answered && !other)
	{
		for (int i = 0; i < n; i++)
		{
			bool		lasts = question->fresh[i].offset >= begin[i] + (end[i] - begin[i]) / 2;

			probes[i].from = lasts || begin[i] >= end[i] ? -1 :
				Max(begin[i], end[i] - MARK_DISTANCE);
		}
		(void) run_probes(client, topic, probes, n, Min(timeout, CHOICE_TIME), question->text);
		for (int i = 0; i < n; i++)
			if (probes[i].from >= 0 && probes[i].answered && probes[i].offset >= 0)
				question->fresh[i] = (StreamingKafkaMark) {i, probes[i].offset,
				probes[i].sent_ms, probes[i].digest};
	}
	free(begin);
	free(end);
	free(probes);
	return answered;
}

/* Reads the first record of each partition at or behind from.  False: not all. */
static bool
run_probes(StreamingKafka *client, rd_kafka_topic_t *topic, Probe *probes, int n, int timeout,
		   char *text)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(streaming_kafka_handle(client));
	int64		begun = streaming_kafka_clock_ms();
	int			waiting = 0;
	bool		failed = false;

	for (int i = 0; i < n; i++)
	{
		probes[i].answered = false;
		probes[i].offset = -1;
		if (probes[i].from < 0)
			continue;
		if (rd_kafka_consume_start_queue(topic, i, probes[i].from, queue) == 0)
			waiting++;
		else
			failed = true;
	}
	while (waiting > 0 && !failed && streaming_kafka_clock_ms() - begun < timeout)
	{
		rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 100);

		if (message == NULL)
		{
			failed = !streaming_kafka_sleep(client, 0, UINT64_MAX);
			continue;
		}
		if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
			message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
			snprintf(text, STREAMING_KAFKA_TEXT, "topic \"%s\": %s", rd_kafka_topic_name(topic),
					 rd_kafka_message_errstr(message));
		if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
			failed = true;		/* what has been asked for is no longer so */
		else if (message->partition >= 0 && message->partition < n &&
				 !probes[message->partition].answered)
		{
			take_probe(&probes[message->partition], message);
			if (probes[message->partition].answered)
			{
				waiting--;
				(void) rd_kafka_consume_stop(topic, message->partition);
			}
		}
		rd_kafka_message_destroy(message);
	}
	for (int i = 0; i < n; i++)
		if (probes[i].from >= 0 && !probes[i].answered)
			(void) rd_kafka_consume_stop(topic, i);
	rd_kafka_queue_destroy(queue);
	return waiting == 0 && !failed;
}

static void
take_probe(Probe *probe, const rd_kafka_message_t *message)
{
	StreamingKafkaMark mark;

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		probe->answered = true;
	if (!streaming_kafka_make_mark(message, &mark))
		return;
	probe->answered = true;
	probe->offset = mark.offset;
	probe->sent_ms = mark.sent_ms;
	probe->digest = mark.digest;
}

bool
streaming_kafka_make_mark(const rd_kafka_message_t *message, StreamingKafkaMark *mark)
{
	rd_kafka_timestamp_type_t type;
	uLong		digest = crc32(0, NULL, 0);

	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	if (message->key != NULL)
		digest = crc32(digest, message->key, message->key_len);
	if (message->payload != NULL)
		digest = crc32(digest, message->payload, message->len);
	mark->offset = message->offset;
	mark->sent_ms = rd_kafka_message_timestamp(message, &type);
	mark->digest = (int64) (((uint64) message->len << 32) | (uint32) digest);
	return true;
}

static void
dispose_question(StreamingKafkaCall *call)
{
	MarksQuestion *question = (MarksQuestion *) call;

	free(question->topic);
	free(question->marks);
	free(question->fresh);
	free(question);
}
