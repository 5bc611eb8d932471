package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// readEvents reads Server-Sent Events and calls each with them, until the stream ends or each returns an error. It
// calls line for each line, comments included. It never returns nil.
func readEvents(stream io.Reader, line func(), each func(event, data string) error) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxTapMessage)
	event, data, full := "message", "", false
	for lines.Scan() {
		line()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if full {
				if err := each(event, data); err != nil {
					return err
				}
			}
			event, data, full = "message", "", false
		case name == "event":
			event = value
		case name == "data" && full:
			if len(data)+len(value) > maxTapMessage {
				return bufio.ErrTooLong
			}
			data += "\n" + value
		case name == "data":
			data, full = value, true
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the server closed the stream")
}
