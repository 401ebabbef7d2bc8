// A load of DNS queries over UDP to a port of 127.0.0.1, cheaper than the servers it measures: one thread, queries of one size sent
// in batches with UDP_SEGMENT (to the server they are packets like any), answers read with recvmmsg and each held against what
// the upstream of the benchmark answers. Prints a JSON object.
//
//   load PORT hit|miss|echo COUNT SECONDS CLIENTS WINDOW BATCH RATE FIRST TIMEOUT
//
// COUNT queries, or as many as go into SECONDS where it is 0; CLIENTS sockets with WINDOW queries under way each, which are opened at
// once; RATE a second, as many as the windows let through where it is 0. Names of hit and echo repeat; those of miss are numbered
// from FIRST. A query without an answer after TIMEOUT milliseconds is lost.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <math.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define READ 64      // answers a recvmmsg
#define NAMES 900    // of hit, three digits each
#define DIGITS 9     // of a label
#define HEADER 12
#define BUCKETS 2000 // of latencies: bucket i begins at e^(i/100) microseconds

static const char zone[] = "\5bench\7example\3org";

struct query {
	double sent; // 0 is answered or lost
	uint32_t number;
};

struct client {
	int fd;
	uint32_t next, oldest; // queries [oldest, next) may be under way; the low 16 bits are the ID
	int under_way, window;
	struct query *ring;
};

static int port, clients, window, batch, echo, miss;
static uint32_t ring_size = 64;
static long count, first;
static double rate, timeout;
static struct client *all;
static struct pollfd *ready;
static char query[64];
static int query_len;
static long sent, answered, right, failed, wrong, lost, next_number, latencies[BUCKETS];
static double latency, last_answer;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void make_query(void) {
	memcpy(query, "\0\0\1\0\0\1\0\0\0\0\0\0", HEADER);
	char *p = query + HEADER;
	*p++ = DIGITS + 1;
	*p++ = miss ? 'u' : 'n';
	p += DIGITS;
	memcpy(p, zone, sizeof zone); // its end is the root label
	p += sizeof zone;
	memcpy(p, "\0\1\0\1", 4);
	query_len = p + 4 - query;
}

static void name_query(char *q, uint32_t number) {
	for (int i = DIGITS; i > 0; i--, number /= 10)
		q[HEADER + 1 + i] = '0' + number % 10;
}

// address is what the upstream answers: FNV-1a over the labels of the name.
static uint32_t address(const unsigned char *q) {
	uint32_t h = 2166136261u;
	for (int i = HEADER; i < query_len - 5; i++)
		h = (h ^ q[i]) * 16777619u;
	return 10u << 24 | (h & 0xffffff);
}

static int is_right(const unsigned char *r, unsigned len, uint32_t number) {
	char want[64];
	memcpy(want, query, query_len);
	name_query(want, number);
	if (len < (unsigned)query_len || memcmp(r + HEADER, want + HEADER, query_len - HEADER))
		return 0;
	if (echo)
		return 1;
	// The address is behind the record's owner, a pointer to the question or the name once more, and 10 bytes.
	unsigned owner = (r[query_len] & 0xc0) == 0xc0 ? 2 : query_len - HEADER - 4, at = query_len + owner + 10;
	uint32_t is;
	if (len < at + sizeof is)
		return 0;
	memcpy(&is, r + at, sizeof is);
	return ntohl(is) == address(r);
}

// note takes an answer in. What fails is quickly said: latencies are those of right answers.
static void note(struct query *asked, const unsigned char *r, unsigned len, double t) {
	double took = t - asked->sent;
	asked->sent = 0;
	answered++;
	last_answer = t;
	if (r[3] & 15) {
		failed++;
	} else if (!is_right(r, len, asked->number)) {
		wrong++;
	} else {
		right++;
		latency += took;
		int bucket = took > 1e-6 ? log(took * 1e6) * 100 : 0;
		latencies[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	}
}

static void take_answers(struct client *c) {
	static unsigned char packets[READ][2048];
	static struct mmsghdr m[READ];
	static struct iovec parts[READ];
	for (int i = 0; i < READ; i++) {
		parts[i] = (struct iovec){packets[i], sizeof packets[i]};
		m[i].msg_hdr.msg_iov = &parts[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	int n = recvmmsg(c->fd, m, READ, MSG_DONTWAIT, 0);
	double t = now();
	for (int i = 0; i < n; i++) {
		if (m[i].msg_len < HEADER)
			continue;
		uint16_t id = packets[i][0] << 8 | packets[i][1];
		uint32_t behind = (uint16_t)(c->next - id);
		struct query *q = &c->ring[id & (ring_size - 1)];
		if (behind == 0 || behind > c->next - c->oldest || q->sent == 0)
			continue; // late, or never asked
		note(q, packets[i], m[i].msg_len, t);
		c->under_way--;
	}
}

// give_up counts what was lost. A client that lost some, halves its window, down to a batch: otherwise servers with little room for what
// comes in would drop it over and over, and idle until it times out.
static void give_up(struct client *c, double t) {
	long before = lost;
	for (; c->oldest != c->next; c->oldest++) {
		struct query *q = &c->ring[c->oldest & (ring_size - 1)];
		if (q->sent == 0)
			continue;
		if (t - q->sent < timeout)
			break;
		q->sent = 0;
		c->under_way--;
		lost++;
	}
	if (lost > before)
		c->window = c->window / 2 > batch ? c->window / 2 : batch;
}

static int has_room(struct client *c, int n) {
	return c->under_way + n <= c->window && c->next - c->oldest + n <= ring_size;
}

static void send_queries(struct client *c, int n) {
	static char packets[65536];
	double t = now();
	for (int i = 0; i < n; i++) {
		char *q = packets + i * query_len;
		uint32_t number = miss ? first + next_number : 100 + next_number % NAMES;
		next_number++;
		memcpy(q, query, query_len);
		name_query(q, number);
		q[0] = c->next >> 8;
		q[1] = c->next;
		c->ring[c->next & (ring_size - 1)] = (struct query){t, number};
		c->next++;
	}
	struct iovec part = {packets, n * query_len};
	char control[CMSG_SPACE(2)] = {0};
	struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
	if (n > 1) {
		h.msg_control = control;
		h.msg_controllen = sizeof control;
		struct cmsghdr *segment = CMSG_FIRSTHDR(&h);
		segment->cmsg_level = SOL_UDP;
		segment->cmsg_type = UDP_SEGMENT;
		segment->cmsg_len = CMSG_LEN(2);
		*(uint16_t *)CMSG_DATA(segment) = query_len;
	}
	if (sendmsg(c->fd, &h, 0) < 0) {
		perror("send");
		exit(1);
	}
	c->under_way += n;
	sent += n;
}

static void open_clients(void) {
	struct rlimit files = {clients + 64, clients + 64};
	setrlimit(RLIMIT_NOFILE, &files);
	while (ring_size < (uint32_t)window * 4 && ring_size < 32768)
		ring_size *= 2;
	all = calloc(clients, sizeof *all);
	ready = calloc(clients, sizeof *ready);
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < clients; i++) {
		int room = 4 << 20;
		all[i].window = window;
		all[i].ring = calloc(ring_size, sizeof *all[i].ring);
		all[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		setsockopt(all[i].fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
		if (connect(all[i].fd, (struct sockaddr *)&server, sizeof server)) {
			perror("connect");
			exit(1);
		}
		ready[i] = (struct pollfd){all[i].fd, POLLIN, 0};
	}
}

// wait_for waits for answers, but at most until a moment.
static void wait_for(double until) {
	double left = until - now();
	struct timespec t = {0};
	if (left > 0)
		t = (struct timespec){left, (left - (long)left) * 1e9};
	if (ppoll(ready, clients, &t, NULL) <= 0)
		return;
	for (int i = 0; i < clients; i++)
		if (ready[i].revents)
			take_answers(&all[i]);
}

// send_due sends what the windows have room for, and the rate lets through. It returns when the next query is due.
static double send_due(double begin, double end) {
	static int turn;
	double t = now(), later = t + 0.005;
	if (count ? sent >= count : t >= end)
		return later;
	if (rate > 0) {
		for (; sent < (t - begin) * rate && (!count || sent < count); turn = (turn + 1) % clients)
			if (has_room(&all[turn], 1))
				send_queries(&all[turn], 1);
			else
				return later;
		return begin + sent / rate;
	}
	for (int i = 0; i < clients; i++)
		while (has_room(&all[i], batch) && (!count || sent < count))
			send_queries(&all[i], batch);
	return later;
}

static double percentile(double share) {
	long n = 0;
	for (int i = 0; i < BUCKETS; i++)
		if ((n += latencies[i]) >= share * right && right)
			return exp(i / 100.0);
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 11) {
		fprintf(stderr, "usage: load PORT hit|miss|echo COUNT SECONDS CLIENTS WINDOW BATCH RATE FIRST TIMEOUT\n");
		return 2;
	}
	port = atoi(argv[1]);
	miss = !strcmp(argv[2], "miss");
	echo = !strcmp(argv[2], "echo");
	count = atol(argv[3]);
	clients = atoi(argv[5]);
	window = atoi(argv[6]);
	batch = atoi(argv[7]);
	rate = atof(argv[8]);
	first = atol(argv[9]);
	timeout = atof(argv[10]) / 1000;
	prctl(PR_SET_TIMERSLACK, 1); // paced queries are to leave one by one, not as the kernel finds it convenient
	make_query();
	open_clients();
	double begin = now(), end = begin + atof(argv[4]);
	for (double t = begin, swept = begin;; t = now()) {
		double due = send_due(begin, end);
		if ((count ? sent >= count : t >= end) && answered + lost >= sent)
			break;
		wait_for(due);
		if (t - swept > 0.01) {
			for (int i = 0; i < clients; i++)
				give_up(&all[i], t);
			swept = t;
		}
	}
	double took = (last_answer > begin ? last_answer : now()) - begin;
	printf("{\"sent\":%ld,\"answered\":%ld,\"right\":%ld,\"failed\":%ld,\"wrong\":%ld,\"lost\":%ld,\"seconds\":%.6f,\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f}\n",
		   sent, answered, right, failed, wrong, lost, took, right ? latency / right * 1e6 : 0, percentile(0.5), percentile(0.99));
}
