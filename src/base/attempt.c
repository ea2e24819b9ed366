/*
 * attempt.c
 *		Code whose errors the caller wants to know and to survive.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/attempt.h"

ErrorData *
streaming_attempt(void (*code) (void *arg), void *arg, MemoryContext error_context)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		code(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(error_context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Appends text, if there is any, and no more than size bytes of it. */
static void
append_part(StringInfo buf, const char *label, const char *text, int size)
{
	int			length = text ? strlen(text) : 0;

	if (length == 0)
		return;
	appendStringInfoString(buf, label);
	if (length <= size)
		appendStringInfoString(buf, text);
	else
	{
		appendBinaryStringInfo(buf, text, pg_mbcliplen(text, length, size));
		appendStringInfoString(buf, "...");
	}
}

char *
streaming_error_text(const ErrorData *error, int size)
{
	const int	labels = 60;	/* bytes of all labels and dots, or more */
	int			part = (size - labels) / 4;
	int			rest = size - labels;
	StringInfoData buf;

	rest -= error->detail ? Min(strlen(error->detail), part) : 0;
	rest -= error->hint ? Min(strlen(error->hint), part) : 0;
	rest -= error->context ? Min(strlen(error->context), part) : 0;
	initStringInfo(&buf);
	append_part(&buf, "", error->message ? error->message : "unknown error", rest);
	append_part(&buf, "\nDETAIL:  ", error->detail, part);
	append_part(&buf, "\nHINT:  ", error->hint, part);
	append_part(&buf, "\nCONTEXT:  ", error->context, part);
	return buf.data;
}
