/*
 * clean_text.h
 *		What others have said, made fit for messages, views and the log.
 */
#ifndef STREAMING_CLEAN_TEXT_H
#define STREAMING_CLEAN_TEXT_H

/*
 * Puts a question mark for each byte of text that is no character of the database's
 * encoding, or a control character.  Whatever comes from outside passes here before
 * it is shown.
 */
extern void streaming_clean_text(char *text);

/* Ditto of length bytes, up to a zero and no more than limit; palloc'd. */
extern char *streaming_clean_copy(const char *text, size_t length, size_t limit);

#endif							/* STREAMING_CLEAN_TEXT_H */
