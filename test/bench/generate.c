/*
 * generate.c
 *	  Benchmark input: the records of the Yahoo Streaming Benchmark, the events
 *	  of Nexmark, and rows of 64 bytes to push.
 *
 *	generate topic    -b BROKERS -t TOPIC [-p PARTITIONS]
 *	generate kafka    -b BROKERS -t TOPIC [-p PARTITIONS] RECORDS
 *	generate topics   -b BROKERS -t TOPIC -n TOPICS		TOPIC-1, TOPIC-2, ... of one partition
 *	generate trickle  -b BROKERS -t TOPIC -n TOPICS -r ROWS_PER_SECOND -s SECONDS
 *	generate files    -d DIRECTORY [-f FILES] RECORDS
 *	generate ads      RECORDS			CSV ad_id,campaign_id
 *	generate windows  RECORDS			CSV campaign_id,window,count of the views
 *	generate users    RECORDS			one line: distinct sum(n) sum(n * n)
 *	generate rows     [-n ROWS] [-g GROUPS] [-s SEED] [-D]
 *	generate orders   -F FORMAT -b BROKERS -t TOPIC [-p PARTITIONS] [-n ORDERS]
 *	generate orders   -F FORMAT [-n ORDERS]		each behind its length in 4 bytes; csv: lines
 *	generate nexmark  -d DIRECTORY [-f FILES] EVENTS	part-0000.json ...
 *	generate nexmark-tables -d DIRECTORY EVENTS	person.tsv, auction.tsv, bid.tsv
 *
 * RECORDS is [-n NUMBER] [-u USERS] [-r EVENTS_PER_SECOND] [-s SEED], and EVENTS
 * the same without users.  FORMAT is one of json, csv, avro, protobuf.
 *
 * A record is a function of the seed and its number alone, never of the
 * record before it, so the topic, the files and the expected answers all
 * describe the same stream, whatever it is cut into: record i goes to
 * partition i % PARTITIONS, and file f holds the f-th run of records.
 *
 * "windows" and "users" count in plain C what the queries of the benchmark
 * count in SQL; they share only the drawing of a record with the rest.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define NUM_CAMPAIGNS		100
#define ADS_PER_CAMPAIGN	10
#define NUM_ADS				(NUM_CAMPAIGNS * ADS_PER_CAMPAIGN)
#define NUM_PAGES			100
#define FIRST_EVENT_MS		INT64_C(1480000000000)
#define WINDOW_SECONDS		10

#define MAX_RECORD			320 /* the longest record is 263 bytes */
#define UUID_LEN			36

/* What a uuid names; part of the uuid, so that no two kinds share one. */
enum Kind
{
	KIND_USER = 1,
	KIND_PAGE,
	KIND_AD,
	KIND_CAMPAIGN,
};

typedef struct Options
{
	const char *brokers;
	const char *topic;
	const char *directory;
	int			partitions;
	int			files;
	int64_t		number;
	int64_t		users;
	int64_t		rate;			/* events per second of event time */
	int64_t		groups;
	uint64_t	seed;
	bool		distinct;		/* rows: key i is i-th of a permutation */
	const char *format;			/* of orders */
} Options;

/* The choices that make record i; everything else is spelling. */
typedef struct Event
{
	uint32_t	user;
	uint32_t	page;
	uint32_t	ad;
	uint32_t	ad_type;
	uint32_t	event_type;
	uint32_t	ip_address;
	int64_t		ms;
} Event;

static const char *const ad_types[] = {
	"banner", "modal", "sponsored-search", "mail", "mobile"
};
static const char *const event_types[] = {"view", "click", "purchase"};

static volatile int64_t failed_deliveries = 0;


static void
fatal(const char *what, const char *why)
{
	fprintf(stderr, "generate: %s: %s\n", what, why);
	exit(1);
}

/* splitmix64's finalizer: every bit of x reaches every bit of the result. */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Maps 32 random bits onto 0 .. bound - 1, evenly and without a division. */
static uint32_t
below(uint64_t bits, uint32_t bound)
{
	return (uint32_t) (((bits & UINT32_MAX) * bound) >> 32);
}

static void
draw_event(const Options *opt, int64_t i, Event *event)
{
	uint64_t	a = mix(opt->seed ^ mix((uint64_t) i));
	uint64_t	b = mix(a);
	uint64_t	c = mix(b);

	event->user = below(a, (uint32_t) opt->users);
	event->ad = below(a >> 32, NUM_ADS);
	event->page = below(b, NUM_PAGES);
	event->ad_type = below(b >> 32, 5);
	event->event_type = below(c, 3);
	event->ip_address = (uint32_t) (c >> 32);
	event->ms = FIRST_EVENT_MS + i * 1000 / opt->rate;
}

static char *
put(char *out, const char *text)
{
	size_t		len = strlen(text);

	memcpy(out, text, len);
	return out + len;
}

static char *
put_number(char *out, uint64_t value)
{
	char		digits[20];
	int			n = 0;

	do
	{
		digits[n++] = (char) ('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

/* The uuid of the number-th user, page, ad or campaign. */
static char *
put_uuid(char *out, enum Kind kind, uint32_t number)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t	word[2];

	word[0] = mix(((uint64_t) kind << 32) | number);
	word[1] = mix(word[0]);
	for (int nibble = 0; nibble < 32; nibble++)
	{
		if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20)
			*out++ = '-';
		*out++ = hex[(word[nibble / 16] >> (60 - 4 * (nibble % 16))) & 15];
	}
	return out;
}

/* Writes record i, without a newline, to out[MAX_RECORD]; returns its end. */
static char *
put_record(char *out, const Options *opt, int64_t i)
{
	Event		event;

	draw_event(opt, i, &event);
	out = put(out, "{\"user_id\":\"");
	out = put_uuid(out, KIND_USER, event.user);
	out = put(out, "\",\"page_id\":\"");
	out = put_uuid(out, KIND_PAGE, event.page);
	out = put(out, "\",\"ad_id\":\"");
	out = put_uuid(out, KIND_AD, event.ad);
	out = put(out, "\",\"ad_type\":\"");
	out = put(out, ad_types[event.ad_type]);
	out = put(out, "\",\"event_type\":\"");
	out = put(out, event_types[event.event_type]);
	out = put(out, "\",\"event_time\":\"");
	out = put_number(out, (uint64_t) event.ms);
	out = put(out, "\",\"ip_address\":\"");
	for (int octet = 3; octet >= 0; octet--)
	{
		out = put_number(out, (event.ip_address >> (8 * octet)) & 255);
		if (octet > 0)
			*out++ = '.';
	}
	return put(out, "\"}");
}

/*
 * Orders: records of ten columns, in each of the formats.  order.avsc, order.proto and
 * run say what they look like.
 */
typedef struct Order
{
	int64_t		id;
	int64_t		us;				/* since 1970 */
	char		day[11];
	char		customer[32];
	const char *city;
	char		note[64];
	uint32_t	quantity;
	uint32_t	points;
	uint32_t	cents;
	bool		paid;
} Order;

static void
draw_order(const Options *opt, int64_t i, Order *order)
{
	static const char *const cities[] = {
		"Amsterdam", "Berlin", "Dar es Salaam", "Kyoto", "Lima", "Los Angeles", "Oslo", "Paris"
	};
	uint64_t	a = mix(opt->seed ^ mix((uint64_t) i));
	uint64_t	b = mix(a);
	uint64_t	c = mix(b);

	order->id = i;
	order->us = INT64_C(1780000000000000) + i * 1000 + below(a >> 32, 1000);
	snprintf(order->day, sizeof(order->day), "2026-%02u-%02u", below(c, 12) + 1, below(c >> 32, 28) + 1);
	snprintf(order->customer, sizeof(order->customer), "customer-%05u", below(a, 1000));
	order->city = cities[b & 7];
	snprintf(order->note, sizeof(order->note), "leave it at door %u, ring %u times",
			 below(b >> 32, 500), below(b, 20));
	order->quantity = below(mix(c), 100);
	order->points = below(mix(c) >> 32, 100000);
	order->cents = below(mix(c + 1), 1000000);
	order->paid = (c >> 20) & 1;
}

/* As Avro and Protobuf write numbers. */
static char *
put_varint(char *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*out++ = (char) (value | 0x80);
	*out++ = (char) value;
	return out;
}

static char *
put_avro_string(char *out, const char *text)
{
	return put(put_varint(out, strlen(text) << 1), text);
}

static char *
put_order_avro(char *out, const Order *order)
{
	double		price = order->cents / 100.0;
	int			month,
				day,
				days = 20454;	/* 2026-01-01 */

	sscanf(order->day + 5, "%d-%d", &month, &day);
	for (int m = 1; m < month; m++)
		days += m == 2 ? 28 : 30 + ((m + m / 8) & 1);
	out = put_varint(out, (uint64_t) order->id << 1);
	out = put_varint(out, (uint64_t) order->us << 1);
	out = put_varint(out, (uint64_t) (days + day - 1) << 1);
	out = put_avro_string(out, order->customer);
	out = put_avro_string(out, order->city);
	out = put_avro_string(out, order->note);
	out = put_varint(out, (uint64_t) order->quantity << 1);
	out = put_varint(out, (uint64_t) order->points << 1);
	memcpy(out, &price, sizeof(price));
	out += sizeof(price);
	*out++ = (char) order->paid;
	return out;
}

static char *
put_field(char *out, int field, uint64_t value)
{
	return put_varint(put_varint(out, (uint64_t) field << 3), value);
}

static char *
put_bytes_field(char *out, int field, const char *bytes, size_t length)
{
	out = put_varint(put_varint(out, (uint64_t) field << 3 | 2), length);
	memcpy(out, bytes, length);
	return out + length;
}

static char *
put_order_protobuf(char *out, const Order *order)
{
	double		price = order->cents / 100.0;
	char		at[32];
	char	   *at_end = at;

	at_end = put_field(at_end, 1, (uint64_t) order->us / 1000000);
	at_end = put_field(at_end, 2, (uint64_t) order->us % 1000000 * 1000);
	out = put_field(out, 1, (uint64_t) order->id);
	out = put_bytes_field(out, 2, at, (size_t) (at_end - at));
	out = put_bytes_field(out, 3, order->day, strlen(order->day));
	out = put_bytes_field(out, 4, order->customer, strlen(order->customer));
	out = put_bytes_field(out, 5, order->city, strlen(order->city));
	out = put_bytes_field(out, 6, order->note, strlen(order->note));
	out = put_field(out, 7, order->quantity);
	out = put_field(out, 8, order->points);
	out = put_varint(out, 9 << 3 | 1);
	memcpy(out, &price, sizeof(price));
	return put_field(out + sizeof(price), 10, order->paid);
}

/* Writes order i to out[MAX_RECORD]; returns its end. */
static char *
put_order(char *out, const Options *opt, int64_t i)
{
	Order		order;
	char		at[40];
	time_t		seconds;
	struct tm	tm;

	draw_order(opt, i, &order);
	if (strcmp(opt->format, "avro") == 0)
		return put_order_avro(out, &order);
	if (strcmp(opt->format, "protobuf") == 0)
		return put_order_protobuf(out, &order);

	seconds = order.us / 1000000;
	gmtime_r(&seconds, &tm);
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(at + strlen(at), sizeof(at) - strlen(at), ".%06dZ", (int) (order.us % 1000000));
	return out + snprintf(out, MAX_RECORD, strcmp(opt->format, "csv") == 0 ?
						  "%" PRId64 ",%s,%s,%s,%s,\"%s\",%u,%u,%u.%02u,%s" :
						  "{\"id\":%" PRId64 ",\"at\":\"%s\",\"day\":\"%s\",\"customer\":\"%s\",\"city\":\"%s\","
						  "\"note\":\"%s\",\"quantity\":%u,\"points\":%u,\"price\":%u.%02u,\"paid\":%s}",
						  order.id, at, order.day, order.customer, order.city, order.note, order.quantity,
						  order.points, order.cents / 100, order.cents % 100, order.paid ? "true" : "false");
}

static void
print_orders(const Options *opt)
{
	bool		lines = strcmp(opt->format, "csv") == 0;

	for (int64_t i = 0; i < opt->number; i++)
	{
		char		record[MAX_RECORD];
		char	   *end = put_order(record, opt, i);
		uint32_t	length = (uint32_t) (end - record);

		if (!lines)
			fwrite(&length, sizeof(length), 1, stdout);
		fwrite(record, 1, length, stdout);
		if (lines)
			putchar('\n');
	}
}

/*
 * To Kafka
 */

static void
delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (message->err && failed_deliveries++ == 0)
		fprintf(stderr, "generate: %s\n", rd_kafka_err2str(message->err));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		fatal(name, why);
}

/* Creates a topic; one that exists already is an error. */
static void
create_topic(rd_kafka_t *rk, const char *name, int partitions)
{
	char		why[512];
	rd_kafka_NewTopic_t *topic;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	const rd_kafka_topic_result_t **results;
	size_t		count;

	topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof(why));
	if (topic == NULL)
		fatal(name, why);
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 30000);
	if (event == NULL)
		fatal(name, "no answer from the broker");
	if (rd_kafka_event_error(event))
		fatal(name, rd_kafka_event_error_string(event));
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
												  &count);
	if (rd_kafka_topic_result_error(results[0]))
		fatal(name, rd_kafka_topic_result_error_string(results[0]));
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(topic);
}

/*
 * Creates topics of one partition or, with "trickle", sends rows {"key": i % 10} to them
 * in turn, so many a second, each at its time.  Prints how many.
 */
static void
to_topics(const Options *opt, bool trickle)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	char		why[512];
	struct timespec when;
	int64_t		total = trickle ? opt->rate * (int64_t) opt->seed : 0;

	if (opt->brokers == NULL || opt->topic == NULL)
		fatal("topics", "-b BROKERS and -t TOPIC are needed");
	set(conf, "bootstrap.servers", opt->brokers);
	set(conf, "linger.ms", "0");
	rd_kafka_conf_set_dr_msg_cb(conf, delivery_report);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (rk == NULL)
		fatal("topics", why);
	for (int64_t i = 1; !trickle && i <= opt->number; i++)
	{
		char		name[256];

		snprintf(name, sizeof(name), "%s-%" PRId64, opt->topic, i);
		create_topic(rk, name, 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &when);
	for (int64_t i = 0; i < total; i++)
	{
		char		name[256];
		char		row[64];
		int			len = snprintf(row, sizeof(row), "{\"key\": %d}", (int) (i % 10));

		snprintf(name, sizeof(name), "%s-%" PRId64, opt->topic, i % opt->number + 1);
		if (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(0),
							  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
							  RD_KAFKA_V_VALUE(row, (size_t) len), RD_KAFKA_V_END))
			fatal(name, "could not send");
		rd_kafka_poll(rk, 0);
		when.tv_nsec += 1000000000 / opt->rate;
		when.tv_sec += when.tv_nsec / 1000000000;
		when.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
	}
	if (rd_kafka_flush(rk, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR || failed_deliveries > 0)
		fatal(opt->topic, "some records were not delivered");
	printf("rows %" PRId64 "\n", total);
	rd_kafka_destroy(rk);
}

/*
 * Creates the topic and, with "records", fills it.  Returns only when the
 * broker has acknowledged every record, so that a consumer started next
 * finds the topic's end where it will stay.
 */
static void
to_kafka(const Options *opt, bool records)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char		why[512];
	int64_t		bytes = 0;
	struct timespec begin,
				end;
	double		seconds;

	if (opt->brokers == NULL || opt->topic == NULL)
		fatal("kafka", "-b BROKERS and -t TOPIC are needed");
	set(conf, "bootstrap.servers", opt->brokers);
	set(conf, "linger.ms", "20");
	set(conf, "batch.num.messages", "10000");
	set(conf, "queue.buffering.max.messages", "400000");
	rd_kafka_conf_set_dr_msg_cb(conf, delivery_report);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (rk == NULL)
		fatal("kafka", why);
	create_topic(rk, opt->topic, opt->partitions);
	topic = rd_kafka_topic_new(rk, opt->topic, NULL);
	if (topic == NULL)
		fatal(opt->topic, rd_kafka_err2str(rd_kafka_last_error()));

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int64_t i = 0; records && i < opt->number; i++)
	{
		char		record[MAX_RECORD];
		char	   *end = opt->format ? put_order(record, opt, i) : put_record(record, opt, i);
		size_t		len = (size_t) (end - record);

		while (rd_kafka_produce(topic, (int32_t) (i % opt->partitions), RD_KAFKA_MSG_F_COPY,
								record, len, NULL, 0, NULL) != 0)
		{
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				fatal(opt->topic, rd_kafka_err2str(rd_kafka_last_error()));
			rd_kafka_poll(rk, 10);
		}
		bytes += (int64_t) len;
		if (i % 1000 == 0)
			rd_kafka_poll(rk, 0);
	}
	if (rd_kafka_flush(rk, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		fatal(opt->topic, "the broker did not acknowledge every record in two minutes");
	if (failed_deliveries > 0)
		fatal(opt->topic, "some records were not delivered");
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9;
	if (records)
		printf("messages %" PRId64 " bytes %" PRId64 " seconds %.3f\n", opt->number, bytes, seconds);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
}

/*
 * To files and standard output
 */

static FILE *
open_file(const char *directory, const char *name)
{
	char		path[4096];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (file == NULL)
		fatal(path, strerror(errno));
	return file;
}

static void
close_file(FILE *file, const char *name)
{
	if (fclose(file) != 0)
		fatal(name, strerror(errno));
}

static void
to_files(const Options *opt)
{
	if (opt->directory == NULL)
		fatal("files", "-d DIRECTORY is needed");
	for (int f = 0; f < opt->files; f++)
	{
		char		name[32];
		char		record[MAX_RECORD];
		FILE	   *file;

		snprintf(name, sizeof(name), "events-%03d.json", f);
		file = open_file(opt->directory, name);
		for (int64_t i = opt->number * f / opt->files; i < opt->number * (f + 1) / opt->files; i++)
		{
			char	   *end = put_record(record, opt, i);

			*end++ = '\n';
			fwrite(record, 1, (size_t) (end - record), file);
		}
		close_file(file, name);
	}
}

static void
print_ads(void)
{
	for (uint32_t ad = 0; ad < NUM_ADS; ad++)
	{
		char		line[2 * UUID_LEN + 3];
		char	   *out = put_uuid(line, KIND_AD, ad);

		*out++ = ',';
		out = put_uuid(out, KIND_CAMPAIGN, ad / ADS_PER_CAMPAIGN);
		*out++ = '\n';
		*out = '\0';
		fputs(line, stdout);
	}
}

static void
print_windows(const Options *opt)
{
	int64_t		windows = (opt->number / opt->rate) / WINDOW_SECONDS + 2;
	int64_t		first = FIRST_EVENT_MS / 1000 / WINDOW_SECONDS;
	int64_t    *counts = calloc((size_t) (windows * NUM_CAMPAIGNS), sizeof(int64_t));

	if (counts == NULL)
		fatal("windows", "out of memory");
	for (int64_t i = 0; i < opt->number; i++)
	{
		Event		event;

		draw_event(opt, i, &event);
		if (event.event_type == 0)
			counts[(event.ms / 1000 / WINDOW_SECONDS - first) * NUM_CAMPAIGNS +
				   event.ad / ADS_PER_CAMPAIGN]++;
	}
	for (int64_t cell = 0; cell < windows * NUM_CAMPAIGNS; cell++)
	{
		char		campaign[UUID_LEN + 1];
		char		start[64];
		time_t		seconds = (time_t) ((first + cell / NUM_CAMPAIGNS) * WINDOW_SECONDS);

		if (counts[cell] == 0)
			continue;
		*put_uuid(campaign, KIND_CAMPAIGN, (uint32_t) (cell % NUM_CAMPAIGNS)) = '\0';
		strftime(start, sizeof(start), "%Y-%m-%d %H:%M:%S+00", gmtime(&seconds));
		printf("%s,%s,%" PRId64 "\n", campaign, start, counts[cell]);
	}
	free(counts);
}

static void
print_users(const Options *opt)
{
	uint32_t   *counts = calloc((size_t) opt->users, sizeof(uint32_t));
	int64_t		distinct = 0;
	int64_t		squares = 0;

	if (counts == NULL)
		fatal("users", "out of memory");
	for (int64_t i = 0; i < opt->number; i++)
	{
		Event		event;

		draw_event(opt, i, &event);
		counts[event.user]++;
	}
	for (int64_t user = 0; user < opt->users; user++)
	{
		distinct += counts[user] > 0;
		squares += (int64_t) counts[user] * counts[user];
	}
	printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", distinct, opt->number, squares);
	free(counts);
}

/*
 * Rows of 64 bytes in COPY's text format: key bigint, value bigint, note
 * text.  With -D, the first GROUPS keys are all different, in no order: the
 * step is a prime, so it has no common divisor with fewer groups than that.
 */
static void
print_rows(const Options *opt)
{
	const uint64_t step = UINT64_C(2654435761);

	for (int64_t i = 0; i < opt->number; i++)
	{
		char		row[128];
		char	   *out = row;
		uint64_t	bits = mix(opt->seed ^ mix((uint64_t) i));
		uint64_t	key = opt->distinct ?
			(uint64_t) i * step % (uint64_t) opt->groups : below(bits, (uint32_t) opt->groups);

		out = put_number(out, key);
		*out++ = '\t';
		out = put_number(out, (bits >> 32) % 1000);
		*out++ = '\t';
		while (out < row + 63)
		{
			bits = mix(bits);
			*out++ = (char) ('a' + (bits >> 40) % 26);
		}
		*out++ = '\n';
		fwrite(row, 1, (size_t) (out - row), stdout);
	}
}

/*
 * Nexmark
 *
 * The world of an online auction, as the benchmark's specification has it: of
 * 50 events in a row the first is a person, the next three are auctions, the
 * others bids.  Who sells, who bids and on what is drawn from what the events
 * before have made, mostly from the hot ones.
 */

#define PERSONS				1	/* of 50 events */
#define AUCTIONS			3
#define BIDS				46
#define EVENTS				(PERSONS + AUCTIONS + BIDS)
#define FIRST_ID			1000
#define FIRST_CATEGORY		10
#define NUM_CATEGORIES		5
#define ID_LEAD				10	/* ids that are drawn before they exist */
#define ACTIVE_PEOPLE		1000
#define AUCTIONS_IN_FLIGHT	100
#define HOT_EVERY			100 /* one person, one auction of so many is hot */
#define HOT_SELLERS			4	/* all but one of so many auctions are by a hot one */
#define HOT_BIDDERS			4
#define HOT_AUCTIONS		2
#define HOT_CHANNELS		2
#define NUM_CHANNELS		10000
#define FIRST_NEXMARK_MS	INT64_C(1436918400000)	/* 2015-07-15 00:00:00 */

#define MAX_FIELDS			10
#define MAX_FIELD_BYTES		2048	/* of one event; the longest has fewer than 800 */

static const char *const first_names[] = {
	"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"
};
static const char *const last_names[] = {
	"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"
};
static const char *const cities[] = {
	"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"
};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

/* A run of random bits. */
typedef struct Draw
{
	uint64_t	state;
} Draw;

typedef enum NexmarkKind
{
	NEXMARK_PERSON,
	NEXMARK_AUCTION,
	NEXMARK_BID,
	NEXMARK_KINDS,
} NexmarkKind;

static const char *const nexmark_names[] = {"person", "auction", "bid"};

typedef struct NexmarkField
{
	const char *name;			/* in JSON */
	const char *value;			/* ends with a NUL */
	size_t		len;
	bool		quoted;
} NexmarkField;

typedef struct NexmarkEvent
{
	NexmarkKind kind;
	int64_t		number;
	int			count;
	NexmarkField fields[MAX_FIELDS];
	char	   *end;			/* of what fields have of bytes */
	char		bytes[MAX_FIELD_BYTES];
} NexmarkEvent;

static uint64_t
draw(Draw *random)
{
	uint64_t	bits = mix(random->state);

	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return bits;
}

static int64_t
draw_below(Draw *random, int64_t bound)
{
	return (int64_t) (draw(random) % (uint64_t) bound);
}

/* True except in one of so many cases. */
static bool
draw_hot(Draw *random, int64_t one_of)
{
	return draw_below(random, one_of) > 0;
}

/* In cents, with an evenly distributed logarithm, from 1 to 1 million dollars. */
static int64_t
draw_price(Draw *random)
{
	double		fraction = (double) (draw(random) >> 11) / (double) (INT64_C(1) << 53);

	return (int64_t) rint(pow(10.0, fraction * 6.0) * 100.0);
}

/*
 * Writes from 3 to max - 1 letters, one in 13 of them the special one instead;
 * blanks at the ends are left out.
 */
static char *
put_letters(char *out, Draw *random, int max, char special)
{
	int64_t		len = 3 + draw_below(random, max - 3);
	char	   *start = out;

	while (len-- > 0)
	{
		char		letter = draw_below(random, 13) == 0 ? special : (char) ('a' + draw_below(random, 26));

		if (letter != ' ' || out > start)
			*out++ = letter;
	}
	while (out > start && out[-1] == ' ')
		out--;
	return out;
}

/* Fills an event of len bytes up to about the average, a fifth more or less. */
static char *
put_filling(char *out, Draw *random, int64_t len, int64_t average)
{
	int64_t		delta;
	int64_t		size;
	uint64_t	bits;

	if (len > average)
		return out;
	average -= len;
	delta = (int64_t) rint((double) average * 0.2);
	size = average - delta + (delta > 0 ? draw_below(random, 2 * delta) : 0);
	bits = draw(random);
	while (size-- > 0)
	{
		if (bits < 26)
			bits = draw(random);
		*out++ = (char) ('a' + bits % 26);
		bits /= 26;
	}
	return out;
}

static char *
put_url(char *out, Draw *random)
{
	out = put(out, "https://www.nexmark.com/");
	for (int directory = 0; directory < 3; directory++)
	{
		out = put_letters(out, random, 5, '_');
		*out++ = '/';
	}
	return put(out, "item.htm?query=1");
}

/* The URL of a channel that is not hot; nine in ten say which channel it is. */
static char *
put_channel_url(char *out, int64_t channel)
{
	Draw		random = {1000 + (uint64_t) channel};

	out = put_url(out, &random);
	if (draw_below(&random, 10) > 0)
	{
		int64_t		reversed = 0;

		for (int bit = 0; bit < 32; bit++)
			reversed |= ((channel >> bit) & 1) << (31 - bit);
		if (reversed > INT32_MAX)
			reversed = (INT64_C(1) << 32) - reversed;
		out = put(out, "&channel_id=");
		out = put_number(out, (uint64_t) reversed);
	}
	return out;
}

/* As PostgreSQL has a timestamp in UTC. */
static char *
put_time(char *out, int64_t ms)
{
	time_t		seconds = (time_t) (ms / 1000);
	struct tm	tm;

	gmtime_r(&seconds, &tm);
	out += strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
	return out + sprintf(out, ".%03d", (int) (ms % 1000));
}

/* Begins a field; who fills it writes from event->end on and calls end_field. */
static void
begin_field(NexmarkEvent *event, const char *name, bool quoted)
{
	NexmarkField *field = &event->fields[event->count++];

	field->name = name;
	field->value = event->end;
	field->quoted = quoted;
}

static void
end_field(NexmarkEvent *event, char *end)
{
	NexmarkField *field = &event->fields[event->count - 1];

	field->len = (size_t) (end - field->value);
	*end = '\0';
	event->end = end + 1;
}

static void
add_number(NexmarkEvent *event, const char *name, int64_t value)
{
	begin_field(event, name, false);
	end_field(event, put_number(event->end, (uint64_t) value));
}

static void
add_text(NexmarkEvent *event, const char *name, const char *value)
{
	begin_field(event, name, true);
	end_field(event, put(event->end, value));
}

static void
add_letters(NexmarkEvent *event, const char *name, Draw *random, int max)
{
	begin_field(event, name, true);
	end_field(event, put_letters(event->end, random, max, ' '));
}

static void
add_time(NexmarkEvent *event, const char *name, int64_t ms)
{
	begin_field(event, name, true);
	end_field(event, put_time(event->end, ms));
}

static void
add_filling(NexmarkEvent *event, Draw *random, int64_t len, int64_t average)
{
	begin_field(event, "extra", true);
	end_field(event, put_filling(event->end, random, len, average));
}

static int64_t
nexmark_ms(const Options *opt, int64_t number)
{
	return FIRST_NEXMARK_MS + (int64_t) ((double) number * 1e6 / (double) opt->rate) / 1000;
}

/* The last person among the events up to this one. */
static int64_t
last_person(int64_t number)
{
	return number / EVENTS * PERSONS + (number % EVENTS < PERSONS ? number % EVENTS : PERSONS - 1);
}

/* The last auction, likewise; -1 before the first one. */
static int64_t
last_auction(int64_t number)
{
	int64_t		before = number / EVENTS * AUCTIONS;
	int64_t		offset = number % EVENTS - PERSONS;

	return before + (offset < AUCTIONS ? offset : AUCTIONS - 1);
}

/* One of those who came last, or somebody who is still to come. */
static int64_t
draw_person(Draw *random, int64_t number)
{
	int64_t		people = last_person(number) + 1;
	int64_t		active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;

	return people - active + draw_below(random, active + ID_LEAD);
}

static int64_t
draw_auction(Draw *random, int64_t number)
{
	int64_t		newest = last_auction(number);
	int64_t		oldest = newest > AUCTIONS_IN_FLIGHT ? newest - AUCTIONS_IN_FLIGHT : 0;

	return oldest + draw_below(random, newest - oldest + 1 + ID_LEAD);
}

static void
draw_new_person(Draw *random, int64_t ms, NexmarkEvent *event)
{
	size_t		len = 8;
	char	   *out;

	add_number(event, "id", last_person(event->number) + FIRST_ID);
	begin_field(event, "name", true);
	out = put(event->end, first_names[draw_below(random, 11)]);
	*out++ = ' ';
	end_field(event, put(out, last_names[draw_below(random, 9)]));
	begin_field(event, "emailAddress", true);
	out = put_letters(event->end, random, 7, ' ');
	*out++ = '@';
	out = put_letters(out, random, 5, ' ');
	end_field(event, put(out, ".com"));
	begin_field(event, "creditCard", true);
	out = event->end;
	for (int group = 0; group < 4; group++)
		out += sprintf(out, group == 0 ? "%04d" : " %04d", (int) draw_below(random, 10000));
	end_field(event, out);
	add_text(event, "city", cities[draw_below(random, 10)]);
	add_text(event, "state", states[draw_below(random, 6)]);
	for (int i = 1; i < event->count; i++)
		len += event->fields[i].len;
	add_time(event, "dateTime", ms);
	add_filling(event, random, (int64_t) len, 200);
}

static void
draw_new_auction(const Options *opt, Draw *random, int64_t ms, NexmarkEvent *event)
{
	int64_t		seller;
	int64_t		category;
	int64_t		initial_bid;
	int64_t		in_flight;
	int64_t		expires;
	size_t		len;

	if (draw_hot(random, HOT_SELLERS))
		seller = last_person(event->number) / HOT_EVERY * HOT_EVERY;
	else
		seller = draw_person(random, event->number);
	category = FIRST_CATEGORY + draw_below(random, NUM_CATEGORIES);
	initial_bid = draw_price(random);
	/* open for as long as so many others are made, on the average */
	in_flight = nexmark_ms(opt, event->number + AUCTIONS_IN_FLIGHT * EVENTS / AUCTIONS) - ms;
	expires = ms + 1 + draw_below(random, in_flight > 0 ? in_flight * 2 : 1);

	add_number(event, "id", last_auction(event->number) + FIRST_ID);
	add_letters(event, "itemName", random, 20);
	add_letters(event, "description", random, 100);
	len = event->fields[1].len + event->fields[2].len;
	add_number(event, "initialBid", initial_bid);
	add_number(event, "reserve", initial_bid + draw_price(random));
	add_time(event, "dateTime", ms);
	add_time(event, "expires", expires);
	add_number(event, "seller", seller + FIRST_ID);
	add_number(event, "category", category);
	add_filling(event, random, (int64_t) len + 48, 500);
}

static void
draw_new_bid(Draw *random, int64_t ms, NexmarkEvent *event)
{
	int64_t		auction;
	int64_t		bidder;

	if (draw_hot(random, HOT_AUCTIONS))
		auction = last_auction(event->number) / HOT_EVERY * HOT_EVERY;
	else
		auction = draw_auction(random, event->number);
	/* another one than the hot seller */
	if (draw_hot(random, HOT_BIDDERS))
		bidder = last_person(event->number) / HOT_EVERY * HOT_EVERY + 1;
	else
		bidder = draw_person(random, event->number);
	add_number(event, "auction", auction + FIRST_ID);
	add_number(event, "bidder", bidder + FIRST_ID);
	add_number(event, "price", draw_price(random));
	if (draw_hot(random, HOT_CHANNELS))
	{
		int64_t		channel = draw_below(random, 4);
		Draw		of_channel = {(uint64_t) channel};

		add_text(event, "channel", hot_channels[channel]);
		begin_field(event, "url", true);
		end_field(event, put_url(event->end, &of_channel));
	}
	else
	{
		int64_t		channel = draw_below(random, NUM_CHANNELS);

		begin_field(event, "channel", true);
		end_field(event, put_number(put(event->end, "channel-"), (uint64_t) channel));
		begin_field(event, "url", true);
		end_field(event, put_channel_url(event->end, channel));
	}
	add_time(event, "dateTime", ms);
	add_filling(event, random, 32, 100);
}

static void
draw_nexmark(const Options *opt, int64_t number, NexmarkEvent *event)
{
	Draw		random = {opt->seed * UINT64_C(0x51ed2701) + (uint64_t) number};
	int64_t		ms = nexmark_ms(opt, number);

	event->number = number;
	event->count = 0;
	event->end = event->bytes;
	if (number % EVENTS < PERSONS)
	{
		event->kind = NEXMARK_PERSON;
		draw_new_person(&random, ms, event);
	}
	else if (number % EVENTS < PERSONS + AUCTIONS)
	{
		event->kind = NEXMARK_AUCTION;
		draw_new_auction(opt, &random, ms, event);
	}
	else
	{
		event->kind = NEXMARK_BID;
		draw_new_bid(&random, ms, event);
	}
}

/*
 * Lines of the benchmark's union record, which has its kind and one member
 * that is not empty.  To these is added the number of the event, for queries
 * whose answer would depend on the order of events of the same millisecond.
 */
static void
print_nexmark(const Options *opt)
{
	if (opt->directory == NULL)
		fatal("nexmark", "-d DIRECTORY is needed");
	for (int f = 0; f < opt->files; f++)
	{
		char		name[32];
		FILE	   *file;

		snprintf(name, sizeof(name), "part-%04d.json", f);
		file = open_file(opt->directory, name);
		for (int64_t i = opt->number * f / opt->files; i < opt->number * (f + 1) / opt->files; i++)
		{
			NexmarkEvent event;

			draw_nexmark(opt, i, &event);
			fprintf(file, "{\"event_type\":%d,\"%s\":{", event.kind, nexmark_names[event.kind]);
			for (int column = 0; column < event.count; column++)
			{
				const NexmarkField *field = &event.fields[column];

				fprintf(file, field->quoted ? "%s\"%s\":\"%s\"" : "%s\"%s\":%s",
						column > 0 ? "," : "", field->name, field->value);
			}
			fprintf(file, "},\"seq\":%" PRId64 "}\n", event.number);
		}
		close_file(file, name);
	}
}

/* The same events for COPY, each kind with its number as the last column. */
static void
print_nexmark_tables(const Options *opt)
{
	FILE	   *files[NEXMARK_KINDS];

	if (opt->directory == NULL)
		fatal("nexmark-tables", "-d DIRECTORY is needed");
	for (int kind = 0; kind < NEXMARK_KINDS; kind++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "%s.tsv", nexmark_names[kind]);
		files[kind] = open_file(opt->directory, name);
	}
	for (int64_t i = 0; i < opt->number; i++)
	{
		NexmarkEvent event;

		draw_nexmark(opt, i, &event);
		for (int column = 0; column < event.count; column++)
			fprintf(files[event.kind], "%s\t", event.fields[column].value);
		fprintf(files[event.kind], "%" PRId64 "\n", event.number);
	}
	for (int kind = 0; kind < NEXMARK_KINDS; kind++)
		close_file(files[kind], nexmark_names[kind]);
}

/* The argument of an option as a number from 1 to 4 billion, or the end. */
static int64_t
number(const char *text)
{
	char	   *end;
	long long	value = strtoll(text, &end, 10);

	if (*end != '\0' || value < 1 || value > UINT32_MAX)
		fatal(text, "not a number from 1 to 4294967295");
	return value;
}

int
main(int argc, char **argv)
{
	Options		opt = {
		.partitions = 4, .files = 30, .number = 3000000, .users = 1000000,
		.rate = 10000, .groups = 2000, .seed = 1
	};
	const char *command = argc > 1 ? argv[1] : "";
	int			option;

	optind = 2;
	while ((option = getopt(argc, argv, "b:t:d:p:f:F:n:u:r:g:s:D")) != -1)
	{
		switch (option)
		{
			case 'b':
				opt.brokers = optarg;
				break;
			case 't':
				opt.topic = optarg;
				break;
			case 'd':
				opt.directory = optarg;
				break;
			case 'p':
				opt.partitions = (int) number(optarg);
				break;
			case 'f':
				opt.files = (int) number(optarg);
				break;
			case 'F':
				opt.format = optarg;
				break;
			case 'n':
				opt.number = number(optarg);
				break;
			case 'u':
				opt.users = number(optarg);
				break;
			case 'r':
				opt.rate = number(optarg);
				break;
			case 'g':
				opt.groups = number(optarg);
				break;
			case 's':
				opt.seed = (uint64_t) number(optarg);
				break;
			case 'D':
				opt.distinct = true;
				break;
			default:
				return 2;
		}
	}
	if (strcmp(command, "topic") == 0)
		to_kafka(&opt, false);
	else if (strcmp(command, "kafka") == 0)
		to_kafka(&opt, true);
	else if (strcmp(command, "topics") == 0)
		to_topics(&opt, false);
	else if (strcmp(command, "trickle") == 0)
		to_topics(&opt, true);
	else if (strcmp(command, "files") == 0)
		to_files(&opt);
	else if (strcmp(command, "ads") == 0)
		print_ads();
	else if (strcmp(command, "windows") == 0)
		print_windows(&opt);
	else if (strcmp(command, "users") == 0)
		print_users(&opt);
	else if (strcmp(command, "rows") == 0)
		print_rows(&opt);
	else if (strcmp(command, "orders") == 0 && opt.format == NULL)
		fatal("orders", "-F FORMAT is needed");
	else if (strcmp(command, "orders") == 0 && opt.topic)
		to_kafka(&opt, true);
	else if (strcmp(command, "orders") == 0)
		print_orders(&opt);
	else if (strcmp(command, "nexmark") == 0)
		print_nexmark(&opt);
	else if (strcmp(command, "nexmark-tables") == 0)
		print_nexmark_tables(&opt);
	else
		fatal(command, "not one of topic, kafka, topics, trickle, files, ads, windows, users, rows, orders, nexmark, nexmark-tables");
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal("standard output", strerror(errno));
	return 0;
}
