/*
 * kafka_survey.c
 *		What the brokers say about many topics at once.
 *
 * One request for the metadata of all topics, and one for the offsets of each leader,
 * however many partitions are asked about.  Which topics are wanted a regular
 * expression says, which only the backend's thread can tell; so threads pass on all
 * names.
 *
 * Everything named run_* runs in a thread of the client.
 */
#include "postgres.h"

#include <limits.h>

#include "streaming.h"

#include "base/clean_text.h"
#include "kafka.h"
#include "source/kafka_survey.h"
#include "source/kafka_topic.h"

/* ms between rounds of a survey in trouble, doubled up to retry_max */
#define FIRST_RETRY		250

/* See kafka_marks.c. */
#define MARK_DISTANCE	100
#define CHOICE_TIME		1000

typedef enum QuestionKind
{
	QUESTION_TOPICS,
	QUESTION_OFFSETS,
	QUESTION_MARKS
} QuestionKind;

/* What is to be read of a place, and was. */
typedef struct Probe
{
	int64		from;			/* -1: nothing */
	bool		answered;
	StreamingKafkaMark found;	/* offset -1: there is nothing from there on */
} Probe;

typedef struct Question
{
	StreamingKafkaCall call;	/* must be first */
	QuestionKind kind;
	int			timeout;
	int			patience;
	bool		with_at;
	int64		time_ms;
	int			n;
	StreamingPlace *places;		/* sorted; number: the index of the caller's */
	char	   *names;			/* their topics, one behind the other */

	bool		answered;
	StreamingTopicsFound found; /* malloc'ed */
	char		text[STREAMING_KAFKA_TEXT]; /* why it is not */
} Question;

struct StreamingSurvey
{
	StreamingKafkaCall call;	/* must be first */

	/* immutable */
	int			patience;
	int			interval;
	int			retry_max;

	/* guarded by the client's lock */
	bool		news;
	bool		answered;		/* found is newer than what was taken */
	bool		ok;				/* the last round had an answer */
	bool		wake;			/* somebody waits for the next one */
	uint64		rounds;
	uint64		number;			/* trouble's number when that round began */
	StreamingTopicsFound found; /* malloc'ed */
	char		text[STREAMING_KAFKA_TEXT];
};

static Question *make_question(QuestionKind kind, StreamingKafka *client, int timeout,
							   const StreamingPlace *places, int n);
static bool ask(StreamingKafka *client, Question *question);
static void take_places(const Question *question, StreamingPlace *places);
pg_noreturn static void report_silence(StreamingKafka *client, const StreamingStream *stream,
									   char *text, int timeout);
static void copy_found(StreamingTopicsFound *to, const StreamingTopicsFound *from);

static void run_question(StreamingKafka *client, StreamingKafkaCall *call);
static bool run_topics(StreamingKafka *client, int timeout, StreamingTopicsFound *found, char *text);
static void drop_repeated(StreamingTopicsFound *found);
static void run_presence(Question *question);
static bool run_offsets(StreamingKafka *client, Question *question, int64 when, size_t field,
						int timeout);
static bool run_marks(StreamingKafka *client, Question *question, int timeout);
static bool run_probes(StreamingKafka *client, Question *question, Probe *probes, int timeout);
static void run_survey(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_question(StreamingKafkaCall *call);
static void dispose_survey(StreamingKafkaCall *call);
static void free_found(StreamingTopicsFound *found);
static bool run_copy(StreamingTopicsFound *to, const StreamingTopicsFound *from, char *text);
static bool same_found(const StreamingTopicsFound *a, const StreamingTopicsFound *b);
static int	by_name(const void *a, const void *b);
static int	by_place(const void *a, const void *b);

/* ------------------------------------------------------------------------
 * Questions that somebody waits for
 * ------------------------------------------------------------------------ */

void
streaming_survey_topics(StreamingKafka *client, const StreamingStream *stream, int timeout,
						StreamingTopicsFound *found)
{
	Question   *question = make_question(QUESTION_TOPICS, client, timeout, NULL, 0);
	char		text[STREAMING_KAFKA_TEXT] = "";

	if (ask(client, question))
	{
		if (question->answered)
		{
			copy_found(found, &question->found);
			streaming_kafka_call_end(&question->call);
			return;
		}
		strlcpy(text, question->text, sizeof(text));
		streaming_kafka_call_end(&question->call);
	}
	report_silence(client, stream, text, timeout);
}

void
streaming_survey_offsets(StreamingKafka *client, StreamingStream *stream, int timeout,
						 StreamingPlace *places, int n, bool with_at, int64 time_ms)
{
	char		text[STREAMING_KAFKA_TEXT] = "";
	Question   *question;

	if (n == 0)
		return;
	question = make_question(QUESTION_OFFSETS, client, timeout, places, n);
	question->with_at = with_at;
	question->time_ms = time_ms;
	if (ask(client, question))
	{
		if (question->answered)
		{
			take_places(question, places);
			streaming_kafka_call_end(&question->call);
			return;
		}
		strlcpy(text, question->text, sizeof(text));
		streaming_kafka_call_end(&question->call);
	}
	report_silence(client, stream, text, timeout);
}

bool
streaming_survey_marks(StreamingKafka *client, int timeout, StreamingPlace *places, int n)
{
	Question   *question;
	bool		answered;

	if (n == 0)
		return true;
	question = make_question(QUESTION_MARKS, client, timeout, places, n);
	if (!ask(client, question))
		return false;
	answered = question->answered;
	if (answered)
		take_places(question, places);
	else if (question->text[0])
		streaming_kafka_set_trouble(client, question->text);
	streaming_kafka_call_end(&question->call);
	return answered;
}

/* Everything that the thread touches is malloc'ed. */
static Question *
make_question(QuestionKind kind, StreamingKafka *client, int timeout,
			  const StreamingPlace *places, int n)
{
	Question   *question = calloc(1, sizeof(Question));
	size_t		length = 1;
	char	   *name;

	for (int i = 0; i < n; i++)
		length += strlen(places[i].topic) + 1;
	if (question != NULL)
	{
		question->places = calloc(Max(n, 1), sizeof(StreamingPlace));
		question->names = malloc(length);
	}
	if (question == NULL || question->places == NULL || question->names == NULL)
	{
		if (question != NULL)
			dispose_question(&question->call);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	question->call.run = run_question;
	question->call.dispose = dispose_question;
	question->kind = kind;
	question->timeout = timeout;
	question->patience = streaming_kafka_first_patience(client);
	question->n = n;
	name = question->names;
	for (int i = 0; i < n; i++)
	{
		question->places[i] = places[i];
		question->places[i].number = i;
		question->places[i].topic = strcpy(name, places[i].topic);
		name += strlen(name) + 1;
	}
	if (n > 1)
		qsort(question->places, n, sizeof(StreamingPlace), by_place);
	return question;
}

/* With a little more patience than the thread has, to hear what was wrong. */
static bool
ask(StreamingKafka *client, Question *question)
{
	return streaming_kafka_call(client, &question->call,
								Min(question->timeout, INT_MAX - 200) + 200);
}

static void
take_places(const Question *question, StreamingPlace *places)
{
	for (int i = 0; i < question->n; i++)
	{
		const StreamingPlace *answer = &question->places[i];
		StreamingPlace *place = &places[answer->number];

		place->mark = answer->mark;
		place->there = answer->there;
		place->begin = answer->begin;
		place->end = answer->end;
		place->at = answer->at;
		place->likeness = answer->likeness;
	}
}

/* librdkafka's own text says best why there was no answer. */
pg_noreturn static void
report_silence(StreamingKafka *client, const StreamingStream *stream, char *text, int timeout)
{
	const char *trouble;

	streaming_kafka_serve(client);
	trouble = streaming_kafka_trouble(client);
	streaming_clean_text(text);
	if (trouble == NULL && text[0])
		trouble = text;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("no answer from Kafka about the topics of stream %s", stream->name),
			 trouble ? errdetail_internal("%s", trouble) :
			 errdetail("There was none within %d ms.", timeout),
			 errhint("Check the option \"bootstrap_servers\" of the stream's server and whether the broker runs.")));
}

static void
copy_found(StreamingTopicsFound *to, const StreamingTopicsFound *from)
{
	to->n = from->n;
	to->topics = MemoryContextAllocHuge(CurrentMemoryContext,
										sizeof(StreamingTopicFound) * Max(from->n, 1));
	for (int i = 0; i < from->n; i++)
	{
		to->topics[i].name = pstrdup(from->topics[i].name);
		to->topics[i].npartitions = from->topics[i].npartitions;
	}
}

const StreamingTopicFound *
streaming_survey_find(const StreamingTopicsFound *found, const char *topic)
{
	StreamingTopicFound key = {.name = unconstify(char *, topic)};

	return found->n == 0 ? NULL :
		bsearch(&key, found->topics, found->n, sizeof(StreamingTopicFound), by_name);
}

/* ------------------------------------------------------------------------
 * Questions themselves
 * ------------------------------------------------------------------------ */

/*
 * Asks until there is an answer or the timeout is over, with more patience each time,
 * as about one topic (kafka_topic.c).  A topic that is not there any more would have
 * the others wait, so each round begins with those that there are.
 */
static void
run_question(StreamingKafka *client, StreamingKafkaCall *call)
{
	Question   *question = (Question *) call;
	int64		begun = streaming_kafka_clock_ms();
	int			patience = question->patience;

	for (;;)
	{
		int64		left = question->timeout - (streaming_kafka_clock_ms() - begun);
		int			wait;

		if (left <= 0)
			break;
		wait = (int) Min(patience, left);
		if (run_topics(client, wait, &question->found, question->text))
		{
			run_presence(question);
			question->answered = question->kind == QUESTION_TOPICS ||
				(run_offsets(client, question, RD_KAFKA_OFFSET_BEGINNING,
							 offsetof(StreamingPlace, begin), wait) &&
				 (!question->with_at ||
				  run_offsets(client, question, question->time_ms,
							  offsetof(StreamingPlace, at), wait)) &&
				 run_offsets(client, question, RD_KAFKA_OFFSET_END,
							 offsetof(StreamingPlace, end), wait) &&
				 (question->kind != QUESTION_MARKS || run_marks(client, question, (int) left)));
			if (question->answered)
				break;
		}
		patience = Min(patience * 2, question->patience * 4);
		if (!streaming_kafka_sleep(client, 50, UINT64_MAX))
			break;
	}
	for (int i = 0; question->with_at && question->answered && i < question->n; i++)
	{
		/* no message is that new: what comes next will be */
		if (question->places[i].at < 0)
			question->places[i].at = question->places[i].end;
	}
}

/* Replaces *found, which is malloc'ed. */
static bool
run_topics(StreamingKafka *client, int timeout, StreamingTopicsFound *found, char *text)
{
	const struct rd_kafka_metadata *metadata;
	StreamingTopicsFound answer = {0};
	rd_kafka_resp_err_t err;
	bool		complete;

	streaming_kafka_ask_begin(client);
	err = rd_kafka_metadata(streaming_kafka_handle(client), 1, NULL, &metadata, timeout);
	streaming_kafka_ask_end(client);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		snprintf(text, STREAMING_KAFKA_TEXT, "broker down: %s", rd_kafka_err2str(err));
		return false;
	}
	answer.topics = calloc(Max(metadata->topic_cnt, 1), sizeof(StreamingTopicFound));
	complete = answer.topics != NULL;
	for (int i = 0; complete && i < metadata->topic_cnt; i++)
	{
		const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];

		if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			continue;
		answer.topics[answer.n].name = strdup(topic->topic);
		answer.topics[answer.n].npartitions =
			topic->err == RD_KAFKA_RESP_ERR_NO_ERROR ? topic->partition_cnt : 0;
		complete = answer.topics[answer.n++].name != NULL;
	}
	rd_kafka_metadata_destroy(metadata);
	if (!complete)
	{
		free_found(&answer);
		strlcpy(text, "out of memory", STREAMING_KAFKA_TEXT);
		return false;
	}
	qsort(answer.topics, answer.n, sizeof(StreamingTopicFound), by_name);
	drop_repeated(&answer);
	free_found(found);
	*found = answer;
	return true;
}

/* A broker that tells of a topic twice is none of Kafka's. */
static void
drop_repeated(StreamingTopicsFound *found)
{
	int			n = 0;

	for (int i = 0; i < found->n; i++)
	{
		if (n > 0 && by_name(&found->topics[n - 1], &found->topics[i]) == 0)
			free(found->topics[i].name);
		else
			found->topics[n++] = found->topics[i];
	}
	found->n = n;
}

static void
run_presence(Question *question)
{
	for (int i = 0; i < question->n; i++)
	{
		StreamingPlace *place = &question->places[i];
		const StreamingTopicFound *topic = streaming_survey_find(&question->found, place->topic);

		place->there = topic != NULL && place->mark.partition < topic->npartitions;
		place->begin = place->end = place->at = -1;
		place->likeness = STREAMING_TOPIC_SILENT;
	}
}

/* Into the field of each place that is there.  False: there is no answer. */
static bool
run_offsets(StreamingKafka *client, Question *question, int64 when, size_t field, int timeout)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(question->n);
	int			next = 0;
	bool		answered;

	for (int i = 0; i < question->n; i++)
	{
		const StreamingPlace *place = &question->places[i];

		if (place->there)
			rd_kafka_topic_partition_list_add(list, place->topic, place->mark.partition);
	}
	answered = list->cnt == 0 ||
		streaming_kafka_ask_list(client, list, when, timeout, question->text);
	for (int i = 0; i < question->n && answered; i++)
	{
		StreamingPlace *place = &question->places[i];
		rd_kafka_topic_partition_t *answer;

		if (!place->there)
			continue;
		answer = &list->elems[next++];	/* the order has stayed */
		if (answer->partition != place->mark.partition || strcmp(answer->topic, place->topic) != 0)
			answer = rd_kafka_topic_partition_list_find(list, place->topic, place->mark.partition);
		*(int64 *) ((char *) place + field) = answer->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return answered;
}

/* As run_comparison of kafka_marks.c, which tells what a mark is and where. */
static bool
run_marks(StreamingKafka *client, Question *question, int timeout)
{
	Probe	   *probes = calloc(question->n, sizeof(Probe));
	bool		answered = probes != NULL;

	for (int i = 0; answered && i < question->n; i++)
	{
		const StreamingPlace *place = &question->places[i];
		int64		mark = place->mark.offset;

		probes[i].from = place->there && mark >= place->begin && mark < place->end ? mark : -1;
	}
	answered = answered && run_probes(client, question, probes, timeout);
	for (int i = 0; answered && i < question->n; i++)
	{
		StreamingPlace *place = &question->places[i];
		const StreamingKafkaMark *found = &probes[i].found;
		bool		compared = probes[i].from >= 0 && found->offset == place->mark.offset;
		bool		lasts = compared && found->offset >= place->begin + (place->end - place->begin) / 2;

		if (!place->there)
			continue;
		place->likeness = place->mark.offset >= place->end ? STREAMING_TOPIC_OTHER :
			!compared ? STREAMING_TOPIC_UNTOLD :
			found->sent_ms == place->mark.sent_ms && found->digest == place->mark.digest ?
			STREAMING_TOPIC_SAME : STREAMING_TOPIC_OTHER;
		probes[i].from = lasts || place->likeness == STREAMING_TOPIC_OTHER ||
			place->begin >= place->end ? -1 : Max(place->begin, place->end - MARK_DISTANCE);
	}
	if (answered)
		(void) run_probes(client, question, probes, Min(timeout, CHOICE_TIME));
	for (int i = 0; answered && i < question->n; i++)
	{
		if (question->places[i].there && probes[i].from >= 0 && probes[i].answered &&
			probes[i].found.offset >= 0)
			question->places[i].mark = probes[i].found;
	}
	free(probes);
	return answered;
}

/* Reads the first record of each place at or behind from.  False: not all. */
static bool
run_probes(StreamingKafka *client, Question *question, Probe *probes, int timeout)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(streaming_kafka_handle(client));
	rd_kafka_topic_t **topics = calloc(question->n, sizeof(rd_kafka_topic_t *));
	int64		begun = streaming_kafka_clock_ms();
	int			waiting = 0;
	bool		failed = topics == NULL;

	for (int i = 0; i < question->n && !failed; i++)
	{
		const StreamingPlace *place = &question->places[i];

		probes[i].answered = false;
		probes[i].found = (StreamingKafkaMark) {.partition = place->mark.partition,.offset = -1};
		if (!place->there || probes[i].from < 0)
			continue;
		topics[i] = rd_kafka_topic_new(streaming_kafka_handle(client), place->topic, NULL);
		failed = topics[i] == NULL ||
			rd_kafka_consume_start_queue(topics[i], place->mark.partition, probes[i].from, queue) != 0;
		waiting += !failed;
	}
	while (waiting > 0 && !failed && streaming_kafka_clock_ms() - begun < timeout)
	{
		rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 100);
		StreamingPlace key = {0};
		StreamingPlace *place;
		Probe	   *probe;

		if (message == NULL)
		{
			failed = !streaming_kafka_sleep(client, 0, UINT64_MAX);
			continue;
		}
		key.topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
		key.mark.partition = message->partition;
		place = bsearch(&key, question->places, question->n, sizeof(StreamingPlace), by_place);
		probe = place ? &probes[place - question->places] : NULL;
		if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
			message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
			snprintf(question->text, STREAMING_KAFKA_TEXT, "topic \"%s\": %s", key.topic,
					 rd_kafka_message_errstr(message));
		if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
			failed = true;		/* what has been asked for is no longer so */
		else if (probe && !probe->answered && topics[probe - probes] != NULL)
		{
			probe->answered = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
				streaming_kafka_make_mark(message, &probe->found);
			if (probe->answered)
			{
				waiting--;
				(void) rd_kafka_consume_stop(topics[probe - probes], message->partition);
			}
		}
		rd_kafka_message_destroy(message);
	}
	for (int i = 0; topics != NULL && i < question->n; i++)
	{
		if (topics[i] == NULL)
			continue;
		if (!probes[i].answered)
			(void) rd_kafka_consume_stop(topics[i], question->places[i].mark.partition);
		rd_kafka_topic_destroy(topics[i]);
	}
	free(topics);
	rd_kafka_queue_destroy(queue);
	return waiting == 0 && !failed;
}

static void
dispose_question(StreamingKafkaCall *call)
{
	Question   *question = (Question *) call;

	free_found(&question->found);
	free(question->places);
	free(question->names);
	free(question);
}

static void
free_found(StreamingTopicsFound *found)
{
	for (int i = 0; i < found->n; i++)
		free(found->topics[i].name);
	free(found->topics);
	found->n = 0;
	found->topics = NULL;
}

/* malloc'ed, as *from is.  False: out of memory. */
static bool
run_copy(StreamingTopicsFound *to, const StreamingTopicsFound *from, char *text)
{
	bool		complete;

	to->n = 0;
	to->topics = calloc(Max(from->n, 1), sizeof(StreamingTopicFound));
	complete = to->topics != NULL;
	for (int i = 0; complete && i < from->n; i++)
	{
		to->topics[i].npartitions = from->topics[i].npartitions;
		to->topics[i].name = strdup(from->topics[i].name);
		complete = to->topics[to->n++].name != NULL;
	}
	if (!complete)
		strlcpy(text, "out of memory", STREAMING_KAFKA_TEXT);
	return complete;
}

static bool
same_found(const StreamingTopicsFound *a, const StreamingTopicsFound *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		if (a->topics[i].npartitions != b->topics[i].npartitions ||
			strcmp(a->topics[i].name, b->topics[i].name) != 0)
			return false;
	}
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const StreamingTopicFound *) a)->name, ((const StreamingTopicFound *) b)->name);
}

static int
by_place(const void *a, const void *b)
{
	const StreamingPlace *x = a;
	const StreamingPlace *y = b;
	int			order = strcmp(x->topic, y->topic);

	return order != 0 ? order : x->mark.partition < y->mark.partition ? -1 :
		x->mark.partition > y->mark.partition ? 1 : 0;
}

/* ------------------------------------------------------------------------
 * The survey
 * ------------------------------------------------------------------------ */

StreamingSurvey *
streaming_survey_begin(StreamingKafka *client, int interval, int retry_max)
{
	StreamingSurvey *survey = calloc(1, sizeof(StreamingSurvey));

	if (survey == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	survey->call.run = run_survey;
	survey->call.dispose = dispose_survey;
	survey->patience = streaming_kafka_first_patience(client);
	survey->interval = interval;
	survey->retry_max = Max(retry_max, FIRST_RETRY);
	streaming_kafka_start(client, &survey->call);
	return survey;
}

uint64
streaming_survey_rounds(StreamingKafka *client, StreamingSurvey *survey, bool wake)
{
	uint64		rounds;

	streaming_kafka_lock(client);
	rounds = survey->rounds;
	survey->wake = wake;
	streaming_kafka_unlock(client);
	return rounds;
}

bool
streaming_survey_news(StreamingKafka *client, StreamingSurvey *survey, StreamingTopicsFound *found)
{
	StreamingTopicsFound taken = {0};
	bool		news;
	bool		answered;
	bool		ok;
	uint64		number;
	char		text[STREAMING_KAFKA_TEXT];

	streaming_kafka_lock(client);
	news = survey->news;
	survey->news = false;
	ok = survey->ok;
	number = survey->number;
	answered = survey->answered;
	survey->answered = false;
	if (answered)
	{
		/* the thread makes a new one, and compares it with what it remembers */
		taken = survey->found;
		memset(&survey->found, 0, sizeof(survey->found));
	}
	if (news && !ok)
		memcpy(text, survey->text, sizeof(text));
	streaming_kafka_unlock(client);

	if (answered)
	{
		copy_found(found, &taken);
		free_found(&taken);
	}
	if (news && ok)
		streaming_kafka_clear_trouble(client, number);
	else if (news && streaming_kafka_trouble(client) == NULL)
		streaming_kafka_set_trouble(client, text);
	return answered;
}

/*
 * The trouble's number is read before a round begins, as in run_watch of
 * kafka_topic.c.
 */
static void
run_survey(StreamingKafka *client, StreamingKafkaCall *call)
{
	StreamingSurvey *survey = (StreamingSurvey *) call;
	StreamingTopicsFound last = {0};
	int			patience = survey->patience;
	int			retry = FIRST_RETRY;
	bool		open = true;

	while (open)
	{
		StreamingTopicsFound found = {0};
		StreamingTopicsFound told = {0};
		bool		troubled;
		uint64		number = streaming_kafka_trouble_number(client, &troubled);
		char		text[STREAMING_KAFKA_TEXT] = "";
		bool		ok = run_topics(client, patience, &found, text) && run_copy(&told, &found, text);
		bool		wake;

		streaming_kafka_lock(client);
		wake = ok == troubled || (ok && (survey->wake || !same_found(&last, &found)));
		survey->news = true;
		survey->ok = ok;
		survey->number = number;
		survey->rounds += ok;
		strlcpy(survey->text, text, sizeof(survey->text));
		if (ok)
		{
			survey->answered = true;
			free_found(&survey->found);
			survey->found = told;
		}
		streaming_kafka_unlock(client);
		if (ok)
		{
			free_found(&last);
			last = found;
		}
		else
		{
			free_found(&found);
			free_found(&told);
		}
		if (wake)
			streaming_kafka_wake(client);

		if (ok)
		{
			patience = survey->patience;
			retry = FIRST_RETRY;
			open = streaming_kafka_sleep(client, survey->interval, number);
		}
		else
		{
			patience = Min(patience * 2, survey->patience * 4);
			open = streaming_kafka_sleep(client, retry, UINT64_MAX);
			retry = Min(retry * 2, survey->retry_max);
		}
	}
	free_found(&last);
}

static void
dispose_survey(StreamingKafkaCall *call)
{
	StreamingSurvey *survey = (StreamingSurvey *) call;

	free_found(&survey->found);
	free(survey);
}
