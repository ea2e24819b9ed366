/*
 * kafka.c
 *		The one wrapper of librdkafka (see kafka.h for the rules of threads).
 *
 * A client lives in malloc'ed memory, because threads outlast memory contexts.
 * It has these threads besides librdkafka's own:
 *
 *		calls		one for each streaming_kafka_call or _start under way
 *		reaper		made by streaming_kafka_close: waits for the calls,
 *					lets go of the handle (kafka_handle.c), and frees the client if
 *					nobody waits
 *
 *		open ──▶ closing ──▶ destroyed        (nobody waits any longer:
 *					   └───▶ abandoned ──▶     the reaper frees it)
 *
 * client->lock guards what is marked so below; it is held for a few
 * instructions only, never across a call of librdkafka or PostgreSQL.
 *
 * A process that ends with exit() runs OpenSSL's clean-up under the feet of
 * librdkafka's threads, so an on_proc_exit callback closes what is still open
 * and gives the reapers a moment.  If they need more, which a broker can see to, the
 * clean-up is left out (leave_at_once).
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "kafka_internal.h"

/*
 * How long (ms) a close waits for the client's end: not long, since librdkafka
 * may take a second, but longer where several reapers are at work already.
 */
#define CLOSE_WAIT	20
#define BUSY_CLOSE_WAIT 300
#define BUSY_REAPERS 2

#define EXIT_WAIT	1000		/* ms, for all clients together */

static dlist_head open_clients = DLIST_STATIC_INIT(open_clients);

/* Reapers at work in this process, for its exit. */
static pthread_mutex_t reapers_lock = PTHREAD_MUTEX_INITIALIZER;
static int	reapers = 0;

static StreamingKafka *open_client(StreamingKafkaHandle *handle, const char *topic);
static void set_trouble(StreamingKafka *client, const char *text, bool transport);

/* threads */
static bool start_thread(void *(*main) (void *), void *argument);
static void *call_main(void *argument);
static void drop_call(StreamingKafkaCall *call);
static void *reaper_main(void *argument);
static void reap(StreamingKafka *client);
static void close_at_exit(int code, Datum argument);
#ifdef __GLIBC__
static void leave_at_once(int status, void *argument);
#endif
static struct timespec deadline_after(int ms);
static bool make_pipe(int *fd);
static void free_client(StreamingKafka *client);

/* ------------------------------------------------------------------------
 * Opening and serving
 * ------------------------------------------------------------------------ */

StreamingKafka *
streaming_kafka_open(rd_kafka_type_t type, List *options,
					 const StreamingKafkaSetting *settings)
{
	return open_client(streaming_kafka_handle_open(type, options, settings, NULL), NULL);
}

StreamingKafka *
streaming_kafka_join(List *options, const StreamingKafkaSetting *settings, const char *topic)
{
	char	   *made_of = streaming_kafka_describe(options, settings);
	StreamingKafkaHandle *handle = streaming_kafka_handle_find(made_of, topic);

	if (handle == NULL)
		handle = streaming_kafka_handle_open(RD_KAFKA_CONSUMER, options, settings, made_of);
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
open_client(StreamingKafkaHandle *handle, const char *topic)
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
		streaming_kafka_handle_drop(handle);
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

	streaming_kafka_handle_add(handle, client);
	dlist_push_tail(&open_clients, &client->node);
	return client;
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

/* That all brokers are down says less than why one of them is. */
void
streaming_kafka_take_error(StreamingKafka *client, int error, const char *reason)
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
	streaming_clean_text(client->trouble);
	streaming_kafka_hide_secrets(client->handle, client->trouble);
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

	streaming_kafka_hold_requests(false);
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

	streaming_kafka_guard_thread();
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
	StreamingKafkaHandle *handle = client->handle;
	struct timespec deadline;
	bool		destroyed;

	dlist_delete(&client->node);
	streaming_kafka_handle_remove(handle, client);
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
	streaming_kafka_handle_drop(client->handle);

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

#ifdef __GLIBC__
	/* the last one to be registered, it runs before what libraries do at the end */
	(void) on_exit(leave_at_once, NULL);
#endif
	if (streaming_kafka_has_aborted())
		return;					/* a close would wait for the thread that has */
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

#ifdef __GLIBC__
/* In exit(), when all that PostgreSQL does at the end is done. */
static void
leave_at_once(int status, void *argument)
{
	bool		busy;

	pthread_mutex_lock(&reapers_lock);
	busy = reapers > 0;
	pthread_mutex_unlock(&reapers_lock);
	if (busy || streaming_kafka_has_aborted())
		_exit(status);
}
#endif

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
