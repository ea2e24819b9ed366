/*
 * kafka_group.c
 *		Option group_id: how far the slowest view is becomes the offsets of that group, for
 *		those who watch it.
 */
#include "postgres.h"

#include "streaming.h"

#include "base/clock.h"
#include "source/kafka_group.h"

/* ms between offsets that a group is told, at least */
#define COMMIT_INTERVAL	1000

/* In streaming_kafka_serve. */
static void
take_commit(rd_kafka_t *rk, rd_kafka_resp_err_t error,
			rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
	StreamingKafkaCommit *commit = opaque;

	for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < offsets->cnt; i++)
		error = offsets->elems[i].err;
	commit->pending = false;
	strlcpy(commit->error, error == RD_KAFKA_RESP_ERR_NO_ERROR ? "" : rd_kafka_err2str(error),
			STREAMING_KAFKA_TEXT);
}

StreamingRelease
streaming_kafka_group_release(StreamingKafkaGroup *group, StreamingKafka *client,
							  StreamingSource *source, const StreamingPositions *needed,
							  StreamingKafkaPlaceOf place_of, MemoryContext context)
{
	StreamingKafkaCommit *commit = group->commit;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_queue_t *queue;
	MemoryContext old;

	if (source->stream->group_id == NULL)
		return STREAMING_RELEASE_NEVER;
	streaming_kafka_serve(client);
	if (commit->pending || streaming_now() < group->next_at)
		return STREAMING_RELEASE_LATER;

	list = rd_kafka_topic_partition_list_new(needed->n);
	for (int i = 0; i < needed->n; i++)
	{
		const StreamingPosition *p = &needed->pos[i];
		int32		partition;
		const char *topic = place_of(source, p->partition, &partition);

		if (topic && p->offset > 0 &&
			(commit->error[0] || group->told.pos == NULL ||
			 streaming_positions_get(&group->told, p->partition) != p->offset))
			rd_kafka_topic_partition_list_add(list, topic, partition)->offset = p->offset;
	}
	if (list->cnt == 0)
	{
		rd_kafka_topic_partition_list_destroy(list);
		return STREAMING_RELEASE_DONE;
	}
	commit->pending = true;
	queue = rd_kafka_queue_get_main(streaming_kafka_handle(client));
	if (rd_kafka_commit_queue(streaming_kafka_handle(client), list, queue, take_commit,
							  commit) != RD_KAFKA_RESP_ERR_NO_ERROR)
		commit->pending = false;
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_partition_list_destroy(list);

	old = MemoryContextSwitchTo(context);
	if (group->told.pos != NULL)
		pfree(group->told.pos);
	streaming_positions_copy(&group->told, needed);
	MemoryContextSwitchTo(old);
	group->next_at = streaming_time_plus(streaming_now(), COMMIT_INTERVAL);
	return STREAMING_RELEASE_LATER; /* for the answer */
}

const char *
streaming_kafka_group_trouble(StreamingKafkaGroup *group, const StreamingStream *stream)
{
	if (group->commit->error[0] == '\0')
		return NULL;
	snprintf(group->trouble, sizeof(group->trouble), "could not set the offsets of group \"%s\": %s",
			 stream->group_id, group->commit->error);
	return group->trouble;
}
