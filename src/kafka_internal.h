/*
 * kafka_internal.h
 *		What kafka.c, clients, and kafka_handle.c, their handles, share.
 */
#ifndef STREAMING_KAFKA_INTERNAL_H
#define STREAMING_KAFKA_INTERNAL_H

#include <pthread.h>

#include "lib/ilist.h"

#include "kafka.h"

#define STREAMING_KAFKA_LINES	16	/* of the log, kept between two calls of serve */

typedef struct StreamingKafkaHandle StreamingKafkaHandle;

/*
 * A handle of librdkafka, of one client or of several.  handle->lock is taken before
 * that of a client.
 */
struct StreamingKafkaHandle
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
	}			lines[STREAMING_KAFKA_LINES];
	int			nlines;
};

struct StreamingKafka
{
	/* immutable once open */
	StreamingKafkaHandle *handle;
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

/* in kafka_handle.c */

/* What a handle would be made of, secrets included; palloc'd. */
extern char *streaming_kafka_describe(List *options, const StreamingKafkaSetting *settings);

/*
 * Makes a handle, with one user, who is to be a client or to drop it.  made_of: see
 * describe; NULL: it is to be one client's.  Errors: those of streaming_kafka_open.
 */
extern StreamingKafkaHandle *streaming_kafka_handle_open(rd_kafka_type_t type, List *options,
														 const StreamingKafkaSetting *settings,
														 const char *made_of);

/* One that is made of that and has no client of topic, with one user more; or NULL. */
extern StreamingKafkaHandle *streaming_kafka_handle_find(const char *made_of, const char *topic);

/* A user goes; the last one destroys it.  Any thread. */
extern void streaming_kafka_handle_drop(StreamingKafkaHandle *handle);

/* A client comes, and goes. */
extern void streaming_kafka_handle_add(StreamingKafkaHandle *handle, StreamingKafka *client);
extern void streaming_kafka_handle_remove(StreamingKafkaHandle *handle, StreamingKafka *client);

/* Puts stars in the place of what text has of a secret. */
extern void streaming_kafka_hide_secrets(const StreamingKafkaHandle *handle, char *text);

/* in kafka_pace.c: sockets of handles made of conf can be held back */
extern void streaming_kafka_watch_sockets(rd_kafka_conf_t *conf);

/* in kafka_abort.c */

/* From now on an abort of librdkafka's threads ends this process, not the server. */
extern void streaming_kafka_guard_abort(void);

/* A thread that is to be so guarded calls this when it begins. */
extern void streaming_kafka_guard_thread(void);

/* in kafka.c: librdkafka has told of an error */
extern void streaming_kafka_take_error(StreamingKafka *client, int error, const char *reason);

#endif							/* STREAMING_KAFKA_INTERNAL_H */
