/*
 * orc_process.c
 *		Starts the program streaming_orc, listens to it, and ends it.
 *
 * Waits look at interrupts and at the postmaster once a while.  The process stays in the
 * server process's group, so that it gets the signals by which the postmaster ends all;
 * and the kernel ends it when the server process does not.
 */
#include "postgres.h"

#include "streaming.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/arrow_module.h"
#include "format/orc_process.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/pmsignal.h"
#include "utils/wait_event.h"

/* Longest wait without a look at interrupts. */
#define WAIT_INTERVAL	100		/* ms */

/*
 * Files that this process may read at once, with a program for each: a query can name any
 * number of scans, but must not take what processes and memory the machine has.
 */
#define MAX_PROCESSES	16

static int	nprocesses = 0;

extern char **environ;

static int	spawn(StreamingOrcProcess *process, int fd, int socket, int64 memory);
static bool wait_for(StreamingOrcProcess *process, short events);

static void
program_path(char *path)
{
	snprintf(path, MAXPGPATH, "%s/streaming_orc", pkglib_path);
}

bool
streaming_orc_is_installed(void)
{
	char		path[MAXPGPATH];

	program_path(path);
	return access(path, X_OK) == 0;
}

void
streaming_orc_start(StreamingOrcProcess *process, int fd, int64 memory)
{
	int			sockets[2];
	int			error;

	process->pid = 0;
	process->error = 0;
	if (nprocesses >= MAX_PROCESSES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a query cannot read more than %d ORC files at the same time", MAX_PROCESSES),
				 errhint("Read them in fewer scans, or copy them into a table first.")));
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start program \"%s\": %m", "streaming_orc")));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start program \"%s\": %m", "streaming_orc")));
	}
	error = spawn(process, fd, sockets[1], memory);
	close(sockets[1]);
	if (error != 0)
	{
		process->pid = 0;
		close(sockets[0]);
		ReleaseExternalFD();
		errno = error;
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start program \"%s\": %m", "streaming_orc")));
	}
	nprocesses++;
	process->socket = sockets[0];
	(void) fcntl(process->socket, F_SETFL, O_NONBLOCK);
}

/* Returns errno, or 0. */
static int
spawn(StreamingOrcProcess *process, int fd, int socket, int64 memory)
{
	char		path[MAXPGPATH];
	char		version[16];
	char		limit[32];
	char		parent[16];
	char	   *argv[] = {"streaming_orc", version, limit, parent, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t	none;
	sigset_t	all;
	int			error;

	program_path(path);
	snprintf(version, sizeof(version), "%d", STREAMING_ARROW_VERSION);
	snprintf(limit, sizeof(limit), INT64_FORMAT, memory);
	snprintf(parent, sizeof(parent), "%d", (int) getpid());
	sigemptyset(&none);
	sigfillset(&all);

	error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error != 0)
	{
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	if ((error = posix_spawn_file_actions_adddup2(&actions, fd, 0)) == 0 &&
		(error = posix_spawn_file_actions_adddup2(&actions, socket, 1)) == 0 &&
		(error = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)) == 0 &&
		(error = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
		(error = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
		(error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) == 0)
		error = posix_spawn(&process->pid, path, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

ssize_t
streaming_orc_read(StreamingOrcProcess *process, void *to, size_t size)
{
	size_t		done = 0;

	while (done < size)
	{
		ssize_t		n = recv(process->socket, (char *) to + done, size - done, 0);

		if (n > 0)
			done += n;
		else if (n == 0 || errno == ECONNRESET)
			break;
		else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
		{
			process->error = errno;
			return -1;
		}
		else if (!wait_for(process, POLLIN))
			return -1;
	}
	return done;
}

/* To a program that has ended, too: what it says last is for read. */
bool
streaming_orc_write(StreamingOrcProcess *process, const void *data, size_t size)
{
	size_t		done = 0;

	while (done < size)
	{
		ssize_t		n = send(process->socket, (const char *) data + done, size - done, MSG_NOSIGNAL);

		if (n >= 0)
			done += n;
		else if (errno == EPIPE || errno == ECONNRESET)
			break;
		else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
		{
			process->error = errno;
			return false;
		}
		else if (!wait_for(process, POLLOUT))
			return false;
	}
	return true;
}

/* False: somebody wants this process to do something else. */
static bool
wait_for(StreamingOrcProcess *process, short events)
{
	struct pollfd wanted = {.fd = process->socket, .events = events};
	int			n;

	do
	{
		if ((InterruptPending && (QueryCancelPending || ProcDiePending)) || !PostmasterIsAlive())
		{
			process->error = EINTR;
			return false;
		}
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		n = poll(&wanted, 1, WAIT_INTERVAL);
		pgstat_report_wait_end();
	} while (n == 0 || (n < 0 && errno == EINTR));
	return true;
}

const char *
streaming_orc_end(StreamingOrcProcess *process)
{
	int			status = 0;
	pid_t		waited;

	if (process->pid == 0)
		return NULL;
	/* It has said what it had to say: a signal of its own counts, this one does not. */
	close(process->socket);
	ReleaseExternalFD();
	waited = waitpid(process->pid, &status, WNOHANG);
	if (waited == 0)
	{
		(void) kill(process->pid, SIGKILL);
		do
			waited = waitpid(process->pid, &status, 0);
		while (waited < 0 && errno == EINTR);
		if (waited == process->pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			status = 0;
	}
	process->pid = 0;
	nprocesses--;
	return waited > 0 && WIFSIGNALED(status) ? pg_strsignal(WTERMSIG(status)) : NULL;
}
