/*
 * kafka.h
 *		The one wrapper of librdkafka: clients, their troubles, their end.
 *
 * librdkafka runs threads of its own inside our processes.  Three rules keep
 * them away from PostgreSQL:
 *
 *	1. Its callbacks run only inside streaming_kafka_serve, in our thread (logs
 *	   and errors wait in librdkafka's main queue until then), and even there
 *	   they only copy text: an ereport could jump out of the library.
 *	2. Every thread, its and ours, is created with all signals blocked; what it does
 *	   itself is another thing (kafka_abort.c).
 *	3. Functions marked "any thread" use malloc and pthreads only.  All others
 *	   are for the backend's own thread.
 *
 * A call that waits for a broker runs in a thread of its own
 * (streaming_kafka_call), so that the backend keeps reacting to its latch;
 * and a client is destroyed by a thread of its own, since rd_kafka_destroy
 * waits for name resolution and the like.
 */
#ifndef STREAMING_KAFKA_H
#define STREAMING_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "nodes/pg_list.h"

typedef struct StreamingKafka StreamingKafka;

/* A property that the code sets, on behalf of the user or in spite of them. */
typedef struct StreamingKafkaSetting
{
	const char *name;			/* NULL ends a list */
	const char *value;
	bool		forced;			/* wins over the user's option */
	bool		optional;		/* skipped if this librdkafka lacks it */
} StreamingKafkaSetting;

/* Longest text of a trouble, terminator included. */
#define STREAMING_KAFKA_TEXT 512

/* in kafka_property.c */

/*
 * Checks one librdkafka property that a user writes as an option (name with
 * dots).  Errors: ERRCODE_FDW_INVALID_OPTION_NAME if there is no such
 * property (with a hint that names the closest) or nobody may set it,
 * ERRCODE_INVALID_PARAMETER_VALUE if the value does not fit or goes beyond
 * what the current user may take of the server,
 * ERRCODE_INSUFFICIENT_PRIVILEGE if the property is not the current user's to
 * set.  No error quotes a secret.
 */
extern void streaming_kafka_check_property(const char *name, const char *value);

/* Is name (with dots) a property of the librdkafka in use? */
extern bool streaming_kafka_is_property(const char *name);

/* Is it a secret, which belongs into a user mapping and in no message? */
extern bool streaming_kafka_is_secret(const char *name);

/* May a user mapping have it? */
extern bool streaming_kafka_is_of_user(const char *name);

/*
 * A configuration from options (List of DefElem: property names with dots,
 * strings) and settings, in this order: settings that are not forced, options,
 * forced settings.  The caller destroys it.  Errors: those of
 * streaming_kafka_check_property about names and values.
 */
extern rd_kafka_conf_t *streaming_kafka_conf(List *options,
											 const StreamingKafkaSetting *settings);

/* in kafka_abort.c */

/* Has librdkafka aborted?  Then the process is about to end. */
extern bool streaming_kafka_has_aborted(void);

/* in kafka.c */

/*
 * Makes a client from options and settings (see streaming_kafka_conf).  Does
 * not wait for brokers.  The client is closed by streaming_kafka_close, and at
 * the latest when the process ends; a caller that wants it to end with a
 * memory context registers a reset callback.  Errors: those of
 * streaming_kafka_conf, and ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION if
 * librdkafka refuses the whole.
 */
extern StreamingKafka *streaming_kafka_open(rd_kafka_type_t type, List *options,
											const StreamingKafkaSetting *settings);

/*
 * As streaming_kafka_open, of a consumer of topic.  Clients of a process that are made
 * from the same options and settings, each for another topic, have one handle of
 * librdkafka together: its threads, its connections, its fetches.  All else each has
 * for itself; trouble with a connection is told to all.
 */
extern StreamingKafka *streaming_kafka_join(List *options,
											const StreamingKafkaSetting *settings,
											const char *topic);

/* Has the client its handle together with others, at present? */
extern bool streaming_kafka_is_shared(StreamingKafka *client);

/*
 * Says how the client's user gives back to librdkafka what was got from it
 * (messages, queues, topics) when the client closes: by release(argument), run
 * once, in any thread, so with nothing of PostgreSQL.  It runs after the last call
 * has ended or, if the client has joined others, before close returns, so that the
 * next one can have the topic; calls may then be under way.
 */
extern void streaming_kafka_on_close(StreamingKafka *client,
									 void (*release) (void *argument), void *argument);

/*
 * Ends the client: stops its calls, releases, destroys the handle.  What of it
 * takes longer than a moment goes on after the return.  Never ereports.
 */
extern void streaming_kafka_close(StreamingKafka *client);

/* Any thread. */
extern rd_kafka_t *streaming_kafka_handle(StreamingKafka *client);

/* Value of a property as the client uses it, or NULL; palloc'd. */
extern char *streaming_kafka_property(StreamingKafka *client, const char *name);

/*
 * Takes logs and errors (and, for a producer, delivery reports) that have
 * arrived.  librdkafka's log lines become DEBUG1, its emergencies LOG.
 */
extern void streaming_kafka_serve(StreamingKafka *client);

/*
 * The trouble the client is in, or NULL: valid until the next serve.  Set by
 * librdkafka's error callback (connection lost, name unknown, authentication)
 * or by its user; only its user knows when it is over.  The number identifies
 * one state of it: clear does nothing if trouble came after number was read.
 */
extern const char *streaming_kafka_trouble(StreamingKafka *client);
extern void streaming_kafka_set_trouble(StreamingKafka *client, const char *text);
extern void streaming_kafka_clear_trouble(StreamingKafka *client, uint64 number);

/* The number of the trouble and whether there is one; any thread. */
extern uint64 streaming_kafka_trouble_number(StreamingKafka *client, bool *troubled);

/*
 * The client's descriptor: readable after wake (any thread), and when a
 * watched queue goes from empty to not empty.  Clear before emptying queues.
 */
extern int	streaming_kafka_fd(StreamingKafka *client);
extern void streaming_kafka_wake(StreamingKafka *client);
extern void streaming_kafka_clear_fd(StreamingKafka *client);
extern void streaming_kafka_watch_queue(StreamingKafka *client, rd_kafka_queue_t *queue);

/*
 * A call in a thread of its own.  The user's struct begins with this one and
 * is malloc'ed; run must not touch anything of PostgreSQL.
 */
typedef struct StreamingKafkaCall StreamingKafkaCall;
struct StreamingKafkaCall
{
	void		(*run) (StreamingKafka *client, StreamingKafkaCall *call);
	void		(*dispose) (StreamingKafkaCall *call);	/* any thread */

	/* private to kafka.c */
	StreamingKafka *client;
	int			holders;		/* caller and thread; client's lock */
	bool		done;			/* client's lock */
	int			fd[2];
};

/*
 * Runs call and waits until it is done or timeout ms have passed; the wait
 * reacts to interrupts and to the death of the postmaster.  True: it is done,
 * the caller reads its results and then calls streaming_kafka_call_end.
 * False, and errors: the call has been let go and disposes of itself.
 */
extern bool streaming_kafka_call(StreamingKafka *client, StreamingKafkaCall *call,
								 int timeout);
extern void streaming_kafka_call_end(StreamingKafkaCall *call);

/*
 * Runs call without waiting for it, until it returns: it asks
 * streaming_kafka_sleep whether it should.
 */
extern void streaming_kafka_start(StreamingKafka *client, StreamingKafkaCall *call);

/*
 * Any thread: sleeps ms, or until the client closes or its trouble gets
 * another number than the given one (UINT64_MAX: whatever its number).
 * Returns false if the client closes.
 */
extern bool streaming_kafka_sleep(StreamingKafka *client, int ms, uint64 number);

/*
 * How often librdkafka has asked the brokers about their topics of its own accord.
 * A consumer does so when a fetch has met an error: a partition has moved, or is not
 * there any more.  What is asked between begin and end is not counted.  The
 * client is woken when it rises.  Any thread.
 */
extern uint64 streaming_kafka_surprises(StreamingKafka *client);
extern void streaming_kafka_surprise(StreamingKafka *client);	/* counts one more */
extern void streaming_kafka_ask_begin(StreamingKafka *client);
extern void streaming_kafka_ask_end(StreamingKafka *client);

/* Any thread: guards what threads of a client share. */
extern void streaming_kafka_lock(StreamingKafka *client);
extern void streaming_kafka_unlock(StreamingKafka *client);

/* in kafka_pace.c */

/*
 * From now on, until false is said, what librdkafka asks of brokers leaves this
 * process only when send says so.  A call that waits for an answer ends that.
 */
extern void streaming_kafka_hold_requests(bool hold);
extern bool streaming_kafka_holds_requests(void);
extern void streaming_kafka_send_requests(void);

#endif							/* STREAMING_KAFKA_H */
