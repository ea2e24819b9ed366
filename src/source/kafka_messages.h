/*
 * kafka_messages.h
 *		Messages that a poll of a Kafka source has got, and the records that they are.
 */
#ifndef STREAMING_KAFKA_MESSAGES_H
#define STREAMING_KAFKA_MESSAGES_H

#include "format/record.h"
#include "kafka.h"

/*
 * Part of what the thread that closes the client gives back, so in malloc'ed memory.  Zero
 * before open.
 */
typedef struct StreamingKafkaMessages
{
	rd_kafka_queue_t *queue;	/* of all partitions */
	rd_kafka_message_t **messages;	/* of the last poll */
	int			n;
	int			allocated;
} StreamingKafkaMessages;

extern void streaming_kafka_messages_open(StreamingKafkaMessages *messages, StreamingKafka *client);

/* Another poll, of at most max, begins: those of the last one are given back. */
extern void streaming_kafka_messages_begin(StreamingKafkaMessages *messages, int max);

/* Takes what has come; how many. */
extern int	streaming_kafka_messages_take(StreamingKafkaMessages *messages, int max);

/* Gives the messages of the last poll back; any thread.  So does close. */
extern void streaming_kafka_messages_release(StreamingKafkaMessages *messages);
extern void streaming_kafka_messages_close(StreamingKafkaMessages *messages);

pg_noreturn extern void streaming_kafka_fail_bad_offset(const rd_kafka_message_t *message,
														const char *topic, int64 expected);

/*
 * Can message be the next one of its partition?  next: the offset to come; -1: the
 * earliest.  To take it otherwise would be to lose our place: an error, nothing of the
 * poll is taken.
 */
static inline void
streaming_kafka_check_offset(const rd_kafka_message_t *message, const char *topic, int64 next)
{
	if (unlikely(message->offset < Max(next, 0) || message->offset == PG_INT64_MAX))
		streaming_kafka_fail_bad_offset(message, topic, next);
}

/*
 * A JSON object: values that are UTF-8 become strings, null stays null, other bytes are
 * written like bytea, \x and hexadecimal digits; a name that comes more than once holds an
 * array of its values in order.  NULL: there are none.
 */
extern char *streaming_kafka_headers_json(const StreamingRecord *record);

/* Fills record with a message: fields that it does not have are zero. */
static inline void
streaming_kafka_record(rd_kafka_message_t *message, int32 partition, const char *path,
					   StreamingRecord *record)
{
	rd_kafka_timestamp_type_t type;
	size_t		length = message->payload ? message->len : 0;
	bool		padded = false;

	/*
	 * A page that holds the last byte of the payload can be read to its end,
	 * whatever is there.
	 */
#ifndef __SANITIZE_ADDRESS__
	padded = length > 0 &&
		(((uintptr_t) message->payload + length - 1) & 4095) < 4096 - STREAMING_RECORD_PADDING;
#endif
	*record = (StreamingRecord) {
		.partition = partition,
		.offset = message->offset,
		.payload = message->payload,
		.length = length,
		.padded = padded,
		.key = message->key,
		.key_length = message->key ? message->key_len : 0,
		.timestamp_ms = rd_kafka_message_timestamp(message, &type),
		.path = path,
		.headers = message,
		.headers_json = streaming_kafka_headers_json,
	};
}

#endif							/* STREAMING_KAFKA_MESSAGES_H */
