package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
)

// ErrProfile is the error of a server that returned no profile.
var ErrProfile = errors.New("no profile")

// profile fetches a CPU profile of the server while a step is measured, and writes it into the folder of profiles. The
// Go channel receives the result when the profile is written. profile does nothing for servers without profiles, or
// without a folder.
func (s *session) profile(ctx context.Context, record string, seconds float64) <-chan error {
	done := make(chan error, 1)
	if s.o.Profiles == "" || s.launch.Profile == "" || record == "" {
		done <- nil
		return done
	}
	go func() {
		url := fmt.Sprintf("%s?seconds=%d", s.launch.Profile, int(math.Max(1, seconds)))
		name := fmt.Sprintf("%s-%s-%s-%d.pb.gz", s.plan.Name, record, s.peer.Name, s.run)
		done <- fetch(ctx, url, filepath.Join(s.o.Profiles, name))
	}()
	return done
}

func fetch(ctx context.Context, url, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", ErrProfile, response.Status)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // all users may read the results
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}
