/*
 * kafka_consume.c
 *	  The reference of the Kafka cases: how fast librdkafka alone can hand
 *	  over a topic, from its start to the end it has when we begin.
 *
 *	kafka_consume BROKERS TOPIC [output=FILE] [to=TOPIC] [property=value ...]
 *	kafka_consume version
 *
 * With "to", each message is produced into another topic as it is, and the last
 * moment is that when the broker has acknowledged all of them: how fast a
 * program can be that has nothing to do but pass messages on, and promises
 * nothing about crashes.
 *
 * Prints "messages N bytes N seconds S cpu_us_per_message U".  The seconds
 * run from the handle's creation (so they include connecting, as a view's
 * do) to the last message; the CPU is this process's, all threads, over the
 * same time.  A message is only counted: nothing looks into it.  With output
 * its payload goes to a new file, a line each, which is on disk at the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define BATCH			10000
#define SILENCE_MS		10000	/* give up after so long without a message */

static void
fatal(const char *what, const char *why)
{
	fprintf(stderr, "kafka_consume: %s: %s\n", what, why);
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		fatal(name, why);
}

/*
 * Assigns every partition that holds records, at its first one.  Returns the
 * number of records up to the present end of all of them.
 */
static int64_t
assign_all(rd_kafka_t *rk, const char *topic)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	rd_kafka_resp_err_t err;
	int64_t		expected = 0;

	err = rd_kafka_metadata(rk, 0, handle, &metadata, 10000);
	if (err)
		fatal(topic, rd_kafka_err2str(err));
	for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
	{
		int32_t		partition = metadata->topics[0].partitions[p].id;
		int64_t		low,
					high;

		err = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, 10000);
		if (err)
			fatal(topic, rd_kafka_err2str(err));
		if (high > low)
			rd_kafka_topic_partition_list_add(list, topic, partition)->offset = low;
		expected += high - low;
	}
	err = rd_kafka_assign(rk, list);
	if (err)
		fatal(topic, rd_kafka_err2str(err));
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
	return expected;
}

static rd_kafka_t *producer = NULL;
static rd_kafka_topic_t *target = NULL;

static void
open_target(const char *brokers, const char *topic)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		why[512];

	set(conf, "bootstrap.servers", brokers);
	set(conf, "queue.buffering.max.messages", "500000");
	set(conf, "queue.buffering.max.kbytes", "65536");
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (producer == NULL)
		fatal("producer", why);
	target = rd_kafka_topic_new(producer, topic, NULL);
}

static void
pass_on(const rd_kafka_message_t *message)
{
	while (rd_kafka_produce(target, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
							message->payload, message->len,
							message->key, message->key_len, NULL) != 0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fatal("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer, 5);
	}
}

int
main(int argc, char **argv)
{
	static rd_kafka_message_t *messages[BATCH];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	const char *to = NULL;
	char		why[512];
	FILE	   *output = NULL;
	int64_t		expected,
				count = 0,
				bytes = 0;
	double		begin,
				cpu,
				silent_since;

	if (argc == 2 && strcmp(argv[1], "version") == 0)
	{
		printf("%s\n", rd_kafka_version_str());
		return 0;
	}
	if (argc < 3)
		fatal("usage", "kafka_consume BROKERS TOPIC [output=FILE] [property=value ...]");
	set(conf, "bootstrap.servers", argv[1]);
	set(conf, "group.id", "kafka_consume");	/* required, though nothing is committed */
	set(conf, "enable.auto.commit", "false");
	/* at the default, 100,000, a full queue pauses fetching for a second */
	set(conf, "queued.min.messages", "1000000");
	set(conf, "check.crcs", "false");
	for (int i = 3; i < argc; i++)
	{
		char	   *value = strchr(argv[i], '=');

		if (value == NULL)
			fatal(argv[i], "not of the form property=value");
		*value++ = '\0';
		if (strcmp(argv[i], "output") == 0)
		{
			output = fopen(value, "w");
			if (output == NULL)
				fatal(value, "cannot be written");
			setvbuf(output, NULL, _IOFBF, 128 * 1024);
			continue;
		}
		if (strcmp(argv[i], "to") == 0)
			to = value;
		else
			set(conf, argv[i], value);
	}

	begin = now();
	cpu = cpu_seconds();
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (rk == NULL)
		fatal("consumer", why);
	rd_kafka_poll_set_consumer(rk);
	if (to)
		open_target(argv[1], to);
	expected = assign_all(rk, argv[2]);
	queue = rd_kafka_queue_get_consumer(rk);

	silent_since = now();
	while (count < expected)
	{
		ssize_t		n = rd_kafka_consume_batch_queue(queue, 1000, messages, BATCH);

		for (ssize_t i = 0; i < n; i++)
		{
			if (messages[i]->err == 0)
			{
				count++;
				bytes += (int64_t) messages[i]->len;
				if (output)
				{
					fwrite_unlocked(messages[i]->payload, messages[i]->len, 1, output);
					putc_unlocked('\n', output);
				}
				if (to)
					pass_on(messages[i]);
			}
			rd_kafka_message_destroy(messages[i]);
		}
		if (n > 0)
			silent_since = now();
		else if (now() - silent_since > SILENCE_MS / 1000.0)
			fatal(argv[2], "no message for ten seconds");
	}
	if (output && (fflush(output) != 0 || fsync(fileno(output)) != 0))
		fatal("output", "cannot be written");
	if (to && rd_kafka_flush(producer, 600000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fatal(to, "not all messages are acknowledged");
	cpu = cpu_seconds() - cpu;
	begin = now() - begin;
	printf("messages %" PRId64 " bytes %" PRId64 " seconds %.3f cpu_us_per_message %.3f\n",
		   count, bytes, begin, count > 0 ? cpu * 1e6 / (double) count : 0.0);

	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return 0;
}
