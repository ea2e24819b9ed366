/*
 * latency.c
 *	  How long a row takes from its source to the reader of a continuous view.
 *
 *	latency kafka  -c CONNINFO -v VIEW -t TOPIC -b BROKERS [options]
 *	latency insert -c CONNINFO -v VIEW -t TABLE [options]
 *	latency update -c CONNINFO -v VIEW -t TABLE [options]
 *	latency bare   -t TOPIC -b BROKERS [options]
 *	options: -r ROWS_PER_SECOND -d SECONDS -w WARM_UP_SECONDS -g GROUPS
 *			 -l LANES -i POLL_INTERVAL_US
 *
 * Row i is (key = i % GROUPS, seq = i); the view must have the columns key
 * and seq, with seq = max(seq) of its key.  Rows travel in LANES: lane l
 * carries the rows i % LANES = l, in order, to partition l of the topic, or
 * through a session of its own that commits each row.  "update" sets the seq of
 * the row of its key, of which the table has one.  GROUPS is a multiple
 * of LANES, so a key belongs to one lane.
 *
 * One more session polls the view, by key, for the oldest rows that it has
 * not yet seen.  A view shows a prefix of each lane, so a row that is seen
 * stamps its predecessors too: every row is measured, not a sample.  What is
 * reported is too long by up to one poll, never too short.
 *
 * "bare" has no view: a consumer of the same topic, which must be new, stamps the
 * rows as librdkafka hands them out.  It is what the broker and the client take.
 *
 * The clock of a row starts at the call of rd_kafka_produce, or when its
 * COMMIT has returned ("ms"; "sent_ms" starts before the INSERT is sent).
 *
 * The dialogue lets the caller account for CPU: we print "ready POLLER_PID
 * SENDER_PID ..." (backends), wait for a line, run, print "rows N rate R
 * polls N ms P50 P99 MAX sent_ms P50 P99 MAX", and wait for end of file.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>

#define MAX_LANES		16
#define ASK_PER_LANE	8		/* rows of one lane asked for in one poll */
#define SETTLE_SECONDS	10		/* for the last rows to become visible */

typedef struct Row
{
	double		sent;			/* before it left us */
	double		committed;		/* when it was known to be in the source */
	double		visible;		/* when the poller saw it; 0 until then */
} Row;

typedef struct Lane
{
	pthread_t	thread;
	int			number;
	PGconn	   *conn;			/* NULL for Kafka */
	atomic_long sent;			/* rows of this lane the poller may look for */
	long		seen;			/* how many of them it has seen */
} Lane;

/* Set before the threads start, except that a row's fields have one writer. */
static const char *target = NULL;
static double rate = 1000;
static double start_time;
static long total;
static long groups = 100;
static int	num_lanes = 4;
static Row *rows;
static Lane lanes[MAX_LANES];
static rd_kafka_topic_t *topic = NULL;


static void
fatal(const char *what, const char *why)
{
	fprintf(stderr, "latency: %s: %s\n", what, why);
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static void
sleep_until(double when)
{
	struct timespec ts;

	ts.tv_sec = (time_t) when;
	ts.tv_nsec = (long) ((when - (double) ts.tv_sec) * 1e9);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static PGconn *
connect_to(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
		fatal("connection", PQerrorMessage(conn));
	return conn;
}

static void
prepare(PGconn *conn, const char *query)
{
	PGresult   *result = PQprepare(conn, "q", query, 0, NULL);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fatal(query, PQerrorMessage(conn));
	PQclear(result);
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		fatal(name, why);
}

static void
send_to_kafka(long i)
{
	char		record[64];
	int			len = snprintf(record, sizeof(record), "{\"key\":%ld,\"seq\":%ld}", i % groups, i);

	if (rd_kafka_produce(topic, (int32_t) (i % num_lanes), RD_KAFKA_MSG_F_COPY, record,
						 (size_t) len, NULL, 0, NULL) != 0)
		fatal(target, rd_kafka_err2str(rd_kafka_last_error()));
}

static void
send_by_insert(PGconn *conn, long i)
{
	char		key[24];
	char		seq[24];
	const char *values[2] = {key, seq};
	PGresult   *result;

	snprintf(key, sizeof(key), "%ld", i % groups);
	snprintf(seq, sizeof(seq), "%ld", i);
	result = PQexecPrepared(conn, "q", 2, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fatal(target, PQerrorMessage(conn));
	PQclear(result);
}

static void *
send_lane(void *arg)
{
	Lane	   *lane = arg;

	for (long i = lane->number; i < total; i += num_lanes)
	{
		sleep_until(start_time + (double) i / rate);
		rows[i].sent = now();
		if (lane->conn == NULL)
		{
			rows[i].committed = rows[i].sent;
			/* told first: a fast view must not be looked for too late */
			atomic_fetch_add(&lane->sent, 1);
			send_to_kafka(i);
		}
		else
		{
			send_by_insert(lane->conn, i);
			rows[i].committed = now();
			atomic_fetch_add(&lane->sent, 1);
		}
	}
	return NULL;
}

/*
 * Asks the view once for the oldest unseen rows of each lane, and stamps what
 * it shows.  Returns how many rows were stamped, or -1 if none is awaited.
 */
static long
poll_once(PGconn *conn)
{
	char		keys[MAX_LANES * ASK_PER_LANE * 22 + 3] = "{";
	char	   *out = keys + 1;
	const char *values[1] = {keys};
	PGresult   *result;
	double		seen_at;
	long		stamped = 0;

	for (int l = 0; l < num_lanes; l++)
	{
		long		sent = atomic_load(&lanes[l].sent);

		for (long n = lanes[l].seen; n < sent && n < lanes[l].seen + ASK_PER_LANE; n++)
			out += sprintf(out, "%s%ld", out == keys + 1 ? "" : ",", (n * num_lanes + l) % groups);
	}
	if (out == keys + 1)
		return -1;
	strcpy(out, "}");

	result = PQexecPrepared(conn, "q", 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fatal("poll", PQerrorMessage(conn));
	seen_at = now();
	for (int r = 0; r < PQntuples(result); r++)
	{
		Lane	   *lane = &lanes[atol(PQgetvalue(result, r, 0)) % num_lanes];
		long		seq = atol(PQgetvalue(result, r, 1));

		for (; lane->seen * num_lanes + lane->number <= seq; lane->seen++, stamped++)
			rows[lane->seen * num_lanes + lane->number].visible = seen_at;
	}
	PQclear(result);
	return stamped;
}

/* Polls until every row has been seen; returns the number of polls. */
static long
poll_all(PGconn *conn, long interval_us)
{
	long		seen = 0;
	long		polls = 0;

	while (seen < total)
	{
		long		stamped = poll_once(conn);

		polls += stamped >= 0;
		if (stamped > 0)
			seen += stamped;
		else
			sleep_until(now() + (double) interval_us / 1e6);
		if (now() > start_time + (double) total / rate + SETTLE_SECONDS)
		{
			fprintf(stderr, "latency: %ld of %ld rows did not become visible\n",
					total - seen, total);
			exit(1);
		}
	}
	return polls;
}

/* Stamps the rows as a consumer gets them. */
static long
consume_all(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(num_lanes);
	rd_kafka_t *consumer;
	long		seen = 0;
	char		why[512];

	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "latency");
	set(conf, "enable.auto.commit", "false");
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (consumer == NULL)
		fatal("consumer", why);
	for (int l = 0; l < num_lanes; l++)
		rd_kafka_topic_partition_list_add(list, target, l)->offset = RD_KAFKA_OFFSET_BEGINNING;
	if (rd_kafka_assign(consumer, list) != 0)
		fatal(target, "cannot be consumed");
	while (seen < total)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
		double		seen_at = now();

		if (message && message->err == 0)
		{
			char		record[64];
			const char *seq;

			snprintf(record, sizeof(record), "%.*s", (int) message->len, (char *) message->payload);
			seq = strstr(record, "\"seq\":");
			if (seq == NULL || atol(seq + 6) >= total)
				fatal(target, "is not new");
			rows[atol(seq + 6)].visible = seen_at;
			seen++;
		}
		if (message)
			rd_kafka_message_destroy(message);
		if (seen_at > start_time + (double) total / rate + SETTLE_SECONDS)
			fatal(target, "not all rows came");
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	return seen;
}

static int
compare(const void *a, const void *b)
{
	double		difference = *(const double *) a - *(const double *) b;

	return (difference > 0) - (difference < 0);
}

/* Prints p50, p99 and the maximum, in ms, of the rows after the warm-up. */
static void
print_quantiles(const char *name, long first, bool from_commit)
{
	long		n = total - first;
	double	   *ms = malloc((size_t) n * sizeof(double));

	if (ms == NULL)
		fatal("quantiles", "out of memory");
	for (long i = 0; i < n; i++)
	{
		const Row  *row = &rows[first + i];

		ms[i] = (row->visible - (from_commit ? row->committed : row->sent)) * 1000;
		/* shown before its COMMIT's answer had reached us */
		if (ms[i] < 0)
			ms[i] = 0;
	}
	qsort(ms, (size_t) n, sizeof(double), compare);
	printf(" %s %.3f %.3f %.3f", name, ms[n / 2], ms[n - 1 - n / 100], ms[n - 1]);
	free(ms);
}

int
main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	bool		bare = strcmp(kind, "bare") == 0;
	bool		kafka = bare || strcmp(kind, "kafka") == 0;
	const char *conninfo = "";
	const char *view = NULL;
	const char *brokers = NULL;
	double		seconds = 10;
	double		warm_up = 2;
	long		interval_us = 200;
	char		query[1024];
	rd_kafka_t *rk = NULL;
	PGconn	   *poller = NULL;
	long		polls;
	double		last_sent = 0;
	int			option;

	optind = 2;
	while ((option = getopt(argc, argv, "c:v:t:b:r:d:w:g:l:i:")) != -1)
	{
		switch (option)
		{
			case 'c':
				conninfo = optarg;
				break;
			case 'v':
				view = optarg;
				break;
			case 't':
				target = optarg;
				break;
			case 'b':
				brokers = optarg;
				break;
			case 'r':
				rate = atof(optarg);
				break;
			case 'd':
				seconds = atof(optarg);
				break;
			case 'w':
				warm_up = atof(optarg);
				break;
			case 'g':
				groups = atol(optarg);
				break;
			case 'l':
				num_lanes = atoi(optarg);
				break;
			case 'i':
				interval_us = atol(optarg);
				break;
			default:
				return 2;
		}
	}
	if ((!kafka && strcmp(kind, "insert") != 0 && strcmp(kind, "update") != 0) || (!bare && view == NULL) || target == NULL ||
		(kafka && brokers == NULL))
		fatal("usage", "latency kafka|insert|update|bare -c CONNINFO -v VIEW -t TARGET [-b BROKERS] ...");
	if (num_lanes < 1 || num_lanes > MAX_LANES || groups < num_lanes || groups % num_lanes != 0)
		fatal("-l, -g", "groups must be a multiple of lanes, lanes from 1 to 16");
	total = (long) ((warm_up + seconds) * rate);
	if (seconds <= 0 || total < 1)
		fatal("-d, -r", "nothing to send");
	rows = calloc((size_t) total, sizeof(Row));
	if (rows == NULL)
		fatal("rows", "out of memory");

	if (!bare)
	{
		poller = connect_to(conninfo);
		/* a table of a hundred rows would be scanned whole, old versions and all */
		PQclear(PQexec(poller, "SET enable_seqscan = off"));
		snprintf(query, sizeof(query), "SELECT key, seq FROM %s WHERE key = ANY ($1::int[])",
				 view);
		prepare(poller, query);
	}
	printf("ready %d", bare ? 0 : PQbackendPID(poller));
	if (kafka)
	{
		rd_kafka_conf_t *conf = rd_kafka_conf_new();
		char		why[512];

		set(conf, "bootstrap.servers", brokers);
		set(conf, "linger.ms", "0");
		rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
		if (rk == NULL)
			fatal("kafka", why);
		topic = rd_kafka_topic_new(rk, target, NULL);
	}
	snprintf(query, sizeof(query), strcmp(kind, "update") == 0 ? "UPDATE %s SET seq = $2 WHERE key = $1" :
			 "INSERT INTO %s (key, seq) VALUES ($1, $2)", target);
	for (int l = 0; l < num_lanes; l++)
	{
		lanes[l].number = l;
		if (!kafka)
		{
			lanes[l].conn = connect_to(conninfo);
			prepare(lanes[l].conn, query);
			printf(" %d", PQbackendPID(lanes[l].conn));
		}
	}
	printf("\n");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;

	start_time = now() + 0.01;
	for (int l = 0; l < num_lanes; l++)
	{
		if (pthread_create(&lanes[l].thread, NULL, send_lane, &lanes[l]) != 0)
			fatal("thread", "cannot be created");
	}
	polls = bare ? consume_all(brokers) : poll_all(poller, interval_us);
	for (int l = 0; l < num_lanes; l++)
		pthread_join(lanes[l].thread, NULL);

	for (long i = 0; i < total; i++)
	{
		if (rows[i].committed > last_sent)
			last_sent = rows[i].committed;
	}
	printf("rows %ld rate %.0f polls %ld", total, (double) total / (last_sent - start_time), polls);
	print_quantiles("ms", (long) (warm_up * rate), true);
	print_quantiles("sent_ms", (long) (warm_up * rate), false);
	printf("\n");
	fflush(stdout);
	while (getchar() != EOF)
		 /* the caller still reads our backends' CPU */ ;
	if (rk != NULL)
	{
		rd_kafka_flush(rk, 1000);
		rd_kafka_topic_destroy(topic);
		rd_kafka_destroy(rk);
	}
	return 0;
}
