"""Addresses from the standard input, one a line; for each a line "ADDRESS|ASN|AS NAME|COUNTRY CODE" to the standard output.

    loop.py DATABASE <ADDRESSES
"""

import sys

import maxminddb


def main():
    get = maxminddb.open_database(sys.argv[1], maxminddb.MODE_MMAP_EXT).get
    write = sys.stdout.write
    for line in sys.stdin:
        address = line.rstrip("\r\n")
        record = get(address) or {}
        write(f"{address}|{record.get('asn', '')}|{record.get('as_name', '')}|{record.get('country_code', '')}\n")


sys.stdout.reconfigure(line_buffering=False)
main()
