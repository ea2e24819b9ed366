/*
 * closest_match.h
 *		What the user may have meant by a word that does not exist.
 */
#ifndef STREAMING_CLOSEST_MATCH_H
#define STREAMING_CLOSEST_MATCH_H

/* Of n candidates the most like name, or NULL. */
extern const char *streaming_closest_match(const char *name, const char *const *candidates,
										   int n);

#endif							/* STREAMING_CLOSEST_MATCH_H */
