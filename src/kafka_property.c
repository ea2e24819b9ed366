/*
 * kafka_property.c
 *		The properties of librdkafka: who may set which, and to what.
 *
 * librdkafka does what its configuration says inside of our processes, with the
 * rights of the server's operating system user, and many roles share them.  So
 * the table below is a list of what is allowed, not of what is not: what it
 * does not know is a superuser's, as are values beyond its bounds.
 *
 * Bounds are for what a stream may take of the server: memory, and tries a
 * second.  That a value makes sense librdkafka checks.
 */
#include "postgres.h"

#include <limits.h>
#include <stdio.h>

#include "catalog/pg_authid.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"

#include "streaming.h"

#include "base/closest_match.h"
#include "kafka.h"

/* Longest value, but for certificates and keys. */
#define MAX_TEXT	8192
#define MAX_PEM		(256 * 1024)

/* Each broker that is named costs librdkafka a thread. */
#define MAX_BROKERS 100

/* In seconds; librdkafka multiplies it by 1000 in an int. */
#define MAX_TOKEN_LIFE	(INT_MAX / 1000)

/* The first version whose own handler of unsecured tokens can renew one. */
#define UNSECURED_TOKENS_VERSION	0x020200ff

typedef enum PropertyClass
{
	ANY_ROLE,
	FILE_READER,				/* names a file of the server */
	SUPERUSER,					/* runs code, uses what is the server's own, or
								 * fills the log */
	NOBODY						/* is ours, or has no use here */
} PropertyClass;

/* What a value is, besides what librdkafka says. */
typedef enum PropertyKind
{
	WORD,						/* a boolean, or one of a few words */
	NUMBER,						/* with the bounds of the table */
	TEXT,
	PEM,						/* a certificate or a key, with its lines */
	FILE_PATH,
	PRINCIPAL,					/* Kerberos' name, which a shell gets to see */
	MECHANISM,
	BROKERS,
	TOKEN_CONFIG				/* what an unsecured token is made of */
} PropertyKind;

/* Where a property may be, besides a server. */
#define IN_MAPPING	1			/* also in a user mapping */
#define SECRET		2			/* only there, and in no message */

typedef struct KafkaProperty
{
	const char *name;
	PropertyClass class;
	PropertyKind kind;
	int			place;
	int64		min;			/* of a NUMBER that is not a superuser's; both 0: */
	int64		max;			/* librdkafka's own */
} KafkaProperty;

static const KafkaProperty properties[] =
{
	/* the brokers and the way to them */
	{"bootstrap.servers", ANY_ROLE, BROKERS},
	{"metadata.broker.list", ANY_ROLE, BROKERS},
	{"client.id", ANY_ROLE, TEXT},
	{"client.rack", ANY_ROLE, TEXT},
	{"client.dns.lookup", ANY_ROLE, WORD},
	{"broker.address.family", ANY_ROLE, WORD},
	{"broker.address.ttl", ANY_ROLE, NUMBER},
	{"socket.timeout.ms", ANY_ROLE, NUMBER},
	{"socket.blocking.max.ms", ANY_ROLE, NUMBER},
	{"socket.connection.setup.timeout.ms", ANY_ROLE, NUMBER},
	{"socket.send.buffer.bytes", ANY_ROLE, NUMBER, 0, 0, 16 * 1024 * 1024},
	{"socket.receive.buffer.bytes", ANY_ROLE, NUMBER, 0, 0, 16 * 1024 * 1024},
	{"socket.keepalive.enable", ANY_ROLE, WORD},
	{"socket.nagle.disable", ANY_ROLE, WORD},
	{"socket.max.fails", ANY_ROLE, NUMBER},
	{"connections.max.idle.ms", ANY_ROLE, NUMBER},
	{"reconnect.backoff.jitter.ms", ANY_ROLE, NUMBER},
	{"reconnect.backoff.ms", ANY_ROLE, NUMBER, 0, 10, 3600000},
	{"reconnect.backoff.max.ms", ANY_ROLE, NUMBER, 0, 100, 3600000},
	{"retry.backoff.ms", ANY_ROLE, NUMBER, 0, 10, 300000},
	{"retry.backoff.max.ms", ANY_ROLE, NUMBER, 0, 10, 300000},
	{"max.in.flight.requests.per.connection", ANY_ROLE, NUMBER},
	{"max.in.flight", ANY_ROLE, NUMBER},
	{"api.version.request", ANY_ROLE, WORD},
	{"api.version.request.timeout.ms", ANY_ROLE, NUMBER},
	{"api.version.fallback.ms", ANY_ROLE, NUMBER},
	{"broker.version.fallback", ANY_ROLE, TEXT},
	{"enable.metrics.push", ANY_ROLE, WORD},
	{"log.connection.close", ANY_ROLE, WORD},
	{"log.thread.name", ANY_ROLE, WORD},

	/* what brokers tell of topics */
	{"topic.metadata.refresh.interval.ms", ANY_ROLE, NUMBER, 0, 100, 3600000},
	{"topic.metadata.refresh.fast.interval.ms", ANY_ROLE, NUMBER, 0, 50, 60000},
	{"topic.metadata.refresh.fast.cnt", ANY_ROLE, NUMBER},
	{"topic.metadata.refresh.sparse", ANY_ROLE, WORD},
	{"topic.metadata.propagation.max.ms", ANY_ROLE, NUMBER},
	{"metadata.max.age.ms", ANY_ROLE, NUMBER, 0, 100, 86400000},
	{"metadata.recovery.strategy", ANY_ROLE, WORD},
	{"metadata.recovery.rebootstrap.trigger.ms", ANY_ROLE, NUMBER},

	/* reading */
	{"message.max.bytes", ANY_ROLE, NUMBER, 0, 1000, 52428800},
	{"receive.message.max.bytes", ANY_ROLE, NUMBER, 0, 1000, 100000000},
	{"fetch.max.bytes", ANY_ROLE, NUMBER, 0, 0, 52428800},
	{"fetch.message.max.bytes", ANY_ROLE, NUMBER, 0, 1, 52428800},
	{"max.partition.fetch.bytes", ANY_ROLE, NUMBER, 0, 1, 52428800},
	{"fetch.min.bytes", ANY_ROLE, NUMBER, 0, 1, 52428800},
	{"fetch.wait.max.ms", ANY_ROLE, NUMBER, 0, 10, 300000},
	{"fetch.error.backoff.ms", ANY_ROLE, NUMBER, 0, 10, 300000},
	{"fetch.queue.backoff.ms", ANY_ROLE, NUMBER, 0, 1, 300000},
	{"queued.min.messages", ANY_ROLE, NUMBER, 0, 1, 100000},
	{"queued.max.messages.kbytes", ANY_ROLE, NUMBER, 0, 1, 65536},
	{"isolation.level", ANY_ROLE, WORD},
	{"check.crcs", ANY_ROLE, WORD},

	/* writing */
	{"message.copy.max.bytes", ANY_ROLE, NUMBER, 0, 0, 1048576},
	{"queue.buffering.max.messages", ANY_ROLE, NUMBER, 0, 1, 500000},
	{"queue.buffering.max.kbytes", ANY_ROLE, NUMBER, 0, 1, 65536},
	{"queue.buffering.max.ms", ANY_ROLE, NUMBER},
	{"linger.ms", ANY_ROLE, NUMBER},
	{"queue.buffering.backpressure.threshold", ANY_ROLE, NUMBER},
	{"message.send.max.retries", ANY_ROLE, NUMBER},
	{"retries", ANY_ROLE, NUMBER},
	{"batch.num.messages", ANY_ROLE, NUMBER, 0, 1, 100000},
	{"batch.size", ANY_ROLE, NUMBER, 0, 1, 52428800},
	{"compression.codec", ANY_ROLE, WORD},
	{"compression.type", ANY_ROLE, WORD},
	{"compression.level", ANY_ROLE, NUMBER},
	{"partitioner", ANY_ROLE, WORD},
	{"sticky.partitioning.linger.ms", ANY_ROLE, NUMBER},
	{"transaction.timeout.ms", ANY_ROLE, NUMBER},
	{"request.required.acks", ANY_ROLE, WORD},
	{"acks", ANY_ROLE, WORD},
	{"request.timeout.ms", ANY_ROLE, NUMBER},

	/* SSL */
	{"security.protocol", ANY_ROLE, WORD},
	{"ssl.cipher.suites", ANY_ROLE, TEXT},
	{"ssl.curves.list", ANY_ROLE, TEXT},
	{"ssl.sigalgs.list", ANY_ROLE, TEXT},
	{"ssl.ca.pem", ANY_ROLE, PEM},
	{"ssl.ca.location", FILE_READER, FILE_PATH},
	{"ssl.crl.location", FILE_READER, FILE_PATH},
	{"ssl.certificate.pem", ANY_ROLE, PEM, IN_MAPPING},
	{"ssl.certificate.location", FILE_READER, FILE_PATH, IN_MAPPING},
	{"ssl.key.pem", ANY_ROLE, PEM, SECRET},
	{"ssl.key.location", FILE_READER, FILE_PATH, IN_MAPPING},
	{"ssl.key.password", ANY_ROLE, TEXT, SECRET},
	{"ssl.keystore.location", FILE_READER, FILE_PATH, IN_MAPPING},
	{"ssl.keystore.password", ANY_ROLE, TEXT, SECRET},
	{"enable.ssl.certificate.verification", ANY_ROLE, WORD},
	{"ssl.endpoint.identification.algorithm", ANY_ROLE, WORD},
	{"https.ca.pem", ANY_ROLE, PEM},
	{"https.ca.location", FILE_READER, FILE_PATH},

	/* SASL */
	{"sasl.mechanisms", ANY_ROLE, MECHANISM},
	{"sasl.mechanism", ANY_ROLE, MECHANISM},
	{"sasl.username", ANY_ROLE, TEXT, IN_MAPPING},
	{"sasl.password", ANY_ROLE, TEXT, SECRET},
	{"sasl.kerberos.service.name", ANY_ROLE, PRINCIPAL},
	{"sasl.kerberos.principal", ANY_ROLE, PRINCIPAL, IN_MAPPING},
	{"sasl.kerberos.keytab", FILE_READER, FILE_PATH, IN_MAPPING},
	{"sasl.oauthbearer.config", ANY_ROLE, TOKEN_CONFIG, SECRET},
	{"enable.sasl.oauthbearer.unsecure.jwt", ANY_ROLE, WORD},
	{"sasl.oauthbearer.method", ANY_ROLE, WORD},
	{"sasl.oauthbearer.grant.type", ANY_ROLE, WORD},
	{"sasl.oauthbearer.client.id", ANY_ROLE, TEXT, IN_MAPPING},
	{"sasl.oauthbearer.client.secret", ANY_ROLE, TEXT, SECRET},
	{"sasl.oauthbearer.client.credentials.client.id", ANY_ROLE, TEXT, IN_MAPPING},
	{"sasl.oauthbearer.client.credentials.client.secret", ANY_ROLE, TEXT, SECRET},
	{"sasl.oauthbearer.scope", ANY_ROLE, TEXT, IN_MAPPING},
	{"sasl.oauthbearer.extensions", ANY_ROLE, TEXT},
	{"sasl.oauthbearer.sub.claim.name", ANY_ROLE, TEXT},
	{"sasl.oauthbearer.assertion.algorithm", ANY_ROLE, WORD},
	{"sasl.oauthbearer.assertion.private.key.pem", ANY_ROLE, PEM, SECRET},
	{"sasl.oauthbearer.assertion.private.key.passphrase", ANY_ROLE, TEXT, SECRET},
	{"sasl.oauthbearer.assertion.private.key.file", FILE_READER, FILE_PATH, IN_MAPPING},
	{"sasl.oauthbearer.assertion.file", FILE_READER, FILE_PATH, IN_MAPPING},
	{"sasl.oauthbearer.assertion.jwt.template.file", FILE_READER, FILE_PATH},
	{"sasl.oauthbearer.assertion.claim.aud", ANY_ROLE, TEXT},
	{"sasl.oauthbearer.assertion.claim.exp.seconds", ANY_ROLE, NUMBER},
	{"sasl.oauthbearer.assertion.claim.iss", ANY_ROLE, TEXT},
	{"sasl.oauthbearer.assertion.claim.jti.include", ANY_ROLE, WORD},
	{"sasl.oauthbearer.assertion.claim.nbf.seconds", ANY_ROLE, NUMBER},
	{"sasl.oauthbearer.assertion.claim.sub", ANY_ROLE, TEXT},

	/*
	 * These load code, run commands, or write into the log what the
	 * administrator pays for.  A token's endpoint is a URL that the server
	 * asks, file:// and hosts behind its firewall included, and whose answer
	 * is shown in errors; the metadata of a machine are the machine's own.
	 */
	{"plugin.library.paths", SUPERUSER, TEXT},
	{"ssl.engine.location", SUPERUSER, TEXT},
	{"ssl.engine.id", SUPERUSER, TEXT},
	{"ssl.providers", SUPERUSER, TEXT},
	{"sasl.kerberos.kinit.cmd", SUPERUSER, TEXT},
	{"sasl.kerberos.min.time.before.relogin", SUPERUSER, NUMBER},
	{"sasl.oauthbearer.token.endpoint.url", SUPERUSER, TEXT},
	{"sasl.oauthbearer.metadata.authentication.type", SUPERUSER, WORD},
	{"topic.blacklist", SUPERUSER, TEXT},
	{"debug", SUPERUSER, TEXT},
	{"log_level", SUPERUSER, NUMBER},

	/* What a stream promises hangs on these. */
	{"allow.auto.create.topics", NOBODY},
	{"auto.commit.enable", NOBODY},
	{"auto.commit.interval.ms", NOBODY},
	{"auto.offset.reset", NOBODY},
	{"delivery.report.only.error", NOBODY},
	{"delivery.timeout.ms", NOBODY},
	{"enable.auto.commit", NOBODY},
	{"enable.auto.offset.store", NOBODY},
	{"enable.gapless.guarantee", NOBODY},
	{"enable.idempotence", NOBODY},
	{"enable.partition.eof", NOBODY},
	{"enabled_events", NOBODY},
	{"log.queue", NOBODY},
	{"message.timeout.ms", NOBODY},
	{"offset.store.method", NOBODY},
	{"offset.store.path", NOBODY},
	{"offset.store.sync.interval.ms", NOBODY},
	{"queuing.strategy", NOBODY},
	{"transactional.id", NOBODY},

	/* Streams have no use for these: consumer groups, statistics, tests. */
	{"builtin.features", NOBODY},
	{"consume.callback.max.messages", NOBODY},
	{"coordinator.query.interval.ms", NOBODY},
	{"enable.random.seed", NOBODY},
	{"group.id", NOBODY},
	{"group.instance.id", NOBODY},
	{"group.protocol", NOBODY},
	{"group.protocol.type", NOBODY},
	{"group.remote.assignor", NOBODY},
	{"heartbeat.interval.ms", NOBODY},
	{"internal.termination.signal", NOBODY},
	{"max.poll.interval.ms", NOBODY},
	{"max.poll.records", NOBODY},
	{"partition.assignment.strategy", NOBODY},
	{"produce.offset.report", NOBODY},
	{"session.timeout.ms", NOBODY},
	{"share.acknowledgement.mode", NOBODY},
	{"statistics.interval.ms", NOBODY},
	{"test.mock.broker.rtt", NOBODY},
	{"test.mock.num.brokers", NOBODY},

	/* What takes a pointer. */
	{"background_event_cb", NOBODY},
	{"closesocket_cb", NOBODY},
	{"connect_cb", NOBODY},
	{"consume_cb", NOBODY},
	{"default_topic_conf", NOBODY},
	{"dr_cb", NOBODY},
	{"dr_msg_cb", NOBODY},
	{"error_cb", NOBODY},
	{"interceptors", NOBODY},
	{"log_cb", NOBODY},
	{"msg_order_cmp", NOBODY},
	{"oauthbearer_token_refresh_cb", NOBODY},
	{"offset_commit_cb", NOBODY},
	{"opaque", NOBODY},
	{"open_cb", NOBODY},
	{"partitioner_cb", NOBODY},
	{"rebalance_cb", NOBODY},
	{"resolve_cb", NOBODY},
	{"socket_cb", NOBODY},
	{"ssl.certificate.verify_cb", NOBODY},
	{"ssl_ca", NOBODY},
	{"ssl_certificate", NOBODY},
	{"ssl_engine_callback_data", NOBODY},
	{"ssl_key", NOBODY},
	{"stats_cb", NOBODY},
	{"throttle_cb", NOBODY},
	{"ut_handle_ProduceResponse", NOBODY},
};

static const KafkaProperty *find_property(const char *name);
static void check_class(const char *name, PropertyClass class);
static void check_characters(const KafkaProperty *property, const char *value);
static void check_number(const KafkaProperty *property, const char *value);
static void check_file_path(const KafkaProperty *property, const char *value);
static void check_principal(const KafkaProperty *property, const char *value);
static void check_mechanism(const KafkaProperty *property, const char *value);
static void check_brokers(const KafkaProperty *property, const char *value);
static void check_token_config(const KafkaProperty *property, const char *value);
pg_noreturn static void invalid_value(const char *name, const char *value, const char *detail);
static void apply_settings(rd_kafka_conf_t *conf, const StreamingKafkaSetting *settings,
						   bool forced);
static void apply_property(rd_kafka_conf_t *conf, const char *name, const char *value);
static void check_token_handler(rd_kafka_conf_t *conf, const char *name);
static const char *closest_property(const char *name);
static bool property_exists(const char *name);

/* ---------------------------------------------------------------------------
 * Who may set a property, and to what
 * ---------------------------------------------------------------------------
 */

void
streaming_kafka_check_property(const char *name, const char *value)
{
	const KafkaProperty *property = find_property(name);
	rd_kafka_conf_t *conf;

	if (property != NULL && property->class == NOBODY)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("librdkafka property \"%s\" cannot be set", name),
				 errdetail("Streams set it themselves, since what they promise depends on it, or have no use for it.")));
	if (property != NULL || property_exists(name))
		check_class(name, property ? property->class : SUPERUSER);
	if (property != NULL)
	{
		check_characters(property, value);
		switch (property->kind)
		{
			case NUMBER:
				check_number(property, value);
				break;
			case FILE_PATH:
				check_file_path(property, value);
				break;
			case PRINCIPAL:
				check_principal(property, value);
				break;
			case MECHANISM:
				check_mechanism(property, value);
				break;
			case BROKERS:
				check_brokers(property, value);
				break;
			case TOKEN_CONFIG:
				check_token_config(property, value);
				break;
			case WORD:
			case TEXT:
			case PEM:
				break;
		}
	}

	conf = rd_kafka_conf_new();
	PG_TRY();
	{
		apply_property(conf, name, value);
	}
	PG_FINALLY();
	{
		rd_kafka_conf_destroy(conf);
	}
	PG_END_TRY();
}

bool
streaming_kafka_is_property(const char *name)
{
	return property_exists(name);
}

bool
streaming_kafka_is_secret(const char *name)
{
	static const char *const suffixes[] = {".password", ".secret", ".passphrase", ".private.key.pem"};
	const KafkaProperty *property = find_property(name);
	int			length = strlen(name);

	if (property != NULL)
		return property->place & SECRET;

	/* Of what newer versions of librdkafka have, the names tell. */
	for (int i = 0; i < lengthof(suffixes); i++)
	{
		int			suffix = strlen(suffixes[i]);

		if (length > suffix && strcmp(name + length - suffix, suffixes[i]) == 0)
			return true;
	}
	return false;
}

bool
streaming_kafka_is_of_user(const char *name)
{
	const KafkaProperty *property = find_property(name);

	return (property != NULL && property->place != 0) || streaming_kafka_is_secret(name);
}

static const KafkaProperty *
find_property(const char *name)
{
	for (int i = 0; i < lengthof(properties); i++)
	{
		if (strcmp(properties[i].name, name) == 0)
			return &properties[i];
	}
	return NULL;
}

static void
check_class(const char *name, PropertyClass class)
{
	if (class == ANY_ROLE || superuser())
		return;
	if (class == FILE_READER && has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set librdkafka property \"%s\"", name),
			 class == FILE_READER ?
			 errdetail("Only roles with privileges of the \"%s\" role may make the server read a file.",
					   "pg_read_server_files") :
			 errdetail("Only a superuser may set it, since it acts on the server or in its name.")));
}

/*
 * No line of the log is to be forged, and no value is longer than it needs to
 * be.
 */
static void
check_characters(const KafkaProperty *property, const char *value)
{
	int			max = property->kind == PEM ? MAX_PEM : MAX_TEXT;

	if (strlen(value) > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of librdkafka property \"%s\" is too long", property->name),
				 errdetail("It may have %d bytes.", max)));
	for (const unsigned char *c = (const unsigned char *) value; *c; c++)
	{
		if ((*c < ' ' || *c == 0x7f) && !(property->kind == PEM && strchr("\r\n\t", *c)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("value of librdkafka property \"%s\" contains a control character",
							property->name)));
	}
}

/* What is no number librdkafka says. */
static void
check_number(const KafkaProperty *property, const char *value)
{
	char	   *end;
	int64		number;

	if (superuser() || (property->min == 0 && property->max == 0))
		return;
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno == 0 && end != value && *end == '\0' &&
		number >= property->min && number <= property->max)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for librdkafka property \"%s\": \"%s\"",
					property->name, value),
			 errdetail("It is a number from " INT64_FORMAT " to " INT64_FORMAT ", unless a superuser sets it.",
					   property->min, property->max)));
}

/* A keytab's path is part of a command, in quotes. */
static void
check_file_path(const KafkaProperty *property, const char *value)
{
	if (strpbrk(value, "\"\\`$") != NULL)
		invalid_value(property->name, value,
					  "The name of a file must not contain \", \\, ` or $.");
}

/* Part of a command, without quotes; it must not be taken for an option of it. */
static void
check_principal(const KafkaProperty *property, const char *value)
{
	static const char *const valid =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_@-";

	if (value[strspn(value, valid)] != '\0' || strchr("./_@-", value[0]) != NULL)
		invalid_value(property->name, value,
					  "It has letters, digits and the characters . / _ @ -, and begins with a letter or digit.");
}

/*
 * Kerberos knows the server by the tickets of its operating system user, which
 * are not a role's to use.
 */
static void
check_mechanism(const KafkaProperty *property, const char *value)
{
	static const char *const valid[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"};

	for (int i = 0; i < lengthof(valid); i++)
	{
		if (strcmp(value, valid[i]) == 0)
			return;
	}
	if (strcmp(value, "GSSAPI") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for librdkafka property \"%s\": \"%s\"",
						property->name, value),
				 errhint("Valid values are \"PLAIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-512\", \"OAUTHBEARER\" and \"GSSAPI\".")));
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set librdkafka property \"%s\" to \"%s\"",
						property->name, value),
				 errdetail("Only a superuser may let a stream use the Kerberos tickets of the server.")));
}

static void
check_brokers(const KafkaProperty *property, const char *value)
{
	int			n = 1;

	for (const char *c = value; *c; c++)
		n += *c == ',';
	if (n > MAX_BROKERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("librdkafka property \"%s\" names too many brokers", property->name),
				 errdetail("There are %d; at most %d are allowed.", n, MAX_BROKERS),
				 errhint("One broker that is up is enough, since it tells of the others.")));
}

/*
 * librdkafka would look at it only when it makes a token, and quote it then.
 * query is of the ways of newer versions to ask a machine for one.
 */
static void
check_token_config(const KafkaProperty *property, const char *value)
{
	static const char *const names[] = {"principalClaimName", "principal", "scopeClaimName",
	"scope", "lifeSeconds", "query"};
	bool		seen[lengthof(names)] = {false};
	char	   *rest = pstrdup(value);
	char	   *part;

	while ((part = strsep(&rest, " ")) != NULL)
	{
		char	   *equals = strchr(part, '=');
		bool		good = equals != NULL && strchr(part, '"') == NULL;
		int			i;

		if (part[0] == '\0')
			continue;
		if (good)
			*equals = '\0';
		for (i = 0; good && i < lengthof(names); i++)
		{
			if (strcmp(part, names[i]) == 0)
				break;
		}
		if (good && i < lengthof(names))
		{
			good = !seen[i] && equals[1] != '\0';
			seen[i] = true;
			if (good && strcmp(names[i], "lifeSeconds") == 0)
			{
				char	   *digits = equals + 1;

				good = strlen(digits) <= 7 && strspn(digits, "0123456789") == strlen(digits) &&
					atoi(digits) > 0 && atoi(digits) <= MAX_TOKEN_LIFE;
			}
		}
		else if (good)
		{
			const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
			char	   *key = part + strlen("extension_");

			good = strncmp(part, "extension_", strlen("extension_")) == 0 && key[0] != '\0' &&
				strspn(key, letters) == strlen(key) && strcmp(key, "auth") != 0;
			for (char *c = equals + 1; *c; c++)
				good = good && (unsigned char) *c < 0x7f;
		}
		if (!good)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for librdkafka property \"%s\"", property->name),
					 errhint("It has parts such as principal=name scope=a,b lifeSeconds=3600 extension_name=value, each once, separated by spaces.")));
	}
}

static void
invalid_value(const char *name, const char *value, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for librdkafka property \"%s\": \"%s\"", name, value),
			 errdetail("%s", detail)));
}

/* ---------------------------------------------------------------------------
 * Configurations
 * ---------------------------------------------------------------------------
 */

rd_kafka_conf_t *
streaming_kafka_conf(List *options, const StreamingKafkaSetting *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	PG_TRY();
	{
		ListCell   *cell;

		apply_settings(conf, settings, false);
		foreach(cell, options)
		{
			DefElem    *option = lfirst_node(DefElem, cell);

			apply_property(conf, option->defname, defGetString(option));
		}
		apply_settings(conf, settings, true);
	}
	PG_CATCH();
	{
		rd_kafka_conf_destroy(conf);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return conf;
}

/* Sets those of the settings that are forced, or those that are not. */
static void
apply_settings(rd_kafka_conf_t *conf, const StreamingKafkaSetting *settings, bool forced)
{
	for (; settings->name != NULL; settings++)
	{
		if (settings->forced == forced &&
			(!settings->optional || property_exists(settings->name)))
			apply_property(conf, settings->name, settings->value);
	}
}

static void
apply_property(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		text[STREAMING_KAFKA_TEXT];
	const char *closest;

	switch (rd_kafka_conf_set(conf, name, value, text, sizeof(text)))
	{
		case RD_KAFKA_CONF_OK:
			check_token_handler(conf, name);
			break;
		case RD_KAFKA_CONF_UNKNOWN:
			closest = closest_property(name);
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("librdkafka has no property \"%s\"", name),
					 closest ? errhint("Perhaps you meant \"%s\".", closest) :
					 errhint("The properties are described in librdkafka's CONFIGURATION.md.")));
			break;
		case RD_KAFKA_CONF_INVALID:
			/* text quotes the value */
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for librdkafka property \"%s\"", name),
					 streaming_kafka_is_secret(name) ? 0 : errdetail_internal("%s", text)));
			break;
	}
}

/*
 * Before 2.2, librdkafka's handler of unsecured tokens has no queue to ask for
 * the next token in, and the process ends with a segmentation fault when the
 * first one is about to expire.
 */
static void
check_token_handler(rd_kafka_conf_t *conf, const char *name)
{
	char		value[16];
	size_t		size = sizeof(value);

	if (strcmp(name, "enable.sasl.oauthbearer.unsecure.jwt") == 0 &&
		rd_kafka_version() < UNSECURED_TOKENS_VERSION &&
		rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK &&
		strcmp(value, "true") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("librdkafka property \"%s\" cannot be set with librdkafka %s",
						name, rd_kafka_version_str()),
				 errdetail("This version crashes when it renews an unsecured token."),
				 errhint("Use librdkafka 2.2 or later, or another mechanism or method.")));
}

/* Is there a property of this name?  (To set NULL is to set the default.) */
static bool
property_exists(const char *name)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		text[STREAMING_KAFKA_TEXT];
	rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, NULL, text, sizeof(text));

	rd_kafka_conf_destroy(conf);
	return result != RD_KAFKA_CONF_UNKNOWN;
}

/*
 * The property most like name, palloc'd, or NULL if none is like it.  A dump of
 * a configuration leaves out what is not set, so the names are taken from the
 * table that librdkafka prints for its manual: "name  | C/P | range | ...".
 */
static const char *
closest_property(const char *name)
{
	const char **names;
	const char *closest;
	char	   *table = NULL;
	size_t		size = 0;
	int			n = 0;
	int			lines = 1;
	FILE	   *file = open_memstream(&table, &size);

	if (file == NULL)
		return NULL;
	rd_kafka_conf_properties_show(file);
	fclose(file);

	for (char *c = table; *c != '\0'; c++)
		lines += *c == '\n';
	names = palloc(sizeof(char *) * lines);
	for (char *line = strtok(table, "\n"); line != NULL; line = strtok(NULL, "\n"))
	{
		int			length = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789.");

		if (length == 0 || line[length] != ' ')
			continue;
		line[length] = '\0';
		names[n++] = line;
	}
	closest = streaming_closest_match(name, names, n);
	if (closest != NULL)
		closest = pstrdup(closest);
	free(table);
	return closest;
}
