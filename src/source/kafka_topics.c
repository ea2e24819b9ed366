/*
 * kafka_topics.c
 *		Which topics the brokers of a server have.
 */
#include "postgres.h"

#include <limits.h>

#include "streaming.h"

#include "miscadmin.h"

#include "kafka.h"
#include "source/kafka_topic.h"

/* Topics that Kafka has for itself. */
#define INTERNAL_PREFIX	"__"

#define MAX_TOPIC_NAME	249

typedef struct TopicsQuestion
{
	StreamingKafkaCall call;	/* must be first */
	int			timeout;
	rd_kafka_resp_err_t error;
	const struct rd_kafka_metadata *metadata;	/* NULL: no answer */
} TopicsQuestion;

static void run_question(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_question(StreamingKafkaCall *call);
static bool is_topic_name(const char *name);
static List *names_of(const struct rd_kafka_metadata *metadata);
static int	name_cmp(const ListCell *a, const ListCell *b);

List *
streaming_kafka_topics(StreamingStream *server)
{
	static const StreamingKafkaSetting settings[] = {
		{"client.id", "streaming"},
		{"allow.auto.create.topics", "false", true},
		{NULL}
	};
	StreamingKafka *client = streaming_kafka_open(RD_KAFKA_CONSUMER, server->client_options,
												  settings);
	TopicsQuestion *question = calloc(1, sizeof(TopicsQuestion));
	List	   *volatile names = NIL;

	PG_TRY();
	{
		rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
		bool		answered = false;

		if (question == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		question->call.run = run_question;
		question->call.dispose = dispose_question;
		question->timeout = streaming_connect_timeout;
		/* a little more patience than the thread has */
		if (streaming_kafka_call(client, &question->call,
								 Min(streaming_connect_timeout, INT_MAX - 200) + 200))
		{
			error = question->error;
			answered = question->metadata != NULL;
			if (answered)
				names = names_of(question->metadata);
			streaming_kafka_call_end(&question->call);
		}
		streaming_kafka_serve(client);
		if (!answered)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
					 errmsg("no answer from Kafka about the topics of server \"%s\"", server->name),
					 errdetail_internal("%s", streaming_kafka_trouble(client) ?
										streaming_kafka_trouble(client) : rd_kafka_err2str(error)),
					 errhint("Check the option \"bootstrap_servers\" of the server and whether the broker runs.")));
	}
	PG_FINALLY();
	{
		streaming_kafka_close(client);
	}
	PG_END_TRY();
	return names;
}

static void
run_question(StreamingKafka *client, StreamingKafkaCall *call)
{
	TopicsQuestion *question = (TopicsQuestion *) call;
	const struct rd_kafka_metadata *metadata = NULL;

	question->error = rd_kafka_metadata(streaming_kafka_handle(client), 1, NULL, &metadata,
										question->timeout);
	if (question->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		question->metadata = metadata;
}

static void
dispose_question(StreamingKafkaCall *call)
{
	TopicsQuestion *question = (TopicsQuestion *) call;

	if (question->metadata)
		rd_kafka_metadata_destroy(question->metadata);
	free(question);
}

/* What Kafka itself lets a topic be called.  A broker may say anything. */
static bool
is_topic_name(const char *name)
{
	size_t		length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
								"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return length > 0 && length <= MAX_TOPIC_NAME && name[length] == '\0';
}

static List *
names_of(const struct rd_kafka_metadata *metadata)
{
	List	   *names = NIL;

	for (int i = 0; i < metadata->topic_cnt; i++)
	{
		const char *name = metadata->topics[i].topic;

		CHECK_FOR_INTERRUPTS();
		if (is_topic_name(name) && strncmp(name, INTERNAL_PREFIX, strlen(INTERNAL_PREFIX)) != 0)
			names = lappend(names, pstrdup(name));
	}
	list_sort(names, name_cmp);
	return names;
}

static int
name_cmp(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}
