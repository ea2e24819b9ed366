/*
 * kafka_pace.c
 *		When librdkafka's requests leave this process.
 *
 * librdkafka asks a broker for more as soon as it has its answer, and the broker
 * answers as soon as it has one record.  Where records trickle in, each so costs a
 * request, an answer, and wake-ups of threads on both sides.  A setting that has the
 * broker wait for more (fetch.min.bytes, fetch.wait.max.ms) would be paid for by
 * streams that are idle, which would be asked for all the time.
 *
 * So a process that takes records at a pace of its own lets the kernel keep what
 * librdkafka sends (TCP_CORK), and sends it on when it wants more.  What is forgotten
 * leaves after 200 ms: the kernel keeps nothing for longer.  Where there is no such
 * option nothing is held back.
 *
 * A connection is one of a handle, and what else goes that way waits, too: so who asks
 * something and waits for the answer (streaming_kafka_call) ends the holding back.
 *
 * Sockets come and go in librdkafka's threads, and a number may be that of another
 * file right after its close: they are used and closed under the lock.
 */
#include "postgres.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kafka_internal.h"

typedef struct Socket
{
	int			fd;
	bool		corked;
} Socket;

/* Of all handles of the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Socket *sockets = NULL;	/* malloc'ed */
static int	nsockets = 0;
static int	allocated = 0;

static bool held = false;		/* the backend's thread only */

/* Without memory it is not held back. */
static void
add_socket(int fd)
{
	pthread_mutex_lock(&lock);
	if (nsockets == allocated)
	{
		int			n = Max(allocated * 2, 16);
		Socket	   *grown = realloc(sockets, sizeof(Socket) * n);

		if (grown)
		{
			sockets = grown;
			allocated = n;
		}
	}
	if (nsockets < allocated)
		sockets[nsockets++] = (Socket) {.fd = fd};
	pthread_mutex_unlock(&lock);
}

/* Called by librdkafka in its threads. */
static int
open_socket(int domain, int type, int protocol, void *opaque)
{
	int			fd;

#ifdef SOCK_CLOEXEC
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
#else
	fd = socket(domain, type, protocol);
	if (fd >= 0)
		(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
	if (fd >= 0)
		add_socket(fd);
	return fd;
}

static int
close_socket(int fd, void *opaque)
{
	int			result;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < nsockets; i++)
	{
		if (sockets[i].fd == fd)
		{
			sockets[i] = sockets[--nsockets];
			break;
		}
	}
	result = close(fd);
	pthread_mutex_unlock(&lock);
	return result;
}

void
streaming_kafka_watch_sockets(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_socket_cb(conf, open_socket);
	rd_kafka_conf_set_closesocket_cb(conf, close_socket);
}

#ifdef TCP_CORK
static void
set_option(int fd, int option, int value)
{
	(void) setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

static void
cork(Socket *s, bool corked)
{
	if (s->corked != corked)
		set_option(s->fd, TCP_CORK, corked);
	s->corked = corked;
}
#endif

void
streaming_kafka_hold_requests(bool hold)
{
	if (held == hold)
		return;
#ifdef TCP_CORK
	pthread_mutex_lock(&lock);
	held = hold && nsockets > 0;
	for (int i = 0; i < nsockets; i++)
		cork(&sockets[i], hold);
	pthread_mutex_unlock(&lock);
#endif
}

bool
streaming_kafka_holds_requests(void)
{
	return held;
}

void
streaming_kafka_send_requests(void)
{
	if (!held)
		return;
#ifdef TCP_CORK
	pthread_mutex_lock(&lock);
	for (int i = 0; i < nsockets; i++)
	{
		cork(&sockets[i], true);	/* it may be a new one */
		/* sends what there is, and leaves the socket corked */
		set_option(sockets[i].fd, TCP_NODELAY, 1);
	}
	pthread_mutex_unlock(&lock);
#endif
}
