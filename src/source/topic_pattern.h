/*
 * topic_pattern.h
 *		Topics that are named by a regular expression.
 */
#ifndef STREAMING_TOPIC_PATTERN_H
#define STREAMING_TOPIC_PATTERN_H

/*
 * Can pattern be the option "topic" of a stream?  Errors:
 * ERRCODE_INVALID_REGULAR_EXPRESSION, ERRCODE_FEATURE_NOT_SUPPORTED,
 * ERRCODE_PROGRAM_LIMIT_EXCEEDED.
 */
extern void streaming_topic_pattern_check(const char *pattern);

/* Serves interrupts.  Kafka's own topics match only where pattern begins with ^__. */
extern bool streaming_topic_pattern_matches(const char *pattern, const char *topic);

#endif							/* STREAMING_TOPIC_PATTERN_H */
