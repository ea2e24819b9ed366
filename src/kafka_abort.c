/*
 * kafka_abort.c
 *		Keeps the server up when librdkafka gives up.
 *
 * librdkafka asserts what it takes for granted, or reads a string that is NULL, and
 * for some of that it trusts the brokers (doc/security.md).  A thread of it that
 * does so would end the process by a signal, upon which the postmaster restarts the
 * whole server.  So the thread stops where it is, and the process is told to terminate,
 * which its own thread does in the ordinary way.
 *
 *		librdkafka's thread		signal ──▶ handler ──▶ SIGTERM, then sleeps
 *		our thread				                       FATAL ──▶ proc_exit
 *
 * Should that take longer than GRACE, since our thread waits for a lock that the
 * other one has, the signal takes its course.  So it does at once wherever memory may
 * be damaged: the C library has found it so, or the address that was read or written is
 * not that of a NULL; and where it is our own thread's: PostgreSQL's assertions mean
 * what they say.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "storage/ipc.h"

#include "streaming.h"

#include "base/clean_text.h"
#include "kafka_internal.h"

#define GRACE	10				/* s */
#define NULL_PAGE	4096		/* an address below is NULL, or a field of it */

/* What glibc keeps of the message of abort(), for debuggers. */
typedef struct AbortMessage
{
	unsigned int size;
	char		text[FLEXIBLE_ARRAY_MEMBER];
} AbortMessage;

static pid_t guarded = 0;		/* the process that has the handler */
static pthread_t own_thread;
static AbortMessage **message = NULL;
static volatile sig_atomic_t aborted = false;
static char aborted_text[STREAMING_KAFKA_TEXT];

static void signal_handler(int signal_number, siginfo_t *info, void *context);
static bool is_harmless(int signal_number, const siginfo_t *info);
static void report_abort(int code, Datum argument);

void
streaming_kafka_guard_abort(void)
{
	struct sigaction action;

	if (guarded == MyProcPid)
		return;
	guarded = MyProcPid;
	own_thread = pthread_self();
	message = dlsym(RTLD_DEFAULT, "__abort_msg");
	if (message == NULL)
		return;					/* another C library: why it aborts is not known */
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = signal_handler;
	action.sa_flags = SA_SIGINFO;
	sigemptyset(&action.sa_mask);
	(void) sigaction(SIGABRT, &action, NULL);
	(void) sigaction(SIGSEGV, &action, NULL);
	before_shmem_exit(report_abort, (Datum) 0);
}

/*
 * All signals are blocked in threads of librdkafka, which then die of these without a
 * handler; abort() unblocks its own, but not that of glibc 2.41 and later.
 */
void
streaming_kafka_guard_thread(void)
{
	sigset_t	set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGABRT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool
streaming_kafka_has_aborted(void)
{
	return aborted;
}

/* Any thread; calls only what a handler may. */
static void
signal_handler(int signal_number, siginfo_t *info, void *context)
{
	if (getpid() == guarded && !pthread_equal(pthread_self(), own_thread) &&
		is_harmless(signal_number, info))
	{
		if (!aborted)
			strlcpy(aborted_text, signal_number == SIGSEGV ? "It has read from NULL." :
					*message ? (*message)->text : "", sizeof(aborted_text));
		aborted = true;
		(void) kill(guarded, SIGTERM);
		for (int left = GRACE; left > 0; left--)
			(void) sleep(1);
	}
	(void) signal(signal_number, SIG_DFL);
	(void) raise(signal_number);	/* when the handler has returned */
}

/* Has nothing been written yet that should not have been? */
static bool
is_harmless(int signal_number, const siginfo_t *info)
{
	if (signal_number == SIGSEGV)
		return info->si_code == SEGV_MAPERR && (uintptr_t) info->si_addr < NULL_PAGE;
	/* somebody wants the process to end */
	if (info->si_code != SI_TKILL)
		return false;
	/* librdkafka's own crash has no message; damaged memory has another one */
	return *message == NULL || strstr((*message)->text, "Assertion `") != NULL;
}

static void
report_abort(int code, Datum argument)
{
	if (!aborted)
		return;
	aborted_text[strcspn(aborted_text, "\n")] = '\0';
	streaming_clean_text(aborted_text);
	ereport(LOG,
			(errmsg("librdkafka %s has aborted", rd_kafka_version_str()),
			 aborted_text[0] ? errdetail_internal("%s", aborted_text) : 0,
			 errhint("A broker, or what pretends to be one, has sent what librdkafka does not expect. Check the option \"bootstrap_servers\" of the server.")));
}
