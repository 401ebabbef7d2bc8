"""An access log from the standard input to the standard output, with AS number and country behind the client's address.

    loop.py DATABASE [cache] <access.log
"""

import sys

import maxminddb


def main():
    get = maxminddb.open_database(sys.argv[1], maxminddb.MODE_MMAP_EXT).get

    def answer(address):
        record = get(address) or {}
        known = [v for v in (record.get("asn"), record.get("country_code")) if v]
        return f"[{' '.join(known)}]" if known else ""

    answers = {}
    cache = len(sys.argv) > 2
    write = sys.stdout.write
    for line in sys.stdin:
        address, space, rest = line.partition(" ")
        if cache:
            text = answers.get(address)
            if text is None:
                text = answers[address] = answer(address)
        else:
            text = answer(address)
        write(f"{address}{text}{space}{rest}")


sys.stdin.reconfigure(errors="surrogateescape")
sys.stdout.reconfigure(errors="surrogateescape", line_buffering=False)
main()
