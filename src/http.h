/*
 * http.h
 *		Requests to a web server: the one wrapper of libcurl.
 *
 * libcurl may start threads, to resolve names; they are created with all signals
 * blocked, and no callback of ours touches PostgreSQL.  What is asked and who may say
 * so is the caller's matter; here is what holds for all: http and https only, no
 * redirects, an answer of bounded length, in bounded time, with interrupts heeded.
 */
#ifndef STREAMING_HTTP_H
#define STREAMING_HTTP_H

/* A longer answer is none. */
#define STREAMING_HTTP_MAX_ANSWER	(4 * 1024 * 1024)

typedef struct StreamingHttpRequest
{
	const char *url;
	const char *type;			/* of what is accepted, and of body */
	const char *body;			/* NULL: GET, else POST */
	const char *username;		/* NULL: no authentication */
	const char *password;
	const char *ca_pem;			/* NULL: the system's */
	const char *certificate_pem;	/* of the client; NULL: none */
	const char *key_pem;
} StreamingHttpRequest;

typedef struct StreamingHttpAnswer
{
	long		status;			/* 200 ... */
	char	   *body;			/* palloc'd, with a terminator; any bytes */
	size_t		length;
} StreamingHttpAnswer;

/* in http.c */

/*
 * Asks, and waits for the answer.  Returns false, with *trouble palloc'd and fit to be
 * shown, if there was none.  Errors: only those of interrupts.
 */
extern bool streaming_http_ask(const StreamingHttpRequest *request,
							   StreamingHttpAnswer *answer, char **trouble);

/*
 * Why the text is no address of a web server that requests can be made of by
 * appending a path; NULL if it is one.
 */
extern const char *streaming_http_check_url(const char *url);

/* A part of a path, in UTF-8 and with escapes where they are needed; palloc'd. */
extern char *streaming_http_escape(const char *part);

#endif							/* STREAMING_HTTP_H */
