/*
 * orc_protocol.h
 *		What a server process and the program streaming_orc say to each other.
 *
 * The program has the file as its standard input, and a socket as its standard output:
 *
 *		program		frame: the schema, as an Arrow IPC message
 *		server		StreamingOrcRequest, and the numbers of its fields (int32)
 *		program		frame: how many rows have been passed over (int64)
 *		program		a frame each: rows, as an Arrow IPC message
 *		program		frame: END, DAMAGE or TROUBLE in place of any of these, and it ends
 *
 * Both are of one machine and one build, so numbers are as they are in memory.
 */
#ifndef STREAMING_ORC_PROTOCOL_H
#define STREAMING_ORC_PROTOCOL_H

#include <stdint.h>

typedef enum StreamingOrcKind
{
	STREAMING_ORC_DATA,
	STREAMING_ORC_END,			/* there are no more rows */
	STREAMING_ORC_DAMAGE,		/* with a text that says why */
	STREAMING_ORC_TROUBLE		/* the file could not be read */
} StreamingOrcKind;

typedef struct StreamingOrcFrame
{
	int32_t		kind;
	int32_t		unused;
	int64_t		length;			/* bytes behind it */
} StreamingOrcFrame;

typedef struct StreamingOrcRequest
{
	int64_t		skip;
	int64_t		nfields;
} StreamingOrcRequest;

/* Of a frame that holds no rows. */
#define STREAMING_ORC_MAX_TEXT	500

#endif							/* STREAMING_ORC_PROTOCOL_H */
