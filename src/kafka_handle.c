/*
 * kafka_handle.c
 *		Handles of librdkafka, each of one client or of several.
 *
 * Clients of a process that are made alike, each for another topic, share one: its
 * threads, its connections, its fetches.  It lives as long as one of them, or a call
 * that one has begun.  The backend's thread finds and makes handles and tells them
 * of clients; reapers drop them.  One that is shared stays in the list until the
 * backend's thread comes by and finds it destroyed.
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>

#include "commands/defrem.h"
#include "lib/stringinfo.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "kafka_internal.h"

/*
 * Bytes of a secret in a row that librdkafka's texts may not have.  Fewer may
 * be any word, and to hide that would tell it.
 */
#define SECRET_RUN	8

/* ApiKey of the request in Kafka's protocol */
#define METADATA_REQUEST	3

static dlist_head shared_handles = DLIST_STATIC_INIT(shared_handles);

/* called by librdkafka inside streaming_kafka_serve */
static void log_callback(const rd_kafka_t *rk, int level, const char *facility,
						 const char *text);
static void error_callback(rd_kafka_t *rk, int error, const char *reason, void *opaque);
static size_t topic_length(const char *reason);

static rd_kafka_t *new_rdkafka(StreamingKafkaHandle *handle, rd_kafka_type_t type,
							   rd_kafka_conf_t *conf, char *text, size_t size);
static void free_handle(StreamingKafkaHandle *handle);
static void tell(StreamingKafkaHandle *handle, StreamingKafka *client);

/* called by librdkafka in its threads */
static rd_kafka_resp_err_t new_interceptor(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
										   void *opaque, char *text, size_t size);
static rd_kafka_resp_err_t thread_interceptor(rd_kafka_t *rk, rd_kafka_thread_type_t type,
											  const char *name, void *opaque);
static rd_kafka_resp_err_t request_interceptor(rd_kafka_t *rk, int socket, const char *broker,
											   int32_t broker_id, int16_t key, int16_t version,
											   int32_t correlation, size_t size, void *opaque);

/* secrets */
static bool keep_secrets(StreamingKafkaHandle *handle, List *options);
static void free_secrets(StreamingKafkaHandle *handle);

/* ------------------------------------------------------------------------
 * Handles
 * ------------------------------------------------------------------------ */

char *
streaming_kafka_describe(List *options, const StreamingKafkaSetting *settings)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		appendStringInfo(&text, "%s=%s\n", option->defname, defGetString(option));
	}
	for (int i = 0; settings[i].name; i++)
		appendStringInfo(&text, "%s:%s\n", settings[i].name, settings[i].value);
	return text.data;
}

StreamingKafkaHandle *
streaming_kafka_handle_open(rd_kafka_type_t type, List *options, const StreamingKafkaSetting *settings,
			const char *made_of)
{
	rd_kafka_conf_t *conf = streaming_kafka_conf(options, settings);
	StreamingKafkaHandle *handle = calloc(1, sizeof(StreamingKafkaHandle));
	sigset_t	all;
	sigset_t	before;
	char		text[STREAMING_KAFKA_TEXT];

	if (handle)
	{
		handle->made_of = made_of ? strdup(made_of) : NULL;
		pthread_mutex_init(&handle->lock, NULL);
		dlist_init(&handle->clients);
		handle->users = 1;		/* the client to come */
	}
	if (handle == NULL || (made_of && handle->made_of == NULL) ||
		!keep_secrets(handle, options))
	{
		if (handle)
			free_handle(handle);
		rd_kafka_conf_destroy(conf);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}

	streaming_kafka_guard_abort();
	(void) rd_kafka_conf_set(conf, "log.queue", "true", text, sizeof(text));
	rd_kafka_conf_set_log_cb(conf, log_callback);
	rd_kafka_conf_set_error_cb(conf, error_callback);
	rd_kafka_conf_set_opaque(conf, handle);
	streaming_kafka_watch_sockets(conf);

	/* librdkafka's threads inherit the mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	handle->rk = new_rdkafka(handle, type, conf, text, sizeof(text));
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (handle->rk == NULL)
	{
		streaming_clean_text(text);
		streaming_kafka_hide_secrets(handle, text);
		free_handle(handle);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
				 errmsg("could not create a Kafka client: %s", text),
				 errhint("Check the options of the server and of the user mapping.")));
	}
	rd_kafka_set_log_queue(handle->rk, NULL);	/* to the main queue */
	if (made_of)
		dlist_push_tail(&shared_handles, &handle->node);
	return handle;
}

/*
 * As rd_kafka_new, but takes conf in any case.  An rd_kafka_new that fails frees the
 * interceptors in conf, and so would we with conf, which is therefore left as it
 * is.  Not every time: once it has failed, a trial without them goes first.
 */
static rd_kafka_t *
new_rdkafka(StreamingKafkaHandle *handle, rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
			size_t size)
{
	static bool wary = false;
	rd_kafka_t *rk;

	if (wary)
	{
		rd_kafka_conf_t *plain = rd_kafka_conf_dup(conf);

		rk = rd_kafka_new(type, plain, text, size);
		if (rk == NULL)
		{
			rd_kafka_conf_destroy(plain);
			rd_kafka_conf_destroy(conf);
			return NULL;
		}
		rd_kafka_destroy(rk);
	}
	(void) rd_kafka_conf_interceptor_add_on_new(conf, "streaming", new_interceptor, handle);
	rk = rd_kafka_new(type, conf, text, size);
	wary = rk == NULL;
	return rk;
}

/* Frees those that are gone. */
StreamingKafkaHandle *
streaming_kafka_handle_find(const char *made_of, const char *topic)
{
	StreamingKafkaHandle *found = NULL;
	dlist_mutable_iter it;

	dlist_foreach_modify(it, &shared_handles)
	{
		StreamingKafkaHandle *handle = dlist_container(StreamingKafkaHandle, node, it.cur);
		bool		fits = found == NULL && strcmp(handle->made_of, made_of) == 0;
		bool		gone;
		dlist_iter	other;

		dlist_foreach(other, &handle->clients)
			fits &= strcmp(dlist_container(StreamingKafka, handle_node, other.cur)->topic,
						   topic) != 0;
		pthread_mutex_lock(&handle->lock);
		gone = handle->destroyed;
		fits &= handle->users > 0;
		if (fits)
			handle->users++;
		pthread_mutex_unlock(&handle->lock);
		if (fits)
			found = handle;
		if (gone)
		{
			dlist_delete(&handle->node);
			free_handle(handle);
		}
	}
	return found;
}

void
streaming_kafka_handle_drop(StreamingKafkaHandle *handle)
{
	bool		shared = handle->made_of != NULL;
	bool		last;

	pthread_mutex_lock(&handle->lock);
	last = --handle->users == 0;
	pthread_mutex_unlock(&handle->lock);
	if (!last)
		return;
	rd_kafka_destroy_flags(handle->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
#ifdef __GLIBC__
	/* the queue lay in the arenas of threads that have gone; a worker stays */
	malloc_trim(0);
#endif
	if (!shared)
	{
		free_handle(handle);
		return;
	}
	/* from the unlock on find_handle may free it */
	pthread_mutex_lock(&handle->lock);
	handle->destroyed = true;
	pthread_mutex_unlock(&handle->lock);
}

/* What it has besides rk. */
static void
free_handle(StreamingKafkaHandle *handle)
{
	free_secrets(handle);
	if (handle->made_of)
		explicit_bzero(handle->made_of, strlen(handle->made_of));
	free(handle->made_of);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
}

void
streaming_kafka_handle_add(StreamingKafkaHandle *handle, StreamingKafka *client)
{
	pthread_mutex_lock(&handle->lock);
	dlist_push_tail(&handle->clients, &client->handle_node);
	pthread_mutex_unlock(&handle->lock);
	if (handle->told == NULL)
		tell(handle, client);
}

void
streaming_kafka_handle_remove(StreamingKafkaHandle *handle, StreamingKafka *client)
{
	pthread_mutex_lock(&handle->lock);
	dlist_delete(&client->handle_node);
	pthread_mutex_unlock(&handle->lock);
	if (handle->told == client)
		tell(handle, dlist_is_empty(&handle->clients) ? NULL :
			 dlist_head_element(StreamingKafka, handle_node, &handle->clients));
}

/* The client's descriptor tells that something is in the handle's main queue. */
static void
tell(StreamingKafkaHandle *handle, StreamingKafka *client)
{
	rd_kafka_queue_t *main_queue = rd_kafka_queue_get_main(handle->rk);

	rd_kafka_queue_io_event_enable(main_queue, client ? client->pipe[1] : -1, "", 1);
	rd_kafka_queue_destroy(main_queue); /* our reference, not the queue */
	handle->told = client;
}

/* ------------------------------------------------------------------------
 * What it tells
 * ------------------------------------------------------------------------ */

void
streaming_kafka_serve(StreamingKafka *client)
{
	StreamingKafkaHandle *handle = client->handle;

	(void) rd_kafka_poll(handle->rk, 0);

	/* ereport looks for interrupts, so it may leave: forget the lines first */
	if (unlikely(handle->nlines > 0))
	{
		int			n = handle->nlines;

		handle->nlines = 0;
		for (int i = 0; i < n; i++)
			ereport(handle->lines[i].level <= 2 ? LOG : DEBUG1,
					(errmsg_internal("librdkafka: %s", handle->lines[i].text)));
	}
}

static void
log_callback(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	StreamingKafkaHandle *handle = rd_kafka_opaque(rk);

	if (handle->nlines == STREAMING_KAFKA_LINES)
		return;
	handle->lines[handle->nlines].level = level;
	snprintf(handle->lines[handle->nlines].text, STREAMING_KAFKA_TEXT, "%s: %s",
			 facility, text);
	streaming_clean_text(handle->lines[handle->nlines].text);
	streaming_kafka_hide_secrets(handle, handle->lines[handle->nlines].text);
	handle->nlines++;
}

/*
 * Everything that librdkafka tells here is trouble: of the client of the topic that it
 * begins with, else of all clients of the handle.  It goes on trying by itself.
 */
static void
error_callback(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	StreamingKafkaHandle *handle = opaque;
	size_t		length = topic_length(reason);
	dlist_iter	it;

	dlist_foreach(it, &handle->clients)
	{
		StreamingKafka *client = dlist_container(StreamingKafka, handle_node, it.cur);

		if (length > 0 && client->topic &&
			(strlen(client->topic) != length || strncmp(client->topic, reason, length) != 0))
			continue;
		streaming_kafka_take_error(client, error, reason);
		if (client != handle->told)
			streaming_kafka_wake(client);
	}
}

/*
 * How long the topic's name is that reason begins with, 0: it is not about a partition.
 * "name [partition]: ..." is what rd_kafka_toppar_enq_error of librdkafka 2.0 writes,
 * and names have no spaces.
 */
static size_t
topic_length(const char *reason)
{
	size_t		length = strcspn(reason, " ");
	int			partition;
	int			end = 0;

	return sscanf(reason + length, " [%d]: %n", &partition, &end) == 1 && end > 0 ? length : 0;
}

/* ------------------------------------------------------------------------
 * Surprises
 * ------------------------------------------------------------------------ */

static rd_kafka_resp_err_t
new_interceptor(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size)
{
	(void) rd_kafka_interceptor_add_on_thread_start(rk, "streaming", thread_interceptor, opaque);
	if (rd_kafka_type(rk) != RD_KAFKA_CONSUMER)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	return rd_kafka_interceptor_add_on_request_sent(rk, "streaming", request_interceptor, opaque);
}

static rd_kafka_resp_err_t
thread_interceptor(rd_kafka_t *rk, rd_kafka_thread_type_t type, const char *name, void *opaque)
{
	streaming_kafka_guard_thread();
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
request_interceptor(rd_kafka_t *rk, int socket, const char *broker, int32_t broker_id,
					int16_t key, int16_t version, int32_t correlation, size_t size, void *opaque)
{
	StreamingKafkaHandle *handle = opaque;
	dlist_iter	it;

	if (key != METADATA_REQUEST)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	pthread_mutex_lock(&handle->lock);
	if (handle->asking == 0)
	{
		dlist_foreach(it, &handle->clients)
			streaming_kafka_surprise(dlist_container(StreamingKafka, handle_node, it.cur));
	}
	pthread_mutex_unlock(&handle->lock);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void
streaming_kafka_ask_begin(StreamingKafka *client)
{
	pthread_mutex_lock(&client->handle->lock);
	client->handle->asking++;
	pthread_mutex_unlock(&client->handle->lock);
}

void
streaming_kafka_ask_end(StreamingKafka *client)
{
	pthread_mutex_lock(&client->handle->lock);
	client->handle->asking--;
	pthread_mutex_unlock(&client->handle->lock);
}

/* ------------------------------------------------------------------------
 * Secrets
 * ------------------------------------------------------------------------ */

/* Copies the values of options that are secrets; false: out of memory. */
static bool
keep_secrets(StreamingKafkaHandle *handle, List *options)
{
	ListCell   *lc;

	handle->secrets = calloc(Max(list_length(options), 1), sizeof(char *));
	if (handle->secrets == NULL)
		return false;
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (!streaming_kafka_is_secret(option->defname))
			continue;
		handle->secrets[handle->nsecrets] = strdup(defGetString(option));
		if (handle->secrets[handle->nsecrets] == NULL)
			return false;
		handle->nsecrets++;
	}
	return true;
}

static void
free_secrets(StreamingKafkaHandle *handle)
{
	for (int i = 0; handle->secrets && i < handle->nsecrets; i++)
	{
		explicit_bzero(handle->secrets[i], strlen(handle->secrets[i]));
		free(handle->secrets[i]);
	}
	free(handle->secrets);
}

void
streaming_kafka_hide_secrets(const StreamingKafkaHandle *handle, char *text)
{
	for (int i = 0; i < handle->nsecrets; i++)
	{
		for (char *at = text; strlen(at) >= SECRET_RUN; at++)
		{
			char		run[SECRET_RUN + 1];
			size_t		longest = 0;

			strlcpy(run, at, sizeof(run));
			for (char *from = strstr(handle->secrets[i], run); from; from = strstr(from + 1, run))
			{
				size_t		length = SECRET_RUN;

				while (at[length] != '\0' && at[length] == from[length])
					length++;
				longest = Max(longest, length);
			}
			memset(at, '*', longest);
		}
	}
}
