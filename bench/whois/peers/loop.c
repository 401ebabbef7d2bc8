/* Addresses from the standard input, one a line; for each a line "ADDRESS|ASN|AS NAME|COUNTRY CODE" to the standard output.
 *
 *     loop DATABASE <ADDRESSES
 */
#include <arpa/inet.h>
#include <maxminddb.h>
#include <stdio.h>
#include <string.h>

static void field(MMDB_lookup_result_s *found, const char *key)
{
	MMDB_entry_data_s value;

	putchar_unlocked('|');
	if (found->found_entry && MMDB_get_value(&found->entry, &value, key, NULL) == MMDB_SUCCESS && value.has_data &&
	    value.type == MMDB_DATA_TYPE_UTF8_STRING)
		fwrite_unlocked(value.utf8_string, 1, value.data_size, stdout);
}

int main(int argc, char **argv)
{
	static char in[1 << 16], out[1 << 16], line[256];
	struct sockaddr_in address = {.sin_family = AF_INET};
	MMDB_s database;
	int error;

	if (argc != 2 || MMDB_open(argv[1], MMDB_MODE_MMAP, &database) != MMDB_SUCCESS) {
		fprintf(stderr, "loop DATABASE <ADDRESSES\n");
		return 1;
	}
	setvbuf(stdin, in, _IOFBF, sizeof in);
	setvbuf(stdout, out, _IOFBF, sizeof out);
	while (fgets_unlocked(line, sizeof line, stdin)) {
		line[strcspn(line, "\r\n")] = 0;
		MMDB_lookup_result_s found = {0};
		if (inet_pton(AF_INET, line, &address.sin_addr) == 1)
			found = MMDB_lookup_sockaddr(&database, (struct sockaddr *)&address, &error);
		fputs_unlocked(line, stdout);
		field(&found, "asn");
		field(&found, "as_name");
		field(&found, "country_code");
		putchar_unlocked('\n');
	}
	return 0;
}
