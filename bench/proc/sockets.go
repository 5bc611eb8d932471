package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The messages of sock_diag(7). Package unix lacks most of them.
const (
	messageHeader  = 16 // nlmsghdr
	requestLength  = 56 // inet_diag_req_v2
	answerLength   = 72 // inet_diag_msg
	attributeBytes = 4  // nlattr
	memoryInfo     = 7  // INET_DIAG_SKMEMINFO
	// notListening are all states of TCP but LISTEN.
	notListening = 0xfff &^ (1 << 10)
)

// The numbers of INET_DIAG_SKMEMINFO that count.
const (
	received  = 0 // what the process has not read
	spare     = 4 // reserved for more
	unsent    = 5 // what the peer has not confirmed
	options   = 6
	memoryLen = 4 * 9
)

// SocketBytes returns the kernel's memory for the bytes in the TCP sockets of this machine with that local port: what
// the peer has not confirmed, and what the process has not read.
func SocketBytes(port uint16) (int64, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("open netlink: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	timeout := unix.NsecToTimeval(int64(10 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return 0, fmt.Errorf("bound netlink: %w", err)
	}
	var total int64
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		n, err := socketBytes(fd, family, port)
		if err != nil {
			return 0, fmt.Errorf("list sockets: %w", err)
		}
		total += n
	}
	return total, nil
}

func socketBytes(fd int, family byte, port uint16) (total int64, err error) {
	request := make([]byte, messageHeader+requestLength)
	binary.NativeEndian.PutUint32(request, uint32(len(request))) //nolint:gosec // small
	binary.NativeEndian.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[messageHeader:]
	body[0], body[1], body[2] = family, unix.IPPROTO_TCP, 1<<(memoryInfo-1)
	binary.NativeEndian.PutUint32(body[4:], notListening)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for rest := buf[:n]; len(rest) >= messageHeader; {
			length := int(binary.NativeEndian.Uint32(rest))
			if length < messageHeader || length > len(rest) {
				return 0, ErrFormat
			}
			switch binary.NativeEndian.Uint16(rest[4:]) {
			case unix.NLMSG_DONE:
				return total, nil
			case unix.NLMSG_ERROR:
				return 0, ErrFormat
			}
			total += socketMemory(rest[messageHeader:length], port)
			rest = rest[min((length+3)&^3, len(rest)):]
		}
	}
}

// socketMemory returns the memory of one socket, 0 if it has another port.
func socketMemory(answer []byte, port uint16) int64 {
	const portAt = 4
	if len(answer) < answerLength || binary.BigEndian.Uint16(answer[portAt:]) != port {
		return 0
	}
	for rest := answer[answerLength:]; len(rest) >= attributeBytes; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < attributeBytes || length > len(rest) {
			return 0
		}
		if binary.NativeEndian.Uint16(rest[2:]) == memoryInfo && length >= attributeBytes+memoryLen {
			var total int64
			for _, at := range []int{received, spare, unsent, options} {
				total += int64(binary.NativeEndian.Uint32(rest[attributeBytes+4*at:]))
			}
			return total
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return 0
}

// Slab returns the memory of the kernel's own objects on this machine, such as sockets and files.
func Slab() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "Slab: %d kB", &kilobytes); err == nil {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("meminfo: %w", ErrFormat)
}
