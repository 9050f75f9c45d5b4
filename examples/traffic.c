/* SPDX-License-Identifier: MIT */
/*
 * Traffic of known size on local addresses, for the demo and the specs of the
 * connection tracker: TCP and UDP connections and pings, both ends in this
 * process, and an account of what each connection sent.
 *
 * It obeys commands, one a line on standard input, and leaves at its end, not
 * at an interrupt. Each is answered on standard output (or into the file named
 * as argument, which it removes when it leaves) by any number of "conn" lines
 * and then "ok", or "error: reason".
 *
 *   tcp TAG ADDRESS PORT CONNECTIONS UP DOWN
 *       Opens connections and sends UP bytes from the client to the server
 *       and DOWN bytes back on each.
 *   udp TAG ADDRESS PORT CONNECTIONS PACKETS SIZE REPLIES REPLY_SIZE
 *   ping TAG ADDRESS PACKETS SIZE
 *       Echo requests, each answered by the kernel.
 *   stream TAG MILLISECONDS INTERVAL
 *       Sends 32 bytes on every connection of TAG, again and again, for so long
 *       or until standard input is closed.
 *   report TAG
 *       Waits until nothing is on its way any more, then tells about each
 *       connection of TAG ("*": all of them):
 *       conn TAG PROTOCOL FROM PORT TO PORT PACKETS BYTES PACKETS BYTES
 *       The two pairs are what was sent and what came back. Bytes begin at
 *       the IP header. Those of TCP are from the kernel's own account of the
 *       two sockets (TCP_INFO).
 *   close TAG
 *   private
 *       From now on sockets are made in a network of this process's own, where
 *       nobody else's packets are on lo.
 *
 * A PORT that is taken is replaced by a free one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNS 4096
/* A step that every socket buffer takes at once: no end ever waits for the other. */
#define CHUNK 16384u
/* Longer than a packet takes on lo, on a busy machine too. */
#define SETTLE_MS 50
#define STREAM_BYTES 32
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129

enum protocol { TCP, UDP, ICMP };

static const char *const protocol_names[] = { "tcp", "udp", "icmp" };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct conn {
	char tag[16];
	enum protocol protocol;
	int client, server;
	union address from, to;
	uint64_t packets, bytes, reply_packets, reply_bytes;	/* bytes: payload; TCP: not used */
};

static struct conn conns[MAX_CONNS];
static unsigned nconns;
static char payload[65536];
static FILE *out;

/* ---- answers and failure --------------------------------------------------- */

/* Says what failed and why; false, so that callers can return it. */
static bool fail(const char *what)
{
	fprintf(out, "error: %s: %s\n", what, strerror(errno));
	return false;
}

static bool refuse(const char *why)
{
	fprintf(out, "error: %s\n", why);
	return false;
}

static void wait_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- addresses and sockets ------------------------------------------------- */

static bool parse_address(const char *text, unsigned port, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons((uint16_t)port);
		return true;
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons((uint16_t)port);
	return inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1 || refuse("not an IP address");
}

static socklen_t address_size(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

static unsigned port_of(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

static const char *text_of(const union address *a, char *buf, socklen_t size)
{
	if (a->any.sa_family == AF_INET)
		return inet_ntop(AF_INET, &a->in.sin_addr, buf, size);
	return inet_ntop(AF_INET6, &a->in6.sin6_addr, buf, size);
}

/* A socket; -1 after saying why. A packet that is lost is an error, not a wait for ever. */
static int new_socket(int family, int type, int protocol)
{
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return fail("socket"), -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/*
 * A socket bound to a, which gets the port used; -1 after saying why. Only TCP reuses the
 * address: two UDP sockets that do may both be bound to a port, and one gets all its packets.
 */
static int bound_socket(int type, union address *a)
{
	socklen_t size = address_size(a);
	int one = type == SOCK_STREAM, fd = new_socket(a->any.sa_family, type, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a->any, size) != 0 && errno == EADDRINUSE) {
		a->in.sin_port = 0;	/* the same place in sockaddr_in6 */
		errno = bind(fd, &a->any, size) == 0 ? 0 : errno;
	}
	if (getsockname(fd, &a->any, &size) != 0 || port_of(a) == 0) {
		fail("bind");
		close(fd);
		return -1;
	}
	return fd;
}

/* A socket connected to a; from gets its own address. */
static int connected_socket(int type, const union address *a, union address *from)
{
	socklen_t size = sizeof(*from);
	int fd = new_socket(a->any.sa_family, type, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, &a->any, address_size(a)) == 0 &&
	    getsockname(fd, &from->any, &size) == 0)
		return fd;
	fail("connect");
	close(fd);
	return -1;
}

static struct conn *new_conn(const char *tag, enum protocol protocol)
{
	struct conn *c = &conns[nconns];

	if (nconns == MAX_CONNS) {
		refuse("too many connections");
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	snprintf(c->tag, sizeof(c->tag), "%s", tag);
	c->protocol = protocol;
	c->client = c->server = -1;
	return c;
}

/* ---- TCP ------------------------------------------------------------------- */

/* Sends size bytes from one end and receives them at the other. */
static bool transfer(int from, int to, uint64_t size)
{
	static char buf[CHUNK];

	while (size > 0) {
		size_t n = size < CHUNK ? (size_t)size : CHUNK;

		if (send(from, payload, n, MSG_NOSIGNAL) != (ssize_t)n)
			return fail("send");
		if (recv(to, buf, n, MSG_WAITALL) != (ssize_t)n)
			return fail("recv");
		size -= n;
	}
	return true;
}

static bool tcp_open(int listener, const char *tag, const union address *to, uint64_t up,
		     uint64_t down)
{
	struct conn *c = new_conn(tag, TCP);

	if (!c)
		return false;
	c->to = *to;
	c->client = connected_socket(SOCK_STREAM, to, &c->from);
	if (c->client < 0)
		return false;
	nconns++;
	c->server = accept(listener, NULL, NULL);
	if (c->server < 0)
		return fail("accept");
	return transfer(c->client, c->server, up) && transfer(c->server, c->client, down);
}

static bool do_tcp(char *const arg[], const unsigned long number[])
{
	union address to;
	bool ok = true;
	int listener;

	if (!parse_address(arg[1], (unsigned)number[2], &to))
		return false;
	listener = bound_socket(SOCK_STREAM, &to);
	if (listener < 0)
		return false;
	if (listen(listener, 128) != 0)
		ok = fail("listen");
	for (unsigned long i = 0; ok && i < number[3]; i++)
		ok = tcp_open(listener, arg[0], &to, number[4], number[5]);
	close(listener);
	return ok;
}

/* Has an acknowledgement that is put off (40 to 200 ms) sent now. */
static void acknowledge(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

static bool tcp_info(int fd, struct tcp_info *info)
{
	socklen_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 || fail("TCP_INFO");
}

/*
 * The options of a SYN, in bytes, and those of each later packet. Both ends
 * have the same settings, so that what one offers both take. Source:
 * net/ipv4/tcp_output.c, tcp_syn_options and tcp_established_options.
 */
static unsigned tcp_options(const struct tcp_info *info, unsigned *each)
{
	bool timestamps = info->tcpi_options & TCPI_OPT_TIMESTAMPS;
	bool scale = info->tcpi_options & TCPI_OPT_WSCALE, sack = info->tcpi_options & TCPI_OPT_SACK;

	*each = timestamps ? 12 : 0;
	return 4 + *each + (scale ? 4 : 0) + (sack && !timestamps ? 4 : 0);
}

/* Sent and received by the client's end, SYN and acknowledgements too; bytes with TCP headers. */
static bool tcp_account(struct conn *c)
{
	struct tcp_info client, server;
	unsigned syn, each;

	if (!tcp_info(c->client, &client) || !tcp_info(c->server, &server))
		return false;
	syn = tcp_options(&client, &each);
	c->packets = client.tcpi_segs_out;
	c->bytes = client.tcpi_bytes_sent + c->packets * (20 + each) + syn - each;
	c->reply_packets = client.tcpi_segs_in;
	c->reply_bytes = server.tcpi_bytes_sent + c->reply_packets * (20 + each) + syn - each;
	return true;
}

/* ---- UDP ------------------------------------------------------------------- */

static bool udp_send(struct conn *c, size_t size)
{
	if (send(c->client, payload, size, 0) != (ssize_t)size)
		return fail("send");
	if (recv(c->server, payload, sizeof(payload), 0) != (ssize_t)size)
		return fail("recv");
	c->packets++;
	c->bytes += size;
	return true;
}

static bool udp_reply(struct conn *c, size_t size)
{
	if (sendto(c->server, payload, size, 0, &c->from.any, address_size(&c->from)) !=
	    (ssize_t)size)
		return fail("sendto");
	if (recv(c->client, payload, sizeof(payload), 0) != (ssize_t)size)
		return fail("recv");
	c->reply_packets++;
	c->reply_bytes += size;
	return true;
}

/* Each connection has a descriptor of its own for the one server socket. */
static struct conn *udp_open(int server, const char *tag, const union address *to)
{
	struct conn *c = new_conn(tag, UDP);

	if (!c)
		return NULL;
	c->to = *to;
	c->client = connected_socket(SOCK_DGRAM, to, &c->from);
	if (c->client < 0)
		return NULL;
	nconns++;
	c->server = dup(server);
	if (c->server < 0) {
		fail("dup");
		return NULL;
	}
	return c;
}

static bool do_udp(char *const arg[], const unsigned long number[])
{
	union address to;
	bool ok = true;
	int server;

	if (!parse_address(arg[1], (unsigned)number[2], &to))
		return false;
	server = bound_socket(SOCK_DGRAM, &to);
	if (server < 0)
		return false;
	for (unsigned long i = 0; ok && i < number[3]; i++) {
		struct conn *c = udp_open(server, arg[0], &to);

		ok = c != NULL;
		for (unsigned long n = 0; ok && n < number[4]; n++)
			ok = udp_send(c, number[5]);
		for (unsigned long n = 0; ok && n < number[6]; n++)
			ok = udp_reply(c, number[7]);
	}
	close(server);
	return ok;
}

/* ---- ICMP ------------------------------------------------------------------ */

struct echo {
	struct {
		uint8_t type, code;
		uint16_t checksum, id, sequence;
	} header;
	char data[2048];
};

/* RFC 1071; size is even. */
static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size / 2; i++)
		sum += p[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~(sum + (sum >> 16));
}

/* The answer to id and sequence comes among other ICMP packets. */
static bool await_reply(const struct conn *c, const struct echo *request)
{
	static uint8_t buf[4096];
	bool ipv4 = c->to.any.sa_family == AF_INET;
	uint8_t answer = ipv4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;

	for (;;) {
		ssize_t n = recv(c->client, buf, sizeof(buf), 0);
		size_t skip = ipv4 ? (size_t)(buf[0] & 15) * 4 : 0;
		const struct echo *e = (const void *)(buf + skip);

		if (n < 0)
			return fail("no echo reply");
		if ((size_t)n >= skip + sizeof(e->header) && e->header.type == answer &&
		    e->header.id == request->header.id &&
		    e->header.sequence == request->header.sequence)
			return true;
	}
}

static bool ping_once(struct conn *c, uint16_t id, size_t size)
{
	bool ipv4 = c->to.any.sa_family == AF_INET;
	struct echo e;

	memset(&e, 0, sizeof(e));
	e.header.type = ipv4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	e.header.id = htons(id);
	e.header.sequence = htons((uint16_t)(c->packets + 1));
	if (ipv4)
		e.header.checksum = checksum(&e, sizeof(e.header) + size);
	if (send(c->client, &e, sizeof(e.header) + size, 0) < 0)
		return fail("send");
	c->packets++;
	c->bytes += size;
	if (!await_reply(c, &e))
		return false;
	c->reply_packets++;
	c->reply_bytes += size;
	return true;
}

static bool do_ping(char *const arg[], const unsigned long number[])
{
	uint16_t id = (uint16_t)(getpid() + (int)nconns);
	struct conn *c = new_conn(arg[0], ICMP);
	size_t size = number[3] & ~1ul;
	bool ok = true;

	if (!c || !parse_address(arg[1], 0, &c->to))
		return false;
	if (size > sizeof(((struct echo *)0)->data))
		return refuse("a ping has up to 2048 bytes");
	c->client = new_socket(c->to.any.sa_family, SOCK_RAW,
			       c->to.any.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (c->client < 0)
		return false;
	nconns++;
	if (connect(c->client, &c->to.any, address_size(&c->to)) != 0)
		return fail("connect");
	c->from = c->to;
	for (unsigned long n = 0; ok && n < number[2]; n++)
		ok = ping_once(c, id, size);
	c->from.in.sin_port = c->to.in.sin_port = htons(id);
	return ok;
}

/* ---- the other commands ---------------------------------------------------- */

static bool has_tag(const struct conn *c, const char *tag)
{
	return strcmp(tag, "*") == 0 || strcmp(c->tag, tag) == 0;
}

static bool send_some(struct conn *c)
{
	if (c->protocol == UDP)
		return udp_send(c, STREAM_BYTES);
	if (c->protocol == ICMP)
		return ping_once(c, (uint16_t)port_of(&c->to), STREAM_BYTES);
	return transfer(c->client, c->server, STREAM_BYTES);
}

static bool hung_up(void)
{
	struct pollfd input = { .fd = STDIN_FILENO };

	return poll(&input, 1, 0) == 1 && input.revents & POLLHUP;
}

static bool do_stream(char *const arg[], const unsigned long number[])
{
	uint64_t end = now_ms() + number[1];
	bool ok = true;

	do {
		for (unsigned i = 0; ok && i < nconns; i++)
			if (has_tag(&conns[i], arg[0]))
				ok = send_some(&conns[i]);
		wait_ms((unsigned)number[2]);
	} while (ok && now_ms() < end && !hung_up());
	return ok;
}

/* The bytes of all packets, given those of their payload (TCP: of header and payload). */
static uint64_t ip_bytes(const struct conn *c, uint64_t packets, uint64_t bytes)
{
	unsigned ip = c->to.any.sa_family == AF_INET ? 20 : 40;

	return bytes + packets * (c->protocol == TCP ? ip : ip + 8);
}

static bool report(struct conn *c)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	bool icmpv6 = c->protocol == ICMP && c->to.any.sa_family == AF_INET6;

	if (c->protocol == TCP && !tcp_account(c))
		return false;
	fprintf(out, "conn %s %s %s %u %s %u %llu %llu %llu %llu\n", c->tag,
		icmpv6 ? "icmpv6" : protocol_names[c->protocol],
		text_of(&c->from, from, sizeof(from)), port_of(&c->from),
		text_of(&c->to, to, sizeof(to)), port_of(&c->to),
		(unsigned long long)c->packets,
		(unsigned long long)ip_bytes(c, c->packets, c->bytes),
		(unsigned long long)c->reply_packets,
		(unsigned long long)ip_bytes(c, c->reply_packets, c->reply_bytes));
	return true;
}

static bool do_report(char *const arg[], const unsigned long number[])
{
	bool ok = true;

	(void)number;
	for (unsigned i = 0; i < nconns; i++) {
		if (conns[i].protocol == TCP) {
			acknowledge(conns[i].server);
			acknowledge(conns[i].client);
		}
	}
	wait_ms(SETTLE_MS);
	for (unsigned i = 0; ok && i < nconns; i++)
		if (has_tag(&conns[i], arg[0]))
			ok = report(&conns[i]);
	return ok;
}

static bool do_close(char *const arg[], const unsigned long number[])
{
	unsigned kept = 0;

	(void)number;
	for (unsigned i = 0; i < nconns; i++) {
		if (!has_tag(&conns[i], arg[0])) {
			conns[kept++] = conns[i];
			continue;
		}
		close(conns[i].client);
		if (conns[i].server >= 0)
			close(conns[i].server);
	}
	nconns = kept;
	return true;
}

static bool do_private(char *const arg[], const unsigned long number[])
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bool ok;
	int fd;

	(void)arg;
	(void)number;
	if (unshare(CLONE_NEWNET) != 0)
		return fail("unshare");
	fd = new_socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return false;
	ok = ioctl(fd, SIOCSIFFLAGS, &lo) == 0 || fail("lo");
	close(fd);
	return ok;
}

/* ---- command lines --------------------------------------------------------- */

#define MAX_WORDS 9

static const struct {
	const char *name;
	unsigned args;		/* after the name */
	unsigned words;		/* of them, those that are not numbers */
	bool (*run)(char *const arg[], const unsigned long number[]);
} commands[] = {
	{ "tcp", 6, 2, do_tcp },       { "udp", 8, 2, do_udp },	      { "ping", 4, 2, do_ping },
	{ "stream", 3, 1, do_stream }, { "report", 1, 1, do_report }, { "close", 1, 1, do_close },
	{ "private", 0, 0, do_private },
};

static bool numbers(char *const arg[], unsigned from, unsigned n, unsigned long number[])
{
	for (unsigned i = from; i < n; i++) {
		char *end;

		number[i] = strtoul(arg[i], &end, 10);
		if (*end)
			return refuse("not a number");
	}
	return true;
}

static bool obey(char *line)
{
	char *word[MAX_WORDS + 1] = { NULL };
	unsigned long number[MAX_WORDS] = { 0 };
	unsigned n = 0;

	for (char *w = strtok(line, " \n"); w && n <= MAX_WORDS; w = strtok(NULL, " \n"))
		word[n++] = w;
	if (n == 0)
		return true;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word[0], commands[i].name) != 0)
			continue;
		if (n - 1 != commands[i].args)
			return refuse("wrong number of arguments");
		return numbers(word + 1, commands[i].words, n - 1, number) &&
		       commands[i].run(word + 1, number);
	}
	return refuse("unknown command");
}

int main(int argc, char **argv)
{
	char line[256];
	int status = 0;

	signal(SIGINT, SIG_IGN);
	out = argc > 1 ? fopen(argv[1], "w") : stdout;
	if (!out) {
		perror(argv[1]);
		return 1;
	}
	while (status == 0 && fgets(line, sizeof(line), stdin)) {
		if (obey(line))
			fputs("ok\n", out);
		status = fflush(out) != 0;
	}
	if (argc > 1)
		remove(argv[1]);
	return status;
}
