/*
 * limit is the physical limit that servers are compared with: one thread writes a prepared frame to every connection
 * for every event. With -batch N it waits for N events and writes them to each connection with one call.
 *
 * Events are complete WebSocket frames and arrive at a second port by the protocol of package ingest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { most_clients = 1 << 20, frames_room = 1 << 20, input_room = 16 << 20 };

static const char hello[] = "\x81\x05hello"; /* a WebSocket text frame: the connection is accepted */

static int batch = 1;
static int *clients;
static int client_count;
static char *frames; /* the events of the next write */
static size_t frames_size;
static int pending; /* events in frames */
static char *input; /* an incomplete batch of the publisher */
static size_t input_size;

static void fail(const char *what) {
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* write_all writes all of data, and returns 0 if the connection has failed. */
static int write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, data, size);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return 0;
    }
    data += n;
    size -= (size_t)n;
  }
  return 1;
}

/* flush writes the frames to all clients. This is the part that the bench measures. */
static void flush(void) {
  int kept = 0;
  for (int i = 0; i < client_count; i++) {
    if (write_all(clients[i], frames, frames_size)) {
      clients[kept++] = clients[i];
    } else {
      close(clients[i]);
    }
  }
  client_count = kept;
  frames_size = 0;
  pending = 0;
}

static void accept_client(int listener) {
  int fd = accept(listener, NULL, NULL), on = 1;
  if (fd < 0) {
    fail("accept");
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (client_count == most_clients || !write_all(fd, hello, sizeof hello - 1)) {
    close(fd);
    return;
  }
  clients[client_count++] = fd;
}

/* number reads a little-endian uint32 at *at, and returns 0 if it is not complete. */
static int number(size_t *at, uint32_t *value) {
  if (input_size - *at < 4) {
    return 0;
  }
  const unsigned char *p = (const unsigned char *)input + *at;
  *value = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  *at += 4;
  return 1;
}

/* part skips a length and as many bytes, and returns 0 if they are not complete. */
static int part(size_t *at, const char **data, uint32_t *size) {
  if (!number(at, size) || input_size - *at < *size) {
    return 0;
  }
  *data = input + *at;
  *at += *size;
  return 1;
}

/* take handles the first batch of the input. It returns 0 if the batch is not complete. */
static int take(int publisher) {
  size_t at = 0, begin;
  uint32_t count, size;
  const char *data;
  if (!number(&at, &count)) {
    return 0;
  }
  begin = at;
  for (uint32_t i = 0; i < count; i++) {
    if (!part(&at, &data, &size) || !part(&at, &data, &size)) {
      return 0;
    }
  }
  for (at = begin; count > 0; count--) {
    part(&at, &data, &size); /* the channel */
    part(&at, &data, &size);
    if (size > frames_room) {
      fprintf(stderr, "limit: an event of %u bytes\n", size);
      exit(1);
    }
    if (frames_size + size > frames_room) {
      flush();
    }
    memcpy(frames + frames_size, data, size);
    frames_size += size;
    if (++pending >= batch) {
      flush();
    }
  }
  input_size -= at;
  memmove(input, input + at, input_size);
  return write_all(publisher, "\x01", 1);
}

/* receive reads from the publisher, and returns 0 at its end. */
static int receive(int publisher) {
  if (input_size == input_room) {
    return 0;
  }
  ssize_t n = read(publisher, input + input_size, input_room - input_size);
  if (n < 0) {
    fail("read events");
  }
  if (n == 0) {
    return 0;
  }
  input_size += (size_t)n;
  while (take(publisher)) {
  }
  return 1;
}

/* listen_at opens a port, given as address:port. */
static int listen_at(char *address) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  char *colon = strrchr(address, ':');
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0 || colon == NULL) {
    fail(address);
  }
  *colon = 0;
  at.sin_port = htons((uint16_t)atoi(colon + 1));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (inet_pton(AF_INET, address, &at.sin_addr) != 1 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
      listen(fd, 4096) < 0) {
    fail("listen");
  }
  return fd;
}

int main(int argc, char **argv) {
  char *listen_address = NULL, *ingest_address = NULL;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "-listen") == 0) {
      listen_address = argv[i + 1];
    } else if (strcmp(argv[i], "-ingest") == 0) {
      ingest_address = argv[i + 1];
    } else if (strcmp(argv[i], "-batch") == 0) {
      batch = atoi(argv[i + 1]);
    }
  }
  if (listen_address == NULL || ingest_address == NULL || batch < 1) {
    fprintf(stderr, "usage: limit -listen ADDRESS:PORT -ingest ADDRESS:PORT [-batch N]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  clients = malloc(most_clients * sizeof *clients);
  frames = malloc(frames_room);
  input = malloc(input_room);
  if (clients == NULL || frames == NULL || input == NULL) {
    fail("memory");
  }
  int listener = listen_at(listen_address), publishers = listen_at(ingest_address);
  struct pollfd waiting[2] = {{.fd = listener, .events = POLLIN}, {.fd = publishers, .events = POLLIN}};
  for (;;) {
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) {
      fail("poll");
    }
    if (waiting[0].revents) {
      accept_client(listener);
    }
    if (!waiting[1].revents) {
      continue;
    }
    if (waiting[1].fd == publishers) {
      waiting[1].fd = accept(publishers, NULL, NULL);
      if (waiting[1].fd < 0) {
        fail("accept publisher");
      }
      input_size = 0;
    } else if (!receive(waiting[1].fd)) { /* a readiness probe, or the end of a run: wait for the next publisher */
      close(waiting[1].fd);
      waiting[1].fd = publishers;
    }
  }
}
