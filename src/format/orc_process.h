/*
 * orc_process.h
 *		The program streaming_orc, which reads one ORC file in a process of its own.
 *
 * arrow/streaming_orc.cc tells why, arrow/orc_protocol.h what is said.
 */
#ifndef STREAMING_ORC_PROCESS_H
#define STREAMING_ORC_PROCESS_H

#include <sys/types.h>

typedef struct StreamingOrcProcess
{
	pid_t		pid;			/* 0: there is none */
	int			socket;
	int			error;			/* errno of what has failed */
} StreamingOrcProcess;

/* Is the program installed? */
extern bool streaming_orc_is_installed(void);

/* Starts it on an open file.  Errors: SYSTEM_ERROR, INSUFFICIENT_RESOURCES. */
extern void streaming_orc_start(StreamingOrcProcess *process, int fd, int64 memory);

/*
 * All bytes that are asked for, or fewer: it has ended; -1: error is set, EINTR for the
 * server's interrupts.  May not ereport, since C++ is above them.
 */
extern ssize_t streaming_orc_read(StreamingOrcProcess *process, void *to, size_t size);
extern bool streaming_orc_write(StreamingOrcProcess *process, const void *data, size_t size);

/* Ends it; what it ended by itself before, as pg_strsignal or NULL.  Never ereports. */
extern const char *streaming_orc_end(StreamingOrcProcess *process);

#endif							/* STREAMING_ORC_PROCESS_H */
