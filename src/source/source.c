/*
 * source.c
 *		Sources by their kind.
 */
#include "postgres.h"

#include "streaming.h"

#include "source/source.h"

/*
 * Opens the source of a stream as StreamingSourceRoutine.open says.  Pushed
 * streams have none: their rows are read from their buffer.
 */
StreamingSource *
streaming_source_open(StreamingStream *stream, StreamingReadMode mode)
{
	const StreamingSourceRoutine *routine = NULL;
	StreamingSource *source;

	switch (stream->kind)
	{
		case STREAMING_SOURCE_KAFKA:
			routine = streaming_stream_is_pattern(stream) ? &streaming_source_topics :
				&streaming_source_kafka;
			break;
		case STREAMING_SOURCE_DIRECTORY:
			routine = &streaming_source_directory;
			break;
		case STREAMING_SOURCE_PUSH:
			break;
	}
	if (routine == NULL)
		elog(ERROR, "stream %s has no source to read", stream->name);

	source = routine->open(stream, mode);
	source->routine = routine;
	source->stream = stream;
	return source;
}

void
streaming_source_close(StreamingSource *source)
{
	source->routine->close(source);
}
