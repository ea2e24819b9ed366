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

/* Ditto of a copy of no more than limit bytes; palloc'd. */
extern char *streaming_clean_copy(const char *text, size_t limit);

#endif							/* STREAMING_CLEAN_TEXT_H */
