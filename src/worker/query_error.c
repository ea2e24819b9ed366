/*
 * query_error.c
 *		What a query worker says of a batch that has failed, and when it is tried again: see
 *		query_worker.c.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "streaming.h"
#include "base/attempt.h"
#include "worker/query_run.h"

#define RETRY_MIN			100		/* ms */
#define RELOG_INTERVAL		600000	/* ms after which an error is logged again */

static void
log_error(ErrorData *error)
{
	PG_TRY();
	{
		ReThrowError(error);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
}

/*
 * What is outermost is for the log: error_context's line, for who sees the view's
 * error knows the view, and the statement of ours that was run for it.
 */
static void
cut_own_context(ErrorData *error)
{
	static const char statement[] = "SQL statement \"";
	char	   *own = error->context ? strrchr(error->context, '\n') : NULL;
	char	   *last = NULL;

	if (own == NULL)
	{
		error->context = NULL;
		return;
	}
	*own = '\0';
	for (char *line = error->context; line; line = strchr(line, '\n'))
	{
		line += (*line == '\n');
		if (strncmp(line, statement, sizeof(statement) - 1) == 0)
			last = line;
	}
	if (last && own[-1] == '"')
		*last = '\0';
	own = error->context + strlen(error->context);
	if (own > error->context && own[-1] == '\n')
		own[-1] = '\0';
}

/*
 * The query cannot be kept, or names what does not exist.  Missing rights are
 * not among them: a GRANT cures that, and nobody tells us of it.
 */
static bool
is_incurable(int sqlerrcode)
{
	switch (sqlerrcode)
	{
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_SYNTAX_ERROR:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_WRONG_OBJECT_TYPE:
		case ERRCODE_DATATYPE_MISMATCH:
			return true;
		default:
			return false;
	}
}

/* An error is logged when it is another one than before, or time has passed. */
static bool
log_is_due(StreamingRun *run, const char *message)
{
	StreamingTime now = streaming_now();

	if (run->logged && strcmp(run->logged, message) == 0 &&
		!streaming_time_passed(run->logged_at, now, RELOG_INTERVAL))
		return false;
	if (run->logged)
		pfree(run->logged);
	run->logged = MemoryContextStrdup(TopMemoryContext, message);
	run->logged_at = now;
	return true;
}

int
streaming_retry_delay(int failures)
{
	return Min(RETRY_MIN << Min(Max(failures - 1, 0), 14), streaming_retry_max);
}

static void
show_error(StreamingRun *run, StreamingViewStatus status, const char *message, int delay)
{
	run->retry_at = streaming_time_plus(streaming_now(), Min(delay, streaming_retry_max));
	streaming_view_slot_error(run->index, status, message);
}

void
streaming_run_failed(StreamingRun *run, ErrorData *error)
{
	ErrorData	whole = *error;
	bool		failed = is_incurable(error->sqlerrcode);
	int			delay = streaming_retry_delay(run->failures);
	char	   *message;

	if (failed && error->hint == NULL)
		error->hint = psprintf("When that is mended, the view goes on within %d s (streaming.retry_max), or at once if streaming.drain() is called.",
							   (streaming_retry_max + 999) / 1000);
	if (error->context)
		error->context = pstrdup(error->context);
	cut_own_context(error);
	message = streaming_error_text(error, STREAMING_ERROR_LENGTH);
	if (log_is_due(run, message))
		log_error(&whole);
	if (failed)
		delay = streaming_retry_max;
	else if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		delay = Max(delay, streaming_lock_timeout);
	show_error(run, failed ? STREAMING_VIEW_FAILED : STREAMING_VIEW_RETRYING, message, delay);
}

void
streaming_run_timed_out(StreamingRun *run)
{
	char	   *message = psprintf("a batch took longer than streaming.batch_timeout (%d ms) and was canceled",
								   streaming_batch_timeout);
	const char *hint = "Increase streaming.batch_timeout, or limit what a batch takes in by the view's option streaming.max_rows_per_trigger; a function that never returns must be mended.";

	if (log_is_due(run, message))
		ereport(LOG,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("continuous view %s: %s", run->name, message),
				 errhint("%s", hint)));
	show_error(run, STREAMING_VIEW_RETRYING, psprintf("%s\nHINT:  %s", message, hint),
			   streaming_retry_delay(run->failures));
}
