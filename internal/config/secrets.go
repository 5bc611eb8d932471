package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

const (
	// fileSuffix makes the key of a file with a secret from the key of the secret.
	fileSuffix = "_file"
	// maxSecretBytes bounds the file of a secret.
	maxSecretBytes = 64 << 10
)

// readSecrets reads the secrets that are in files. It returns an error for each key that is wrong; errors never quote a
// secret.
func (k *keyList) readSecrets() error {
	var wrong []error
	k.flags.VisitAll(func(f *pflag.Flag) {
		path := k.secretFiles[f.Name]
		if path == nil || *path == "" {
			return
		}
		if f.Value.String() != "" {
			wrong = append(wrong, fmt.Errorf("%s: is set together with %s; set one of them", f.Name, f.Name+fileSuffix))
			return
		}
		secret, err := readSecret(*path)
		if err == nil {
			err = f.Value.Set(secret)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", f.Name+fileSuffix, err))
		}
	})
	return errors.Join(wrong...)
}

// readSecret returns the text of a file without the newlines at its end, which editors add.
func readSecret(path string) (string, error) {
	data, err := ReadFile(path, maxSecretBytes)
	switch secret := strings.TrimRight(string(data), "\r\n"); {
	case err != nil:
		return "", err
	case secret == "":
		return "", fmt.Errorf("%s: is empty", path)
	default:
		return secret, nil
	}
}
