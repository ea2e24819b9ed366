/*
 * reachable.c
 *		After CREATE and ALTER of a server, a stream or a view: is what it names
 *		there?
 *
 * A broker may be started and a topic made later, so nothing is refused: a
 * WARNING says what the workers would say a moment later, where nobody looks.
 * The session asks as they do, with the rights and passwords of the owner, and
 * tells only who may see the errors of the stream.
 *
 * A statement waits for a broker at most streaming.reachable_timeout.  A broker
 * that has not answered is not asked again by the session for a minute, and in a
 * minute all of that takes no more than a few times the timeout: a script with many
 * streams, such as a dump, is not held up.
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#include "streaming.h"
#include "base/attempt.h"
#include "source/beneath.h"
#include "source/kafka_survey.h"
#include "source/topic_pattern.h"
#include "catalog/view.h"
#include "base/clock.h"
#include "kafka.h"
#include "command/command.h"

#define PERIOD			(60 * 1000) /* ms */
#define PERIOD_CHECKS	5			/* timeouts that may be spent in one */
#define LIST_LENGTH		1024		/* of brokers */

/* Of this session: what has been spent of the present period, in microseconds. */
static StreamingTime period_began = 0;
static int64 spent = 0;

/* Brokers that have not answered, and when; "": none. */
static char unreachable[LIST_LENGTH];
static StreamingTime unreachable_at = 0;

/* A server, or a stream of it. */
typedef struct Place
{
	Oid			server;			/* Invalid: relid counts */
	Oid			relid;
} Place;

/* Asks for the brokers, and for a topic if it is not NULL. */
typedef struct Question
{
	StreamingKafkaCall call;	/* must be first */
	char	   *topic;
	int			timeout;
	rd_kafka_resp_err_t error;
	rd_kafka_resp_err_t topic_error;
} Question;

static void check_place(Place *place);
static void look(void *arg);
static void look_for_directory(const StreamingStream *stream, const char *path);
static char *fixed_directory(const StreamingStream *stream);
static bool is_worth_asking(const StreamingStream *stream, const char *brokers);
static void ask_broker(const StreamingStream *stream, const char *server);
static void run_question(StreamingKafka *client, StreamingKafkaCall *call);
static void dispose_question(StreamingKafkaCall *call);
static void warn_of_broker(StreamingKafka *client, const char *server);
static void warn_of_topic(const char *topic, const char *server, rd_kafka_resp_err_t error);
static void look_for_topics(StreamingKafka *client, const StreamingStream *stream,
							const char *server);
static const char *client_option(const StreamingStream *stream, const char *name);

void
streaming_check_server_reachable(const char *name)
{
	ForeignServer *server = streaming_is_installed() ? GetForeignServerByName(name, true) : NULL;
	Place		place = {InvalidOid};
	StreamingSourceKind kind;

	if (server == NULL || !streaming_wrapper_kind(server->fdwid, &kind) ||
		kind == STREAMING_SOURCE_PUSH)
		return;
	place.server = server->serverid;
	check_place(&place);
}

void
streaming_check_stream_reachable(Oid relid)
{
	Place		place = {InvalidOid, relid};
	StreamingSourceKind kind;

	if (streaming_is_installed() && streaming_is_stream(relid, &kind) &&
		kind != STREAMING_SOURCE_PUSH && streaming_may_monitor(relid))
		check_place(&place);
}

void
streaming_check_view_reachable(Oid relid)
{
	StreamingView *view = streaming_is_installed() ? streaming_catalog_view(relid, true) : NULL;
	ListCell   *lc;

	if (view == NULL || !view->enabled)
		return;
	foreach(lc, streaming_catalog_inputs(view->definition))
		streaming_check_stream_reachable(lfirst_oid(lc));
	if (OidIsValid(view->sink.relid))
		streaming_check_stream_reachable(view->sink.relid);
}

/* What goes wrong here is no reason to undo the statement. */
static void
check_place(Place *place)
{
	StreamingTime began = streaming_now();
	ErrorData  *error;

	if (streaming_reachable_timeout == 0 || creating_extension)
		return;
	if (streaming_time_passed(period_began, began, PERIOD))
	{
		period_began = began;
		spent = 0;
	}
	if (spent > (int64) streaming_reachable_timeout * 1000 * PERIOD_CHECKS)
		return;
	error = streaming_attempt(look, place, CurrentMemoryContext);
	spent += streaming_now() - began;
	if (error == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}

static void
look(void *arg)
{
	Place	   *place = arg;
	StreamingStream *stream;
	Oid			server = place->server;

	if (OidIsValid(server))
		stream = streaming_stream_of_server(server, GetUserId());
	else
	{
		/* ALTER VIEW has no lock on it yet, and is not to wait for one */
		if (!ConditionalLockRelationOid(place->relid, AccessShareLock))
			return;
		stream = streaming_stream_open(place->relid, streaming_relation_owner(place->relid, false));
		server = GetForeignTable(place->relid)->serverid;
		UnlockRelationOid(place->relid, AccessShareLock);
	}
	if (stream->kind == STREAMING_SOURCE_DIRECTORY)
		look_for_directory(stream, stream->path ? fixed_directory(stream) : stream->base);
	else
		ask_broker(stream, GetForeignServer(server)->servername);
}

/* ---- Directories ---- */

static void
look_for_directory(const StreamingStream *stream, const char *path)
{
	int			fd = streaming_beneath_directory(stream, path);
	int			error = errno;

	if (fd >= 0)
	{
		close(fd);
		return;
	}
	ereport(WARNING,
			(streaming_beneath_errcode(error),
			 errmsg("could not open directory \"%s\": %s", path, streaming_beneath_error(stream, error)),
			 errhint("Make the directory, and let the operating system's user of the database server read it. Its files are read as soon as it is there.")));
}

/* The directory that all files are beneath, before the first part with a wildcard. */
static char *
fixed_directory(const StreamingStream *stream)
{
	char	   *path = pstrdup(stream->path);
	char	   *slash;

	path[strcspn(path, "*?[{\\")] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || slash - path < strlen(stream->base))
		return stream->base;
	*slash = '\0';
	return path;
}

/* ---- Kafka ---- */

/*
 * Not if it has not answered just now; nor if it wants to know who asks, and no
 * user mapping says it: that is made after the server.
 */
static bool
is_worth_asking(const StreamingStream *stream, const char *brokers)
{
	const char *protocol = client_option(stream, "security.protocol");

	if (unreachable[0] && strncmp(brokers, unreachable, LIST_LENGTH - 1) == 0 &&
		!streaming_time_passed(unreachable_at, streaming_now(), PERIOD))
		return false;
	return stream->topic || stream->has_mapping || protocol == NULL ||
		pg_strcasecmp(protocol, "plaintext") == 0;
}

static void
ask_broker(const StreamingStream *stream, const char *server)
{
	static const StreamingKafkaSetting settings[] = {
		{"client.id", "streaming"},
		{"allow.auto.create.topics", "false", true},
		{NULL}
	};
	const char *brokers = client_option(stream, "bootstrap.servers");
	StreamingKafka *client;
	Question   *question;

	if (brokers == NULL)
		brokers = client_option(stream, "metadata.broker.list");
	if (brokers == NULL || !is_worth_asking(stream, brokers))
		return;
	client = streaming_kafka_open(RD_KAFKA_CONSUMER, stream->client_options, settings);
	question = calloc(1, sizeof(Question));
	if (question == NULL || (stream->topic && !streaming_stream_is_pattern(stream) && (question->topic = strdup(stream->topic)) == NULL))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	question->call.run = run_question;
	question->call.dispose = dispose_question;
	question->timeout = streaming_reachable_timeout;
	question->error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	PG_TRY();
	{
		rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
		rd_kafka_resp_err_t topic_error = RD_KAFKA_RESP_ERR_NO_ERROR;

		/* a little more patience than the thread has, to hear what was wrong */
		if (streaming_kafka_call(client, &question->call, streaming_reachable_timeout + 100))
		{
			error = question->error;
			topic_error = question->topic_error;
			streaming_kafka_call_end(&question->call);
		}
		if (error)
		{
			strlcpy(unreachable, brokers, LIST_LENGTH);
			unreachable_at = streaming_now();
			warn_of_broker(client, server);
		}
		else if (topic_error)
			warn_of_topic(stream->topic, server, topic_error);
		else if (stream->topic && streaming_stream_is_pattern(stream))
			look_for_topics(client, stream, server);
	}
	PG_FINALLY();
	{
		streaming_kafka_close(client);
	}
	PG_END_TRY();
}

/* In a thread of its own. */
static void
run_question(StreamingKafka *client, StreamingKafkaCall *call)
{
	Question   *question = (Question *) call;
	rd_kafka_t *handle = streaming_kafka_handle(client);
	rd_kafka_topic_t *topic = NULL;
	const struct rd_kafka_metadata *metadata;

	if (question->topic)
	{
		topic = rd_kafka_topic_new(handle, question->topic, NULL);
		if (topic == NULL)
		{
			question->error = RD_KAFKA_RESP_ERR_NO_ERROR;
			question->topic_error = rd_kafka_last_error();
			return;
		}
	}
	question->error = rd_kafka_metadata(handle, 0, topic, &metadata, question->timeout);
	if (question->error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (metadata->topic_cnt > 0)
			question->topic_error = metadata->topics[0].err;
		rd_kafka_metadata_destroy(metadata);
	}
	if (topic)
		rd_kafka_topic_destroy(topic);
}

static void
dispose_question(StreamingKafkaCall *call)
{
	Question   *question = (Question *) call;

	free(question->topic);
	free(question);
}

static void
warn_of_broker(StreamingKafka *client, const char *server)
{
	const char *trouble;

	streaming_kafka_serve(client);
	trouble = streaming_kafka_trouble(client);
	ereport(WARNING,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("no broker of server \"%s\" answers", server),
			 trouble ? errdetail_internal("%s", trouble) :
			 errdetail("There was no answer within %d ms.", streaming_reachable_timeout),
			 errhint("Check the option \"bootstrap_servers\" and whether the broker runs. It is used as soon as it answers.")));
}

/* A topic that has just been made has no leader yet; that passes. */
static void
warn_of_topic(const char *topic, const char *server, rd_kafka_resp_err_t error)
{
	if (error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		return;
	if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		ereport(WARNING,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("topic \"%s\" does not exist on the brokers of server \"%s\"", topic, server),
				 errhint("Create the topic, or check the option \"topic\". It is used as soon as it is there.")));
	else
		ereport(WARNING,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("brokers of server \"%s\" do not let topic \"%s\" be read: %s", server, topic,
						rd_kafka_err2str(error)),
				 errhint("Check the topic, and the rights of the user mapping's user.")));
}

/* Is there one that matches the pattern? */
static void
look_for_topics(StreamingKafka *client, const StreamingStream *stream, const char *server)
{
	StreamingTopicsFound found;

	streaming_survey_topics(client, stream, streaming_reachable_timeout, &found);
	for (int i = 0; i < found.n; i++)
	{
		if (streaming_topic_pattern_matches(stream->topic, found.topics[i].name))
			return;
	}
	ereport(WARNING,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("no topic on the brokers of server \"%s\" matches \"%s\"", server, stream->topic),
			 errhint("Topics are read as soon as they are there. They match as a whole if the regular expression ends with $.")));
}

/* NULL: it is not set. */
static const char *
client_option(const StreamingStream *stream, const char *name)
{
	ListCell   *lc;

	foreach(lc, stream->client_options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}
