package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// readLimit bounds the time to read a file. A pipe may have a writer that writes nothing: the reload that waited for it
// held up all others.
const readLimit = 5 * time.Second

// ReadFile reads a file of at most a number of bytes. It also reads pipes, such as those of a shell, if they end within
// readLimit. A pipe can be read once: it is empty afterwards, or when it has no writer, and that is an error.
func ReadFile(path string, most int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_ = file.SetReadDeadline(time.Now().Add(readLimit)) // ordinary files have no deadline, and need none
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%s: is a pipe without an end, waited for %s: %w", path, readLimit, err)
	case err != nil:
		return nil, err
	case len(data) > most:
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, most)
	case len(data) == 0 && isPipe(file):
		return nil, fmt.Errorf("%s: is an empty pipe; write an ordinary file", path)
	}
	return data, nil
}

func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}
