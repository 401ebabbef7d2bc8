// The limit: an echo of UDP packets with QR set, read and written in batches, on one socket of 127.0.0.1. It knows no DNS.
// Prints the address it listens on.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 32
#define SIZE 4096

int main(void) {
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof self;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (bind(fd, (struct sockaddr *)&self, sizeof self) || getsockname(fd, (struct sockaddr *)&self, &len)) {
		perror("bind");
		return 1;
	}
	printf("127.0.0.1:%d\n", ntohs(self.sin_port));
	fflush(stdout);

	static char packets[BATCH][SIZE];
	struct mmsghdr m[BATCH] = {0};
	struct iovec parts[BATCH];
	struct sockaddr_in from[BATCH];
	for (int i = 0; i < BATCH; i++) {
		parts[i].iov_base = packets[i];
		m[i].msg_hdr.msg_iov = &parts[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &from[i];
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			parts[i].iov_len = SIZE;
			m[i].msg_hdr.msg_namelen = sizeof from[i];
		}
		int n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, 0);
		for (int i = 0; i < n; i++) {
			parts[i].iov_len = m[i].msg_len;
			packets[i][2] |= 0x80;
		}
		for (int sent = 0; sent < n;) {
			int w = sendmmsg(fd, m + sent, n - sent, 0);
			if (w <= 0)
				break;
			sent += w;
		}
	}
}
