/*
 * call_memo.h
 *		Functions of text that take long are not called again for what they were called for.
 */
#ifndef STREAMING_CALL_MEMO_H
#define STREAMING_CALL_MEMO_H

extern void streaming_call_memo_init(void);

/* The calls of the statement that the executor starts next are remembered. */
extern void streaming_remember_calls(void);

#endif							/* STREAMING_CALL_MEMO_H */
