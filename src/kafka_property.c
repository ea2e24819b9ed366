/*
 * kafka_property.c
 *		The properties of librdkafka: which there are, which a user may set.
 */
#include "postgres.h"

#include <stdio.h>

#include "catalog/pg_authid.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"

#include "streaming.h"

#include "closest_match.h"
#include "kafka.h"

/* What a user may not set, since the promises of a stream hang on it. */
static const char *const reserved[] = {
	"auto.commit.enable", "auto.offset.reset", "background_event_cb",
	"enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof",
	"enable.idempotence", "enable.gapless.guarantee", "log.queue",
	"message.timeout.ms", "offset.store.method", "transactional.id", NULL
};

/*
 * What lets librdkafka load code, run a program or read a file as the
 * server's operating system user.
 */
static const struct
{
	const char *name;
	bool		program;		/* else: a file */
}			privileged[] = {
	{"plugin.library.paths", true},
	{"sasl.kerberos.kinit.cmd", true},
	{"sasl.kerberos.keytab", false},
	{"ssl.engine.location", true},
	{"ssl.providers", true},
	{"https.ca.location", false},
	{"sasl.oauthbearer.assertion.file", false},
	{"sasl.oauthbearer.assertion.private.key.file", false},
	{"sasl.oauthbearer.assertion.jwt.template.file", false},
	{"ssl.ca.location", false},
	{"ssl.certificate.location", false},
	{"ssl.crl.location", false},
	{"ssl.key.location", false},
	{"ssl.keystore.location", false},
	{NULL, false}
};

static void apply_settings(rd_kafka_conf_t *conf, const StreamingKafkaSetting *settings,
						   bool forced);
static void apply_property(rd_kafka_conf_t *conf, const char *name, const char *value);
static const char *closest_property(const char *name);
static bool property_exists(const char *name);

void
streaming_kafka_check_property(const char *name, const char *value)
{
	rd_kafka_conf_t *conf;

	for (int i = 0; reserved[i] != NULL; i++)
	{
		if (strcmp(name, reserved[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("librdkafka property \"%s\" cannot be set", name),
					 errdetail("Streams set it themselves, because what they promise depends on it.")));
	}

	for (int i = 0; privileged[i].name != NULL; i++)
	{
		if (strcmp(name, privileged[i].name) != 0 || superuser())
			continue;
		if (!privileged[i].program &&
			has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set librdkafka property \"%s\"", name),
				 privileged[i].program ?
				 errdetail("Only a superuser may make the server run code.") :
				 errdetail("Only a role with privileges of \"pg_read_server_files\" may make the server read a file.")));
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
			/* text quotes the value; a secret takes any value, so is not told */
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for librdkafka property \"%s\"", name),
					 errdetail_internal("%s", text)));
			break;
	}
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
