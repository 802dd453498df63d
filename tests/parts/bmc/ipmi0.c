/* A /dev/ipmi0 for one process (LD_PRELOAD): the two ioctls of <linux/ipmi.h> in front of ipmi_sim's system interface.
 *
 * The simulator speaks its VM codec on TCP: sequence, netfn and LUN, command, data, checksum, ended by A0h; A0h, A1h and AAh
 * inside are written AAh and the byte with bit 4 set. BILBS_TEST_IPMI0 is the port, or `EACCES` for a device that may not
 * be opened.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ipmi.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { END = 0xA0, COMMAND = 0xA1, ESCAPE = 0xAA };

static int device = -1;
static long pending[256];

static int put(unsigned char *out, int at, unsigned char byte)
{
	if (byte == END || byte == COMMAND || byte == ESCAPE) {
		out[at++] = ESCAPE;
		byte |= 0x10;
	}
	out[at++] = byte;
	return at;
}

static int connect_simulator(const char *port)
{
	/* version 1 of the codec, then the power and reset lines that a machine has */
	static const unsigned char hello[] = { 0xFF, 1, COMMAND, 0x08, 0x1F, COMMAND };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port)) };
	int line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (line < 0 || connect(line, (struct sockaddr *)&to, sizeof(to)) < 0 || write(line, hello, sizeof(hello)) < 0)
		return -1;
	return line;
}

static int open_device(const char *path, int flags, mode_t mode, const char *symbol)
{
	const char *port = getenv("BILBS_TEST_IPMI0");
	int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, symbol);

	if (!port || strcmp(path, "/dev/ipmi0"))
		return real(path, flags, mode);
	if (!strcmp(port, "EACCES")) {
		errno = EACCES;
		return -1;
	}
	device = connect_simulator(port);
	return device;
}

int open(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_device(path, flags, mode, "open");
}

int open64(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
	va_end(more);
	return open_device(path, flags, mode, "open64");
}

static int send_command(const struct ipmi_req *request)
{
	static unsigned char sequence;
	const struct ipmi_system_interface_addr *to = (const void *)request->addr;
	unsigned char head[3], out[1200], sum = 0;
	int at = 0;

	if (to->addr_type != IPMI_SYSTEM_INTERFACE_ADDR_TYPE || request->msg.data_len > IPMI_MAX_MSG_LENGTH) {
		errno = EINVAL; /* no IPMB behind this one */
		return -1;
	}
	pending[++sequence] = request->msgid;
	head[0] = sequence;
	head[1] = (unsigned char)(request->msg.netfn << 2 | to->lun);
	head[2] = request->msg.cmd;
	for (int i = 0; i < 3; i++) {
		at = put(out, at, head[i]);
		sum += head[i];
	}
	for (int i = 0; i < request->msg.data_len; i++) {
		at = put(out, at, request->msg.data[i]);
		sum += request->msg.data[i];
	}
	at = put(out, at, (unsigned char)-sum);
	out[at++] = END;
	return write(device, out, at) == at ? 0 : -1;
}

static int receive_message(struct ipmi_recv *answer)
{
	unsigned char byte, in[600];
	int length = 0, escaped = 0;

	for (;;) {
		if (read(device, &byte, 1) != 1)
			return -1;
		if (byte == COMMAND) { /* the simulator's own talk: capabilities, power */
			length = escaped = 0;
		} else if (byte == END) {
			if (length >= 4)
				break;
			length = 0;
		} else if (byte == ESCAPE) {
			escaped = 1;
		} else if (length < (int)sizeof(in)) {
			in[length++] = escaped ? byte & ~0x10 : byte;
			escaped = 0;
		}
	}
	answer->recv_type = IPMI_RESPONSE_RECV_TYPE;
	answer->msgid = pending[in[0]];
	answer->msg.netfn = in[1] >> 2;
	answer->msg.cmd = in[2];
	length -= 4; /* head and checksum */
	if (length > answer->msg.data_len)
		length = answer->msg.data_len;
	memcpy(answer->msg.data, in + 3, length);
	answer->msg.data_len = (unsigned short)length;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	va_list more;
	va_start(more, request);
	void *argument = va_arg(more, void *);
	va_end(more);
	if (fd != device || device < 0)
		return real(fd, request, argument);
	if (request == IPMICTL_SEND_COMMAND)
		return send_command(argument);
	if (request == IPMICTL_RECEIVE_MSG_TRUNC)
		return receive_message(argument);
	errno = ENOTTY;
	return -1;
}
