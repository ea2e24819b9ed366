/*
 * row_image.h
 *		Bytes by which rows that are values can be compared.
 */
#ifndef STREAMING_ROW_IMAGE_H
#define STREAMING_ROW_IMAGE_H

/* Is type one of rows, or an array of them? */
extern bool streaming_has_rows(Oid type);

/*
 * A value of such a type, of which the same rows have the same bytes.  In
 * CurrentMemoryContext.
 */
extern Datum streaming_row_image(Datum value, Oid type);

#endif							/* STREAMING_ROW_IMAGE_H */
