# The style of the Python originals' server: a thread a connection, and a dict.
import http.server
import json
import sys

stamp = "Sat, 21 Nov 2026 00:00:00 GMT"
answers = {}
with open(sys.argv[1]) as names:
    for name in names:
        answers["/" + name.rstrip("\n")] = stamp


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one write

    def do_GET(self):
        seen = answers.get(self.path)
        body = json.dumps(
            {"alerts": ["No whois record for " + self.path[1:]], "category": "ERROR", "freq_score": [7.1568, 6.3527],
             "seen_by_isc": "ERROR", "seen_by_web": "ERROR", "seen_by_you": seen}, separators=(",", ":")).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print("127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
