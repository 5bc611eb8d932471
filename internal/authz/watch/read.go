package watch

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// ReadFile reads a regular file of at most a number of bytes. It refuses anything else at once: a pipe may have no
// writer, or one that writes nothing, and the task that read it would wait without end.
func ReadFile(path string, most int64) ([]byte, error) {
	// Without O_NONBLOCK, opening a pipe waits for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = mustBeRegular(path, info)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: %w", path, errTooLarge)
	}
	return data, err
}

// statFile returns what there is about a regular file.
func statFile(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = mustBeRegular(path, info)
	}
	return info, err
}

func mustBeRegular(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: is not a regular file", path)
	}
	return nil
}
