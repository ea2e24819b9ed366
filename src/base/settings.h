/*
 * settings.h
 *		Settings of a session that change what a query gives.
 *
 * A continuous view keeps those of the session that made it, so that all its
 * batches compute the same.  Records of a stream are read with settings that are
 * the same for everybody.  Nobody sets another setting this way.
 *
 * A list of settings is one of char *, "name=value".
 */
#ifndef STREAMING_SETTINGS_H
#define STREAMING_SETTINGS_H

#include "nodes/pg_list.h"

/* The setting of that name, whatever its case; NULL: there is none that is kept. */
extern const char *streaming_setting_name(const char *name);

/* Of "name=value", *value being the rest; NULL: it is no setting that is kept. */
extern const char *streaming_setting_parse(const char *setting, const char **value);

/* All of them as they are in this session, or as the records of streams are read. */
extern List *streaming_settings_of_session(void);
extern List *streaming_settings_of_records(void);

/*
 * The session begins with those that records are read with: who reads nothing else need
 * not set them each time.
 */
extern void streaming_settings_begin_with_records(void);

/*
 * A list with another value of one setting, which is checked and written out in
 * full; value NULL: this session's.  Errors are those of SET.
 */
extern List *streaming_settings_change(const List *settings, const char *name,
									   const char *value);

/*
 * Sets them until the caller's nest level of settings ends.  The error of a value
 * that is no longer valid says how to change it.
 */
extern void streaming_settings_use(const List *settings);

/*
 * As streaming_settings_use, over settings that only change with the server's: those of
 * a worker, who says so (streaming_settings_forget).  What was used last and is the
 * same is not compared with them again.
 */
extern void streaming_settings_use_known(const List *settings);
extern void streaming_settings_forget(void);

/*
 * What output functions write from now on, until the caller's nest level of settings
 * ends, is read by input functions as what it was, whatever the settings are there.
 */
extern void streaming_settings_write_exactly(void);

#endif							/* STREAMING_SETTINGS_H */
