package resp

import (
	"strconv"
	"strings"
)

// AppendCommand appends the head of a command with the given number of arguments. AppendBulk must follow for each of
// them.
func AppendCommand(dst []byte, name string, args int) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(args)+1, 10)
	dst = append(dst, '\r', '\n')
	return AppendBulk(dst, name)
}

// AppendBulk appends a bulk string: an argument of a command, or a reply.
func AppendBulk(dst []byte, text string) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, text...)
	return append(dst, '\r', '\n')
}

// AppendError appends an error reply. Line ends in the text become spaces.
func AppendError(dst []byte, text string) []byte {
	dst = append(dst, '-')
	dst = append(dst, strings.NewReplacer("\r", " ", "\n", " ").Replace(text)...)
	return append(dst, '\r', '\n')
}
