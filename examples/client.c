/* A client of vfindd in C11 and POSIX: one thread, one poll loop, several files at once.
 *
 *     cc -std=c11 -Wall -Wextra -O2 -o client client.c
 *     ./client [-s HOST[:PORT]] [-l] [-t SECONDS] FILE...
 *
 * Sends each file to the server (SCAN/REQUEST), or with -l only its name (SCAN/FILE), and prints what was found and what
 * was not examined. With -l a FILE may be a folder. -t is how long the server may be silent while it owes an answer.
 * Exit codes: 23 something was found, 1 no server or lost, 2 something is not known to be clean, 0 all clean, 255 wrong usage.
 *
 * A file is clean only if the server said so about all of its content. Every Exxx, a lost connection and an answer that
 * never came mean: not known to be clean.
 */

#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The server runs so many requests of a connection at the same time; more would only wait there. */
enum { AT_ONCE = 16 };
/* No reply is longer: 33 names of 4 KiB, four bytes for each of theirs. */
enum { LONGEST_LINE = 1 << 20, BLOCK = 1 << 16 };
enum { CLEAN = 0, LOST = 1, UNKNOWN = 2, INFECTED = 23, USAGE = 255 };

enum stage {
    FREE,       /* no request */
    ASKED,      /* the command went out */
    CONNECTING, /* SEND came, the channel is being opened */
    SENDING,    /* content goes out */
    SENT,       /* all of it, and the end; or there was none to send */
    BROKEN      /* it could not be sent whole */
};

struct request {
    enum stage stage;
    int id;
    const char *name;
    char asked[PATH_MAX]; /* the name as the server knows it */
    bool doubted;         /* something that makes no sense was said about it: it cannot be clean */
    bool covered;         /* COVERAGE came */
    off_t left;           /* what the file had when it was opened, less what was read */
    int file;    /* -1 if the server reads it itself */
    int channel; /* -1 if not open */
    unsigned long findings;
    size_t from, to; /* what of the block is still to be sent */
    char block[BLOCK];
};

static struct request requests[AT_ONCE];
static int control = -1;
static struct sockaddr_storage peer;
static socklen_t peer_size = sizeof peer;

static char input[LONGEST_LINE];
static size_t input_from, input_to;
static char output[8 * PATH_MAX];
static size_t output_from, output_to;

static bool by_name;
static long silence = 300;
static int last_id;
static int unaccepted; /* the id of the command that the server has not taken yet, 0 for none */
static int worst = CLEAN;
static bool has_coverage; /* the server said that it tells COVERAGE */

static void conclude(int code)
{
    static const int order[] = {CLEAN, UNKNOWN, LOST, INFECTED, USAGE};
    size_t now = 0, then = 0;
    while (order[now] != code)
        now++;
    while (order[then] != worst)
        then++;
    if (now > then)
        worst = code;
}

/* A name as replies have it, on one line: for the terminal, and for names that a command cannot hold otherwise. Returns the
 * length; `to` must hold four bytes for each of the name's and three more. */
static size_t quote(const char *name, char *to)
{
    char *at = to;
    *at++ = '"';
    for (; *name; name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte == '"' || byte == '\\') {
            *at++ = '\\';
            *at++ = (char)byte;
        } else if (byte == '\n' || byte == '\r') {
            *at++ = '\\';
            *at++ = byte == '\n' ? 'n' : 'r';
        } else if (byte < ' ' || byte == 0x7f) {
            at += sprintf(at, "\\x%02x", byte);
        } else {
            *at++ = (char)byte;
        }
    }
    *at++ = '"';
    *at = '\0';
    return (size_t)(at - to);
}

/* The length of the UTF-8 character at the start of the text; 0 if it is none. */
static size_t character(const unsigned char *at)
{
    static const unsigned char from[] = {0xc2, 0xe0, 0xf0}, upto[] = {0xdf, 0xef, 0xf4};
    if (*at < 0x80)
        return 1;
    for (size_t more = 1; more <= 3; more++) {
        if (*at < from[more - 1] || *at > upto[more - 1])
            continue;
        for (size_t n = 1; n <= more; n++)
            if (at[n] < 0x80 || at[n] > 0xbf)
                return 0;
        /* Longer than need be, half of a pair of UTF-16, or beyond the last character. */
        if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90) || (*at == 0xed && at[1] > 0x9f) ||
            (*at == 0xf4 && at[1] > 0x8f))
            return 0;
        return more + 1;
    }
    return 0;
}

/* Prints what a server said or a file is called. What a terminal would obey is shown as \xHH: C0, DEL, C1 (in UTF-8 or as
 * single bytes), and what turns the direction of text. */
static void print(FILE *to, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        size_t size = character(at);
        bool is_control = size == 0   ? *at < 0xa0
                          : size == 1 ? *at < ' ' || *at == 0x7f
                          : size == 2 ? *at == 0xc2 && at[1] < 0xa0
                          : size == 3 && *at == 0xe2 && at[1] == 0x80
                              ? at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xaa && at[2] <= 0xae)
                              : size == 3 && *at == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
        if (size == 0)
            size = 1;
        for (; size > 0; size--, at++)
            fprintf(to, is_control ? "\\x%02x" : "%c", *at);
    }
}

static void tell(const char *name, const char *what, const char *more)
{
    char quoted[4 * PATH_MAX + 3];
    if (strlen(name) < PATH_MAX)
        quote(name, quoted);
    else
        strcpy(quoted, "(a name that is too long)");
    print(stdout, quoted);
    printf(": %s%s", what, *more ? ": " : "");
    print(stdout, more);
    printf("\n");
}

static void unknown(const char *name, const char *why)
{
    tell(name, "NOT KNOWN TO BE CLEAN", why);
    conclude(UNKNOWN);
}

/* Closes the channel. Unless all is sent this is a reset: a plain end would make a part look like the whole. */
static void close_channel(struct request *r)
{
    if (r->channel >= 0) {
        struct linger reset = {.l_onoff = r->stage != SENT, .l_linger = 0};
        setsockopt(r->channel, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(r->channel);
    }
    r->channel = -1;
    if (r->file >= 0)
        close(r->file);
    r->file = -1;
}

static void break_off(struct request *r)
{
    r->stage = BROKEN;
    close_channel(r);
}

static void finish(struct request *r)
{
    close_channel(r);
    r->stage = FREE;
}

/* The server is no longer of use: whatever it owes is unknown. */
static void lose(const char *why)
{
    for (struct request *r = requests; r < requests + AT_ONCE; r++) {
        if (r->stage == FREE)
            continue;
        if (r->findings > 0)
            conclude(INFECTED);
        unknown(r->name, why);
        finish(r);
    }
    conclude(LOST);
    close(control);
    control = -1;
}

/* Connects to a port of the server's machine, at the address of the control connection. */
static void open_channel(struct request *r, unsigned long port)
{
    struct sockaddr_storage to = peer;
    if (to.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
    r->stage = CONNECTING;
    r->from = r->to = 0;
    r->channel = socket(to.ss_family, SOCK_STREAM, 0);
    if (r->channel < 0 || fcntl(r->channel, F_SETFL, O_NONBLOCK) < 0 ||
        (connect(r->channel, (struct sockaddr *)&to, peer_size) < 0 && errno != EINPROGRESS))
        break_off(r); /* the server misses it, and says so */
}

/* The channel can take something. */
static void feed(struct request *r)
{
    if (r->stage == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(r->channel, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
            break_off(r);
            return;
        }
        r->stage = SENDING;
    }
    if (r->from == r->to) {
        ssize_t got;
        do
            got = read(r->file, r->block, sizeof r->block);
        while (got < 0 && errno == EINTR);
        if (got < 0) {
            break_off(r);
            return;
        }
        if (got == 0) {
            /* One that was cut short meanwhile is not the one that was to be scanned. */
            if (r->left > 0 || shutdown(r->channel, SHUT_WR) < 0) {
                break_off(r);
            } else {
                r->stage = SENT;
            }
            return;
        }
        r->from = 0;
        r->to = (size_t)got;
        r->left -= got;
    }
    ssize_t put = send(r->channel, r->block + r->from, r->to - r->from, MSG_NOSIGNAL);
    if (put >= 0)
        r->from += (size_t)put;
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        break_off(r);
}

/* The server closes its side of the channel when it has read all. Somebody else at our address may have been first at the
 * port: our connection is then reset, and the answer is about other content. */
static bool was_taken(struct request *r)
{
    struct pollfd wait = {.fd = r->channel, .events = POLLIN};
    char byte;
    return r->channel < 0 || (poll(&wait, 1, 10000) == 1 && recv(r->channel, &byte, 1, 0) == 0);
}

/* Whether a reply's name is that of the request, which the empty one is too. */
static bool is_about(const struct request *r, const char *quoted)
{
    const char *at = quoted, *name = r->asked;
    if (strncmp(at, "\"\"", 2) == 0)
        return at[2] == '\0' || at[2] == ' ';
    if (*at++ != '"')
        return false;
    for (; *at && *at != '"'; name++) {
        unsigned int byte = (unsigned char)*at++;
        if (byte == '\\') {
            byte = (unsigned char)*at++;
            if (byte == 'x') {
                if (!isxdigit((unsigned char)at[0]) || !isxdigit((unsigned char)at[1]))
                    return false;
                char digits[] = {at[0], at[1], '\0'};
                byte = (unsigned int)strtoul(digits, NULL, 16);
                at += 2;
            } else if (byte == 'n') {
                byte = '\n';
            } else if (byte == 'r') {
                byte = '\r';
            }
        }
        if (byte == '\0' || (unsigned char)*name != byte)
            return false;
    }
    return *at == '"' && *name == '\0' && (at[1] == '\0' || strncmp(at + 1, " : ", 3) == 0);
}

/* The terminal reply DONE: `count : "name"`. Servers that leave out the count exist. */
static void done(struct request *r, const char *rest)
{
    char *end;
    unsigned long count = isdigit((unsigned char)*rest) ? strtoul(rest, &end, 10) : (end = (char *)rest, 0UL);
    while (*end == ' ')
        end++;
    if (*end != ':')
        unknown(r->name, "an answer that is none");
    else if (count > 0 || r->findings > 0)
        tell(r->name, "infected", "");
    else if (r->doubted)
        unknown(r->name, "a reply that makes no sense");
    else if (!is_about(r, end + 1 + strspn(end + 1, " ")))
        unknown(r->name, "an answer about something else");
    else if (has_coverage && !r->covered)
        unknown(r->name, "an answer without COVERAGE");
    else if (r->stage != SENT || !was_taken(r))
        unknown(r->name, "the server answered without all of the content");
    else
        tell(r->name, "clean", "");
    if (count > 0 || r->findings > 0)
        conclude(INFECTED);
    finish(r);
}

/* The rest of an error's name: letters and digits. */
static bool is_name(const char *rest)
{
    size_t size = 0;
    while (isalnum((unsigned char)rest[size]))
        size++;
    return size > 0 && rest[size] == '\0';
}

/* One reply: `id WORD rest`. False if it makes no sense, after which nothing of this server can be believed. */
static bool reply(char *line)
{
    char *word;
    if (!isdigit((unsigned char)*line))
        return false;
    errno = 0;
    long id = strtol(line, &word, 10);
    if (errno != 0 || *word != ' ')
        return false;
    while (*word == ' ')
        word++;
    char *rest = word + strcspn(word, " "), *gap = *rest ? rest : NULL;
    if (gap != NULL)
        *rest++ = '\0';
    struct request *r = requests;
    while (r < requests + AT_ONCE && (r->stage == FREE || r->id != id))
        r++;
    if (r == requests + AT_ONCE)
        return false;
    if (r->id == unaccepted)
        unaccepted = 0;
    if (strcasecmp(word, "SEND") == 0) {
        char *end;
        unsigned long port = strtoul(rest, &end, 10);
        if (r->stage != ASKED || end == rest || *end || port == 0 || port > 65535)
            return false;
        open_channel(r, port);
    } else if (strncasecmp(word, "INFECTED", 8) == 0) {
        /* Also where the word goes on: it may be that of a finding all the same. */
        r->findings++;
        tell(r->name, "INFECTED", rest);
    } else if (strcasecmp(word, "SKIPPED") == 0) {
        tell(r->name, "not examined", rest);
    } else if (strcasecmp(word, "DONE") == 0) {
        done(r, rest);
    } else if (strcasecmp(word, "COVERAGE") == 0) {
        r->covered = true;
    } else if ((word[0] == 'E' || word[0] == 'e') && is_name(word + 1)) {
        if (gap != NULL)
            *gap = ' '; /* the error name and its message are one text for people */
        if (r->findings > 0)
            conclude(INFECTED);
        unknown(r->name, word);
        finish(r);
    } else if (strcasecmp(word, "QUEUED") != 0 && strcasecmp(word, "SCANNING") != 0 && strcasecmp(word, "NOTE") != 0) {
        r->doubted = true;
    }
    return true;
}

/* Takes one line off the input into `line`, if there is a whole one. */
static bool next_line(char *line)
{
    char *end = memchr(input + input_from, '\n', input_to - input_from);
    if (end == NULL)
        return false;
    size_t size = (size_t)(end - (input + input_from));
    memcpy(line, input + input_from, size);
    line[size] = '\0';
    if (size > 0 && line[size - 1] == '\r')
        line[size - 1] = '\0';
    input_from += size + 1;
    return true;
}

/* Reads what there is; all whole lines have been taken. Returns why nothing more will come, or NULL. */
static const char *receive(void)
{
    input_to -= input_from;
    memmove(input, input + input_from, input_to);
    input_from = 0;
    if (input_to == sizeof input)
        return "a reply without an end";
    ssize_t got = recv(control, input + input_to, sizeof input - input_to, 0);
    if (got == 0)
        return "the server closed the connection";
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? NULL : strerror(errno);
    input_to += (size_t)got;
    return NULL;
}

/* Puts one SCAN on its way. `r` is free. */
static void ask(struct request *r, const char *name)
{
    char absolute[PATH_MAX], quoted[4 * PATH_MAX + 3];
    if (*name == '/') {
        if (snprintf(absolute, sizeof absolute, "%s", name) >= (int)sizeof absolute) {
            unknown(name, "the name is too long");
            return;
        }
    } else {
        size_t size = getcwd(absolute, sizeof absolute) ? strlen(absolute) : sizeof absolute;
        if (size + strlen(name) + 2 > sizeof absolute) {
            unknown(name, "the name is too long");
            return;
        }
        absolute[size] = '/';
        strcpy(absolute + size + 1, name);
    }
    r->file = -1;
    if (!by_name) {
        struct stat status;
        /* Without waiting: a named pipe may have nobody at its other end. */
        r->file = open(absolute, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (r->file < 0) {
            unknown(name, strerror(errno));
            return;
        }
        if (fstat(r->file, &status) < 0 || !S_ISREG(status.st_mode)) {
            close(r->file);
            unknown(name, "not a file; folders need -l");
            return;
        }
        r->left = status.st_size;
    }
    /* The server takes a name to the end of the line. One with a line end in it can only be sent in quotes. */
    bool is_plain = strpbrk(absolute, "\r\n") == NULL;
    if (!is_plain)
        quote(absolute, quoted);
    r->stage = by_name ? SENT : ASKED;
    r->id = unaccepted = ++last_id;
    r->name = name;
    strcpy(r->asked, absolute);
    r->channel = -1;
    r->findings = 0;
    r->doubted = r->covered = false;
    output_from = 0;
    output_to = (size_t)snprintf(output, sizeof output, "%d SCAN/%s %s\r\n", r->id, by_name ? "FILE" : "REQUEST",
                                 is_plain ? absolute : quoted);
}

/* Scans all files. One command at a time is on its way: the next one goes out when the server has taken the last. */
static void scan(char **names)
{
    static char line[LONGEST_LINE + 1];
    while (control >= 0) {
        struct pollfd waits[1 + AT_ONCE];
        struct request *of[1 + AT_ONCE];
        struct request *free_one = NULL;
        nfds_t count = 1;
        bool is_idle = true;
        for (struct request *r = requests; r < requests + AT_ONCE; r++) {
            if (r->stage == FREE) {
                free_one = r;
                continue;
            }
            is_idle = false;
            if (r->channel >= 0 && r->stage != SENT) {
                waits[count] = (struct pollfd){.fd = r->channel, .events = POLLOUT};
                of[count++] = r;
            }
        }
        if (*names != NULL && free_one != NULL && unaccepted == 0) {
            ask(free_one, *names++);
            continue;
        }
        if (is_idle)
            return;
        waits[0] = (struct pollfd){.fd = control, .events = output_from < output_to ? POLLIN | POLLOUT : POLLIN};
        int ready = poll(waits, count, (int)(silence * 1000));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            lose(ready < 0 ? strerror(errno) : "no answer in time");
            break;
        }
        if (waits[0].revents & POLLOUT) {
            ssize_t put = send(control, output + output_from, output_to - output_from, MSG_NOSIGNAL);
            if (put > 0)
                output_from += (size_t)put;
        }
        if (waits[0].revents & ~POLLOUT) {
            const char *end = receive();
            while (next_line(line)) {
                if (!reply(line)) {
                    end = "a reply that makes no sense";
                    break;
                }
            }
            if (end != NULL) {
                lose(end);
                break;
            }
        }
        for (nfds_t n = 1; n < count; n++)
            if (waits[n].revents != 0 && of[n]->channel == waits[n].fd)
                feed(of[n]);
    }
    /* Without a server: nobody looked at the rest. */
    for (; *names != NULL; names++)
        unknown(*names, "no server");
}

/* Opens the control connection. */
static bool connect_to(const char *server)
{
    char host[256];
    const char *port = strrchr(server, ':');
    bool has_port = port != NULL && port[1] != '\0' && (strchr(server, ':') == port || port[-1] == ']');
    size_t size = has_port ? (size_t)(port - server) : strlen(server);
    if (size >= 2 && server[0] == '[' && server[size - 1] == ']') {
        server++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof host)
        return false;
    memcpy(host, server, size);
    host[size] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, has_port ? port + 1 : "8081", &hints, &found) != 0)
        return false;
    for (struct addrinfo *at = found; at != NULL && control < 0; at = at->ai_next) {
        control = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (control >= 0 && connect(control, at->ai_addr, at->ai_addrlen) < 0) {
            close(control);
            control = -1;
        }
    }
    freeaddrinfo(found);
    return control >= 0 && getpeername(control, (struct sockaddr *)&peer, &peer_size) == 0 &&
           fcntl(control, F_SETFL, O_NONBLOCK) == 0;
}

/* Waits for a line before there is any request. */
static bool await_line(char *line)
{
    while (!next_line(line)) {
        struct pollfd wait = {.fd = control, .events = POLLIN};
        int ready = poll(&wait, 1, (int)(silence * 1000));
        if (ready < 0 && errno == EINTR)
            continue;
        const char *end = ready > 0 ? receive() : "no answer in time";
        if (end != NULL) {
            /* What it said last may be the reason. */
            if (next_line(line))
                return true;
            snprintf(line, 256, "%s", end);
            return false;
        }
    }
    return true;
}

static void complain(const char *what, const char *line)
{
    fputs(what, stderr);
    print(stderr, line);
    fputs("\n", stderr);
}

static bool greet(void)
{
    static const char probe[] = "ENABLE COVERAGE\r\n";
    static char line[LONGEST_LINE + 1];
    if (!await_line(line) || strcasecmp(line, "READY") != 0) {
        complain("the server takes no requests: ", line);
        return false;
    }
    /* A server without this extension says EINVAL, and serves all the same. */
    if (send(control, probe, sizeof probe - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof probe - 1) || !await_line(line) ||
        (strncasecmp(line, "OK", 2) != 0 && strncasecmp(line, "E", 1) != 0)) {
        complain("the server does not speak SVSP: ", line);
        return false;
    }
    has_coverage = strncasecmp(line, "OK", 2) == 0;
    if (strncasecmp(line, "OK ", 3) == 0)
        complain("the server has ", line + 3);
    return true;
}

int main(int argc, char **argv)
{
    const char *server = "127.0.0.1:8081";
    int option;
    while ((option = getopt(argc, argv, "s:lt:")) != -1) {
        char *end = "";
        if (option == 's')
            server = optarg;
        else if (option == 'l')
            by_name = true;
        else if (option == 't')
            silence = strtol(optarg, &end, 10);
        if (option == '?' || *end || silence < 1 || silence > 1000000)
            optind = argc;
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: client [-s HOST[:PORT]] [-l] [-t SECONDS] FILE...\n");
        return USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    if (!connect_to(server)) {
        fprintf(stderr, "no server at %s\n", server);
        return LOST;
    }
    if (!greet())
        return LOST;
    scan(argv + optind);
    /* An answer that nobody could read is none. */
    if (fflush(stdout) != 0)
        return USAGE;
    return worst;
}
