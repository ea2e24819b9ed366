/*
 * attempt.h
 *		Code whose errors the caller wants to know and to survive.
 */
#ifndef STREAMING_ATTEMPT_H
#define STREAMING_ATTEMPT_H

/*
 * Runs code(arg) in a subtransaction.  NULL: it is part of the transaction now;
 * otherwise the error that has rolled it back, in a memory context of the
 * caller's.  A query that is cancelled is an error like any other.
 */
extern ErrorData *streaming_attempt(void (*code) (void *arg), void *arg,
									MemoryContext error_context);

/*
 * What error says, for people: message, detail, hint and context, cut short so
 * that all of it has fewer than size bytes.
 */
extern char *streaming_error_text(const ErrorData *error, int size);

#endif							/* STREAMING_ATTEMPT_H */
