/* Hexadecimal text for the test programs. */
#ifndef TESTS_HEX_H
#define TESTS_HEX_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints n bytes as digits, without a line end. */
__attribute__((unused)) static void print_hex(const void *data, size_t n)
{
	const unsigned char *byte = data;
	while (n--)
		printf("%02x", *byte++);
}

/* Returns the bytes that the text up to the first other character spells; *n is their number. The caller frees them. */
__attribute__((unused)) static char *parse_hex(const char *text, int *n)
{
	size_t digits = strspn(text, "0123456789abcdef");
	char *bytes = malloc(digits / 2 + 1);
	size_t i;
	for (i = 0; i < digits / 2; i++) {
		unsigned value = 0;
		sscanf(text + 2 * i, "%2x", &value);
		bytes[i] = (char)value;
	}
	*n = (int)(digits / 2);
	return bytes;
}

/* Reads one line of any length without its end; NULL at the end of the input. The caller frees it. */
__attribute__((unused)) static char *read_line(void)
{
	char *line = NULL;
	size_t room = 0, used = 0;
	int c;
	while ((c = getchar()) != EOF && c != '\n') {
		if (used + 1 >= room && !(line = realloc(line, room = 2 * room + 100)))
			exit(9);
		line[used++] = (char)c;
	}
	if (c == EOF && !used)
		return NULL;
	if (!line && !(line = malloc(1)))
		exit(9);
	line[used] = 0;
	return line;
}

#endif
