/*
 * kafka.c
 *		The one wrapper of librdkafka (see kafka.h for the rules of threads).
 *
 * A client lives in malloc'ed memory, because threads outlast memory contexts.
 * It has these threads besides librdkafka's own:
 *
 *		calls		one for each streaming_kafka_call or _start under way
 *		reaper		made by streaming_kafka_close: waits for the calls,
 *					destroys the handle, and frees the client if nobody waits
 *
 *		open ──▶ closing ──▶ destroyed        (nobody waits any longer:
 *					   └───▶ abandoned ──▶     the reaper frees it)
 *
 * client->lock guards what is marked so below; it is held for a few
 * instructions only, never across a call of librdkafka or PostgreSQL.
 *
 * A process that ends with exit() runs OpenSSL's clean-up under the feet of
 * librdkafka's threads, so an on_proc_exit callback closes what is still open
 * and gives the reapers a moment.
 */
#include "postgres.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "commands/defrem.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "streaming.h"

#include "kafka.h"

#define LOG_LINES	16			/* kept between two calls of serve */

/*
 * Bytes of a secret in a row that librdkafka's texts may not have.  Fewer may
 * be any word, and to hide that would tell it.
 */
#define SECRET_RUN	8

/*
 * How long (ms) a close waits for the client's end: not long, since librdkafka
 * may take a second, but longer where several reapers are at work already.
 */
#define CLOSE_WAIT	20
#define BUSY_CLOSE_WAIT 300
#define BUSY_REAPERS 2

/* ApiKey of the request in Kafka's protocol */
#define METADATA_REQUEST	3

#define EXIT_WAIT	1000		/* ms, for all clients together */

/*
 * A handle of librdkafka, of one client or of several.  handle->lock is taken before
 * that of a client.
 */
typedef struct Handle
{
	/* immutable once open */
	rd_kafka_t *rk;
	char	  **secrets;		/* values of options */
	int			nsecrets;
	char	   *made_of;		/* options and settings; NULL: of one client only */

	pthread_mutex_t lock;
	dlist_head	clients;		/* lock; changed by the backend's thread only */
	int			users;			/* lock: clients, closed ones too until their calls have
								 * ended; 0: rk is about to be destroyed */
	bool		destroyed;		/* lock */
	int			asking;			/* lock: threads that ask about topics */

	/* the backend's thread only */
	dlist_node	node;			/* in shared_handles */
	StreamingKafka *told;		/* whose descriptor tells of the main queue */
	struct
	{
		int			level;
		char		text[STREAMING_KAFKA_TEXT];
	}			lines[LOG_LINES];
	int			nlines;
} Handle;

struct StreamingKafka
{
	/* immutable once open */
	Handle	   *handle;
	char	   *topic;			/* NULL: any */
	int			pipe[2];		/* read end, write end; both non-blocking */

	pthread_mutex_t lock;
	pthread_cond_t changed;		/* anything below has changed */
	int			calls;			/* lock: threads of calls under way */
	bool		closing;		/* lock */
	bool		destroyed;		/* lock */
	bool		abandoned;		/* lock */
	uint64		trouble_number; /* lock */
	bool		troubled;		/* lock */
	uint64		surprises;		/* lock */

	/* the backend's thread only, and at the end the reaper */
	void		(*release) (void *argument);
	void	   *release_argument;

	/* the backend's thread only */
	dlist_node	node;			/* in open_clients */
	dlist_node	handle_node;	/* in its handle's clients */
	char		trouble[STREAMING_KAFKA_TEXT];
	bool		transport;		/* trouble is the text of a lost connection */
};

static dlist_head open_clients = DLIST_STATIC_INIT(open_clients);
static dlist_head shared_handles = DLIST_STATIC_INIT(shared_handles);

/* Reapers at work in this process, for its exit. */
static pthread_mutex_t reapers_lock = PTHREAD_MUTEX_INITIALIZER;
static int	reapers = 0;

/* called by librdkafka inside streaming_kafka_serve */
static void log_callback(const rd_kafka_t *rk, int level, const char *facility,
						 const char *text);
static void error_callback(rd_kafka_t *rk, int error, const char *reason, void *opaque);
static void take_error(StreamingKafka *client, int error, const char *reason);

/* handles */
static Handle *open_handle(rd_kafka_type_t type, List *options,
						   const StreamingKafkaSetting *settings, const char *made_of);
static rd_kafka_t *new_rdkafka(Handle *handle, rd_kafka_type_t type, rd_kafka_conf_t *conf,
							   char *text, size_t size);
static Handle *find_handle(const char *made_of, const char *topic);
static void drop_handle(Handle *handle);
static void free_handle(Handle *handle);
static StreamingKafka *open_client(Handle *handle, const char *topic);
static void tell(Handle *handle, StreamingKafka *client);

/* called by librdkafka in its threads */
static rd_kafka_resp_err_t new_interceptor(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
										   void *opaque, char *text, size_t size);
static rd_kafka_resp_err_t request_interceptor(rd_kafka_t *rk, int socket, const char *broker,
											   int32_t broker_id, int16_t key, int16_t version,
											   int32_t correlation, size_t size, void *opaque);

/* secrets */
static bool keep_secrets(Handle *handle, List *options);
static void free_secrets(Handle *handle);
static void hide_secrets(const Handle *handle, char *text);
static void set_trouble(StreamingKafka *client, const char *text, bool transport);

/* threads */
static bool start_thread(void *(*main) (void *), void *argument);
static void *call_main(void *argument);
static void drop_call(StreamingKafkaCall *call);
static void *reaper_main(void *argument);
static void reap(StreamingKafka *client);
static void close_at_exit(int code, Datum argument);
static struct timespec deadline_after(int ms);
static bool make_pipe(int *fd);
static void free_client(StreamingKafka *client);

/* ------------------------------------------------------------------------
 * Handles
 * ------------------------------------------------------------------------ */

/* made_of: see describe; NULL: the handle is to be one client's. */
static Handle *
open_handle(rd_kafka_type_t type, List *options, const StreamingKafkaSetting *settings,
			const char *made_of)
{
	rd_kafka_conf_t *conf = streaming_kafka_conf(options, settings);
	Handle	   *handle = calloc(1, sizeof(Handle));
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

	(void) rd_kafka_conf_set(conf, "log.queue", "true", text, sizeof(text));
	rd_kafka_conf_set_log_cb(conf, log_callback);
	rd_kafka_conf_set_error_cb(conf, error_callback);
	rd_kafka_conf_set_opaque(conf, handle);

	/* librdkafka's threads inherit the mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	handle->rk = new_rdkafka(handle, type, conf, text, sizeof(text));
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (handle->rk == NULL)
	{
		hide_secrets(handle, text);
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
new_rdkafka(Handle *handle, rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
			size_t size)
{
	static bool wary = false;
	rd_kafka_t *rk;

	if (type != RD_KAFKA_CONSUMER || wary)
	{
		rd_kafka_conf_t *plain = type == RD_KAFKA_CONSUMER ? rd_kafka_conf_dup(conf) : conf;

		rk = rd_kafka_new(type, plain, text, size);
		if (rk == NULL)
			rd_kafka_conf_destroy(plain);
		if (type != RD_KAFKA_CONSUMER)
			return rk;
		if (rk == NULL)
		{
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

/* What a handle would be made of, secrets included. */
static char *
describe(List *options, const StreamingKafkaSetting *settings)
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

/* One that nobody reads topic with, with one user more; or NULL.  Frees those that are gone. */
static Handle *
find_handle(const char *made_of, const char *topic)
{
	Handle	   *found = NULL;
	dlist_mutable_iter it;

	dlist_foreach_modify(it, &shared_handles)
	{
		Handle	   *handle = dlist_container(Handle, node, it.cur);
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

/* A client has ended, and its calls.  Any thread. */
static void
drop_handle(Handle *handle)
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
free_handle(Handle *handle)
{
	free_secrets(handle);
	if (handle->made_of)
		explicit_bzero(handle->made_of, strlen(handle->made_of));
	free(handle->made_of);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
}

/* ------------------------------------------------------------------------
 * Opening and serving
 * ------------------------------------------------------------------------ */

StreamingKafka *
streaming_kafka_open(rd_kafka_type_t type, List *options,
					 const StreamingKafkaSetting *settings)
{
	return open_client(open_handle(type, options, settings, NULL), NULL);
}

StreamingKafka *
streaming_kafka_join(List *options, const StreamingKafkaSetting *settings, const char *topic)
{
	char	   *made_of = describe(options, settings);
	Handle	   *handle = find_handle(made_of, topic);

	if (handle == NULL)
		handle = open_handle(RD_KAFKA_CONSUMER, options, settings, made_of);
	explicit_bzero(made_of, strlen(made_of));
	pfree(made_of);
	return open_client(handle, topic);
}

bool
streaming_kafka_is_shared(StreamingKafka *client)
{
	/* only we change the list */
	return dlist_has_next(&client->handle->clients,
						  dlist_head_node(&client->handle->clients));
}

/* A client of handle, which counts it already. */
static StreamingKafka *
open_client(Handle *handle, const char *topic)
{
	static bool exit_registered = false;
	StreamingKafka *client = calloc(1, sizeof(StreamingKafka));
	pthread_condattr_t attributes;

	if (!exit_registered)
	{
		on_proc_exit(close_at_exit, (Datum) 0);
		exit_registered = true;
	}
	if (client != NULL && topic != NULL)
		client->topic = strdup(topic);
	if (client == NULL || (topic != NULL && client->topic == NULL) || !make_pipe(client->pipe))
	{
		if (client != NULL)
			free(client->topic);
		free(client);
		drop_handle(handle);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a Kafka client: %m")));
	}
	client->handle = handle;
	pthread_mutex_init(&client->lock, NULL);
	pthread_condattr_init(&attributes);
#ifndef __APPLE__
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
	pthread_cond_init(&client->changed, &attributes);
	pthread_condattr_destroy(&attributes);

	pthread_mutex_lock(&handle->lock);
	dlist_push_tail(&handle->clients, &client->handle_node);
	pthread_mutex_unlock(&handle->lock);
	if (handle->told == NULL)
		tell(handle, client);
	dlist_push_tail(&open_clients, &client->node);
	return client;
}

/* The client's descriptor tells that something is in the handle's main queue. */
static void
tell(Handle *handle, StreamingKafka *client)
{
	rd_kafka_queue_t *main_queue = rd_kafka_queue_get_main(handle->rk);

	rd_kafka_queue_io_event_enable(main_queue, client ? client->pipe[1] : -1, "", 1);
	rd_kafka_queue_destroy(main_queue); /* our reference, not the queue */
	handle->told = client;
}

rd_kafka_t *
streaming_kafka_handle(StreamingKafka *client)
{
	return client->handle->rk;
}

char *
streaming_kafka_property(StreamingKafka *client, const char *name)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(client->handle->rk);
	size_t		size = 0;
	char	   *value;

	if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK)
		return NULL;
	value = palloc(size);
	if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
		return NULL;
	return value;
}

void
streaming_kafka_serve(StreamingKafka *client)
{
	Handle	   *handle = client->handle;

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
	Handle	   *handle = rd_kafka_opaque(rk);

	if (handle->nlines == LOG_LINES)
		return;
	handle->lines[handle->nlines].level = level;
	snprintf(handle->lines[handle->nlines].text, STREAMING_KAFKA_TEXT, "%s: %s",
			 facility, text);
	hide_secrets(handle, handle->lines[handle->nlines].text);
	handle->nlines++;
}

/*
 * Everything that librdkafka tells here is trouble, of all clients of the handle; it
 * goes on trying by itself.
 */
static void
error_callback(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	Handle	   *handle = opaque;
	dlist_iter	it;

	dlist_foreach(it, &handle->clients)
	{
		StreamingKafka *client = dlist_container(StreamingKafka, handle_node, it.cur);

		take_error(client, error, reason);
		if (client != handle->told)
			streaming_kafka_wake(client);
	}
}

/* That all brokers are down says less than why one of them is. */
static void
take_error(StreamingKafka *client, int error, const char *reason)
{
	char		text[STREAMING_KAFKA_TEXT];

	switch (error)
	{
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__RESOLVE:
			snprintf(text, sizeof(text), "broker down: %s", reason);
			set_trouble(client, text, true);
			break;
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
			if (client->troubled && client->transport)
				break;
			snprintf(text, sizeof(text), "broker down: %s", reason);
			set_trouble(client, text, false);
			break;
		default:
			set_trouble(client, reason, false);
			break;
	}
}

/* ------------------------------------------------------------------------
 * Surprises
 * ------------------------------------------------------------------------ */

static rd_kafka_resp_err_t
new_interceptor(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size)
{
	return rd_kafka_interceptor_add_on_request_sent(rk, "streaming", request_interceptor, opaque);
}

static rd_kafka_resp_err_t
request_interceptor(rd_kafka_t *rk, int socket, const char *broker, int32_t broker_id,
					int16_t key, int16_t version, int32_t correlation, size_t size, void *opaque)
{
	Handle	   *handle = opaque;
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

uint64
streaming_kafka_surprises(StreamingKafka *client)
{
	uint64		surprises;

	pthread_mutex_lock(&client->lock);
	surprises = client->surprises;
	pthread_mutex_unlock(&client->lock);
	return surprises;
}

void
streaming_kafka_surprise(StreamingKafka *client)
{
	pthread_mutex_lock(&client->lock);
	client->surprises++;
	pthread_mutex_unlock(&client->lock);
	streaming_kafka_wake(client);
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
keep_secrets(Handle *handle, List *options)
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
free_secrets(Handle *handle)
{
	for (int i = 0; handle->secrets && i < handle->nsecrets; i++)
	{
		explicit_bzero(handle->secrets[i], strlen(handle->secrets[i]));
		free(handle->secrets[i]);
	}
	free(handle->secrets);
}

/* Puts stars in the place of what text has of a secret. */
static void
hide_secrets(const Handle *handle, char *text)
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

/* ------------------------------------------------------------------------
 * Trouble
 * ------------------------------------------------------------------------ */

const char *
streaming_kafka_trouble(StreamingKafka *client)
{
	return client->troubled ? client->trouble : NULL;
}

void
streaming_kafka_set_trouble(StreamingKafka *client, const char *text)
{
	set_trouble(client, text, false);
}

/* transport: text tells why a connection was lost. */
static void
set_trouble(StreamingKafka *client, const char *text, bool transport)
{
	strlcpy(client->trouble, text, STREAMING_KAFKA_TEXT);
	hide_secrets(client->handle, client->trouble);
	client->transport = transport;

	pthread_mutex_lock(&client->lock);
	client->troubled = true;
	client->trouble_number++;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

void
streaming_kafka_clear_trouble(StreamingKafka *client, uint64 number)
{
	pthread_mutex_lock(&client->lock);
	if (client->troubled && client->trouble_number == number)
		client->troubled = false;
	pthread_mutex_unlock(&client->lock);
}

uint64
streaming_kafka_trouble_number(StreamingKafka *client, bool *troubled)
{
	uint64		number;

	pthread_mutex_lock(&client->lock);
	number = client->trouble_number;
	*troubled = client->troubled;
	pthread_mutex_unlock(&client->lock);
	return number;
}

/* ------------------------------------------------------------------------
 * The descriptor
 * ------------------------------------------------------------------------ */

int
streaming_kafka_fd(StreamingKafka *client)
{
	return client->pipe[0];
}

void
streaming_kafka_wake(StreamingKafka *client)
{
	ssize_t		written = write(client->pipe[1], "", 1);

	/* a full pipe is readable, which is all that was wanted */
	(void) written;
}

void
streaming_kafka_clear_fd(StreamingKafka *client)
{
	char		bytes[64];

	while (read(client->pipe[0], bytes, sizeof(bytes)) == sizeof(bytes))
		;
}

void
streaming_kafka_watch_queue(StreamingKafka *client, rd_kafka_queue_t *queue)
{
	rd_kafka_queue_io_event_enable(queue, client->pipe[1], "", 1);
}

/* ------------------------------------------------------------------------
 * Calls
 * ------------------------------------------------------------------------ */

bool
streaming_kafka_call(StreamingKafka *client, StreamingKafkaCall *call, int timeout)
{
	instr_time	begin;
	bool		done = false;

	call->client = client;
	call->holders = 2;
	call->done = false;
	if (!make_pipe(call->fd))
	{
		call->dispose(call);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a pipe: %m")));
	}

	pthread_mutex_lock(&client->lock);
	client->calls++;
	pthread_mutex_unlock(&client->lock);
	if (!start_thread(call_main, call))
	{
		pthread_mutex_lock(&client->lock);
		client->calls--;
		call->holders = 1;
		pthread_mutex_unlock(&client->lock);
		streaming_kafka_call_end(call);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a thread for a Kafka client")));
	}

	PG_TRY();
	{
		INSTR_TIME_SET_CURRENT(begin);
		for (;;)
		{
			instr_time	now;
			long		left;

			pthread_mutex_lock(&client->lock);
			done = call->done;
			pthread_mutex_unlock(&client->lock);
			INSTR_TIME_SET_CURRENT(now);
			INSTR_TIME_SUBTRACT(now, begin);
			left = timeout - (long) INSTR_TIME_GET_MILLISEC(now);
			if (done || left <= 0)
				break;

			(void) WaitLatchOrSocket(MyLatch,
									 WL_LATCH_SET | WL_SOCKET_READABLE |
									 WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
									 call->fd[0], left, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_CATCH();
	{
		streaming_kafka_call_end(call);
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (!done)
		streaming_kafka_call_end(call);
	return done;
}

void
streaming_kafka_call_end(StreamingKafkaCall *call)
{
	drop_call(call);
}

void
streaming_kafka_start(StreamingKafka *client, StreamingKafkaCall *call)
{
	call->client = client;
	call->holders = 1;
	call->done = false;
	call->fd[0] = call->fd[1] = -1;

	pthread_mutex_lock(&client->lock);
	client->calls++;
	pthread_mutex_unlock(&client->lock);
	if (!start_thread(call_main, call))
	{
		pthread_mutex_lock(&client->lock);
		client->calls--;
		pthread_mutex_unlock(&client->lock);
		drop_call(call);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a thread for a Kafka client")));
	}
}

bool
streaming_kafka_sleep(StreamingKafka *client, int ms, uint64 number)
{
	struct timespec deadline = deadline_after(ms);
	bool		open;

	pthread_mutex_lock(&client->lock);
	while (!client->closing &&
		   (client->trouble_number == number || number == UINT64_MAX) &&
		   pthread_cond_timedwait(&client->changed, &client->lock, &deadline) == 0)
		;
	open = !client->closing;
	pthread_mutex_unlock(&client->lock);
	return open;
}

void
streaming_kafka_lock(StreamingKafka *client)
{
	pthread_mutex_lock(&client->lock);
}

void
streaming_kafka_unlock(StreamingKafka *client)
{
	pthread_mutex_unlock(&client->lock);
}

static void *
call_main(void *argument)
{
	StreamingKafkaCall *call = argument;
	StreamingKafka *client = call->client;

	call->run(client, call);

	pthread_mutex_lock(&client->lock);
	call->done = true;
	pthread_mutex_unlock(&client->lock);
	if (call->fd[1] >= 0)
	{
		ssize_t		written = write(call->fd[1], "", 1);

		(void) written;
	}
	drop_call(call);

	/* the last use of the client: the reaper frees it after this */
	pthread_mutex_lock(&client->lock);
	client->calls--;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	return NULL;
}

/* One of its holders lets the call go; the last one disposes of it. */
static void
drop_call(StreamingKafkaCall *call)
{
	bool		last;

	pthread_mutex_lock(&call->client->lock);
	last = --call->holders == 0;
	pthread_mutex_unlock(&call->client->lock);
	if (!last)
		return;
	if (call->fd[0] >= 0)
	{
		close(call->fd[0]);
		close(call->fd[1]);
	}
	call->dispose(call);
}

/* A detached thread with all signals blocked; false if there can be none. */
static bool
start_thread(void *(*main) (void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t	thread;
	sigset_t	all;
	sigset_t	before;
	int			result;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, &attributes, main, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return result == 0;
}

/* ------------------------------------------------------------------------
 * Closing
 * ------------------------------------------------------------------------ */

void
streaming_kafka_on_close(StreamingKafka *client,
						 void (*release) (void *argument), void *argument)
{
	client->release = release;
	client->release_argument = argument;
}

void
streaming_kafka_close(StreamingKafka *client)
{
	Handle	   *handle = client->handle;
	struct timespec deadline;
	bool		destroyed;

	dlist_delete(&client->node);
	pthread_mutex_lock(&handle->lock);
	dlist_delete(&client->handle_node);
	pthread_mutex_unlock(&handle->lock);
	if (handle->told == client)
		tell(handle, dlist_is_empty(&handle->clients) ? NULL :
			 dlist_head_element(StreamingKafka, handle_node, &handle->clients));
	if (handle->made_of != NULL && client->release != NULL)
	{
		client->release(client->release_argument);
		client->release = NULL;
	}

	pthread_mutex_lock(&client->lock);
	client->closing = true;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);

	pthread_mutex_lock(&reapers_lock);
	deadline = deadline_after(reapers < BUSY_REAPERS ? CLOSE_WAIT : BUSY_CLOSE_WAIT);
	reapers++;
	pthread_mutex_unlock(&reapers_lock);
	if (!start_thread(reaper_main, client))
		reap(client);

	pthread_mutex_lock(&client->lock);
	while (!client->destroyed &&
		   pthread_cond_timedwait(&client->changed, &client->lock, &deadline) == 0)
		;
	destroyed = client->destroyed;
	client->abandoned = !destroyed;
	pthread_mutex_unlock(&client->lock);
	if (destroyed)
		free_client(client);
}

static void *
reaper_main(void *argument)
{
	reap(argument);
	return NULL;
}

static void
reap(StreamingKafka *client)
{
	bool		abandoned;

	pthread_mutex_lock(&client->lock);
	while (client->calls > 0)
		pthread_cond_wait(&client->changed, &client->lock);
	pthread_mutex_unlock(&client->lock);

	if (client->release != NULL)
		client->release(client->release_argument);
	drop_handle(client->handle);

	pthread_mutex_lock(&reapers_lock);
	reapers--;
	pthread_mutex_unlock(&reapers_lock);

	/* from the unlock on the closer may free the client, if it still waits */
	pthread_mutex_lock(&client->lock);
	client->destroyed = true;
	abandoned = client->abandoned;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	if (abandoned)
		free_client(client);
}

/*
 * The process ends, which resets no memory context.  Closes the clients that
 * are open and gives all reapers a moment to finish.
 */
static void
close_at_exit(int code, Datum argument)
{
	int			left = EXIT_WAIT / 10;

	while (!dlist_is_empty(&open_clients))
	{
		StreamingKafka *client = dlist_head_element(StreamingKafka, node, &open_clients);

		streaming_kafka_close(client);
	}
	while (left-- > 0)
	{
		bool		idle;

		pthread_mutex_lock(&reapers_lock);
		idle = reapers == 0;
		pthread_mutex_unlock(&reapers_lock);
		if (idle)
			break;
		pg_usleep(10 * 1000L);
	}
}

/* Frees what a client has besides its handle. */
static void
free_client(StreamingKafka *client)
{
	close(client->pipe[0]);
	close(client->pipe[1]);
	pthread_cond_destroy(&client->changed);
	pthread_mutex_destroy(&client->lock);
	free(client->topic);
	free(client);
}

static bool
make_pipe(int *fd)
{
	if (pipe(fd) < 0)
		return false;
	for (int i = 0; i < 2; i++)
	{
		(void) fcntl(fd[i], F_SETFL, O_NONBLOCK);
		(void) fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	}
	return true;
}

/* A point of the clock that client->changed uses. */
static struct timespec
deadline_after(int ms)
{
	struct timespec deadline;

#ifdef __APPLE__
	clock_gettime(CLOCK_REALTIME, &deadline);
#else
	clock_gettime(CLOCK_MONOTONIC, &deadline);
#endif
	deadline.tv_sec += ms / 1000;
	deadline.tv_nsec += (ms % 1000) * 1000000L;
	if (deadline.tv_nsec >= 1000000000L)
	{
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000L;
	}
	return deadline;
}
