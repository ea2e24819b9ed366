/*
 * ingest_streams.c
 *		Which ingest worker reads a stream.
 *
 * The coordinator, which starts the workers, and the workers find it out each for
 * themselves, from the catalogs and from alone_until, and not at the same moment.  So a
 * worker takes up no stream that another one has (streaming_ingest_take).
 */
#include "postgres.h"

#include "streaming.h"

#include "foreign/fdwapi.h"

#include "catalog/view.h"
#include "shared/slots.h"
#include "worker/ingest.h"

#define ALONE_TIME		60000	/* ms that a stream has a worker of its own, at least, or has
								 * none, as there is no room for one */

Oid
streaming_ingest_server(Oid stream, StreamingTime *until)
{
	StreamingStreamShared *shared;
	StreamingSourceKind kind;
	StreamingTime alone_until = 0;

	if (!streaming_is_stream(stream, &kind) || kind != STREAMING_SOURCE_KAFKA)
		return InvalidOid;
	shared = streaming_stream_lookup(stream);
	if (shared)
		alone_until = pg_atomic_read_u64(&shared->alone_until);
	if (alone_until <= streaming_now())
		return GetForeignServerIdByRelId(stream);
	*until = Min(*until, alone_until);
	return InvalidOid;
}

List *
streaming_ingest_streams(Oid server, Oid owner, StreamingTime *until)
{
	List	   *streams = NIL;
	ListCell   *lc;

	foreach(lc, streaming_catalog_views())
	{
		StreamingView *view = lfirst(lc);
		ListCell   *ls;

		if (!view->enabled)
			continue;
		foreach(ls, streaming_catalog_streams_of_view(view->view))
		{
			Oid			stream = lfirst_oid(ls);

			if (!list_member_oid(streams, stream) &&
				streaming_relation_owner(stream, true) == owner &&
				streaming_ingest_server(stream, until) == server)
				streams = lappend_oid(streams, stream);
		}
	}
	return streams;
}

bool
streaming_ingest_separate(StreamingStreamShared *shared)
{
	if (pg_atomic_read_u64(&shared->together_until) > streaming_now())
		return false;
	/* so that a next failure puts it off */
	pg_atomic_write_u64(&shared->alone_until,
						streaming_time_plus(streaming_now(),
											(int64) ALONE_TIME + streaming_retry_max));
	return true;
}

bool
streaming_ingest_rejoin(Oid stream)
{
	StreamingStreamShared *shared = streaming_stream_lookup(stream);

	if (shared == NULL || pg_atomic_exchange_u64(&shared->alone_until, 0) == 0)
		return false;
	pg_atomic_write_u64(&shared->together_until,
						streaming_time_plus(streaming_now(), ALONE_TIME));
	return true;
}
