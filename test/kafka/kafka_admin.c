/*
 * kafka_admin.c
 *	  What tests ask of a Kafka broker and kcat cannot do.
 *
 *	  kafka_admin BROKER create TOPIC PARTITIONS [NAME=VALUE ...]
 *	  kafka_admin BROKER grow TOPIC PARTITIONS		partitions it has after that
 *	  kafka_admin BROKER delete TOPIC
 *	  kafka_admin BROKER trim TOPIC PARTITION OFFSET	records before OFFSET are gone
 *	  kafka_admin BROKER committed TOPIC PARTITION GROUP	prints the group's offset
 *
 * Kafka's own tools can, but each call of them starts a Java machine, which
 * takes longer than most tests.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000

static char error[512];

static void
fail(const char *what)
{
	fprintf(stderr, "kafka_admin: %s\n", what);
	exit(1);
}

/* Waits for the broker's answer and ends the program where it is an error. */
static void
wait_for_answer(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	const rd_kafka_topic_result_t **topics = NULL;
	size_t		n = 0;

	if (event == NULL)
		fail("no answer");
	if (rd_kafka_event_error(event))
		fail(rd_kafka_event_error_string(event));
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
		topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT)
		topics = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &n);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
		topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
	else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETERECORDS_RESULT)
	{
		const rd_kafka_topic_partition_list_t *list =
			rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));

		if (list->elems[0].err)
			fail(rd_kafka_err2str(list->elems[0].err));
	}
	for (size_t i = 0; i < n; i++)
		if (rd_kafka_topic_result_error(topics[i]))
			fail(rd_kafka_topic_result_error_string(topics[i]));
	rd_kafka_event_destroy(event);
}

/* -1001: it has none. */
static void
print_committed(rd_kafka_t *client, const char *topic, int partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t failure;

	rd_kafka_topic_partition_list_add(list, topic, partition);
	failure = rd_kafka_committed(client, list, TIMEOUT_MS);
	if (failure || list->elems[0].err)
		fail(rd_kafka_err2str(failure ? failure : list->elems[0].err));
	printf("%lld\n", (long long) list->elems[0].offset);
	rd_kafka_topic_partition_list_destroy(list);
}

int
main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	const char *verb;
	char	   *topic;
	int			committed;

	if (argc < 4)
		fail("usage: kafka_admin BROKER create|grow|delete|trim|committed TOPIC ...");
	verb = argv[2];
	topic = argv[3];
	if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], error, sizeof(error)))
		fail(error);
	committed = strcmp(verb, "committed") == 0 && argc == 6;
	if (committed && rd_kafka_conf_set(conf, "group.id", argv[5], error, sizeof(error)))
		fail(error);
	if ((client = rd_kafka_new(committed ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, error, sizeof(error))) == NULL)
		fail(error);
	if (committed)
	{
		print_committed(client, topic, atoi(argv[4]));
		rd_kafka_destroy(client);
		return 0;
	}
	queue = rd_kafka_queue_new(client);

	if (strcmp(verb, "create") == 0 && argc >= 5)
	{
		rd_kafka_NewTopic_t *new = rd_kafka_NewTopic_new(topic, atoi(argv[4]), 1, error, sizeof(error));

		if (new == NULL)
			fail(error);
		for (int i = 5; i < argc; i++)
		{
			char	   *value = strchr(argv[i], '=');

			if (value == NULL)
				fail("a setting is written NAME=VALUE");
			*value++ = '\0';
			rd_kafka_NewTopic_set_config(new, argv[i], value);
		}
		rd_kafka_CreateTopics(client, &new, 1, NULL, queue);
	}
	else if (strcmp(verb, "grow") == 0 && argc == 5)
	{
		rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(topic, atoi(argv[4]), error, sizeof(error));

		if (more == NULL)
			fail(error);
		rd_kafka_CreatePartitions(client, &more, 1, NULL, queue);
	}
	else if (strcmp(verb, "delete") == 0 && argc == 4)
	{
		rd_kafka_DeleteTopic_t *old = rd_kafka_DeleteTopic_new(topic);

		rd_kafka_DeleteTopics(client, &old, 1, NULL, queue);
	}
	else if (strcmp(verb, "trim") == 0 && argc == 6)
	{
		rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_DeleteRecords_t *before;

		rd_kafka_topic_partition_list_add(list, topic, atoi(argv[4]))->offset = atoll(argv[5]);
		before = rd_kafka_DeleteRecords_new(list);
		rd_kafka_DeleteRecords(client, &before, 1, NULL, queue);
	}
	else
		fail("usage: kafka_admin BROKER create|grow|delete|trim|committed TOPIC ...");

	wait_for_answer(queue);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(client);
	return 0;
}
